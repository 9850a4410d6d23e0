//! Configurations that select among the kinds of data and models that are built in.

use std::path::Path;
use std::sync::LazyLock;

use lookahead_run::folder::read_given_config;

use crate::config::kinds::Kinds;
use crate::config::{Config, ConfigError, Loaded, Override};
use crate::{data, file_kind, models};

static KINDS: LazyLock<Kinds> = LazyLock::new(|| Kinds {
    data: data::builtin().iter().map(|kind| kind.schema).collect(),
    models: models::builtin().iter().map(|kind| kind.schema).collect(),
});

impl Config {
    /// As [`parse`](Self::parse), with the text of the file at `path`.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); if the file can't be read.
    pub fn load(path: &Path, overrides: &[Override]) -> Result<Loaded, ConfigError> {
        let origin = path.display().to_string();
        let text = read_given_config(path).map_err(|error| {
            format!("The config can't be read. {error} The project's are in `configs/`.")
        });
        let text = text.and_then(|text| match file_kind::stand_in(text.as_bytes()) {
            Some(sentence) => Err(sentence.to_owned()),
            None => Ok(text),
        });
        let text = text.map_err(|message| ConfigError::new(&origin, message))?;
        Config::parse(&origin, &text, overrides)
    }

    /// [`parse_with`](Self::parse_with) the kinds that are built in.
    pub fn parse(origin: &str, text: &str, overrides: &[Override]) -> Result<Loaded, ConfigError> {
        Config::parse_with(&KINDS, origin, text, overrides)
    }
}
