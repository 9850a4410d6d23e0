//! Configurations that select among the kinds of data and models that are built in.

use std::path::Path;
use std::sync::LazyLock;

use crate::config::kinds::Kinds;
use crate::config::{Config, ConfigError, Loaded, Override};
use crate::{data, models};

static KINDS: LazyLock<Kinds> = LazyLock::new(|| Kinds {
    data: data::builtin().iter().map(|kind| kind.schema).collect(),
    models: models::builtin().iter().map(|kind| kind.schema).collect(),
});

impl Config {
    /// [`load_with`](Self::load_with) the kinds that are built in.
    ///
    /// # Errors
    /// As [`load_with`](Self::load_with).
    pub fn load(path: &Path, overrides: &[Override]) -> Result<Loaded, ConfigError> {
        Config::load_with(&KINDS, path, overrides)
    }

    /// [`parse_with`](Self::parse_with) the kinds that are built in.
    ///
    /// # Errors
    /// As [`parse_with`](Self::parse_with).
    pub fn parse(place: &str, text: &str, overrides: &[Override]) -> Result<Loaded, ConfigError> {
        Config::parse_with(&KINDS, place, text, overrides)
    }
}
