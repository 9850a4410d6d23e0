//! Options that are paths: they may differ from machine to machine, and change on resume.

use anyhow::Context;
use toml::Table;

/// In every section with kinds.
const PATHS: [&str; 5] = ["dir", "file", "test_file", "targets_file", "test_targets_file"];

/// The dotted keys of the kinds that are built in.
pub(super) fn keys() -> Vec<String> {
    let data = PATHS.iter().map(|key| format!("data.{key}"));
    data.chain(["model.file".to_owned()]).collect()
}

/// Whether a dotted key is a path of the data or the model.
pub(crate) fn is_path(key: &str) -> bool {
    let own = key.strip_prefix("data.").or_else(|| key.strip_prefix("model."));
    own.is_some_and(|key| PATHS.contains(&key))
}

/// Makes a section's relative paths absolute, so that the run can resume from another working directory.
pub(super) fn anchor(section: &str, options: &mut Table) -> anyhow::Result<()> {
    for key in PATHS {
        let Some(path) = options.get(key).and_then(toml::Value::as_str) else { continue };
        let absolute = std::path::absolute(path)
            .with_context(|| format!("`{section}.{key}` is {path}, not a path."))?;
        let absolute = absolute.to_str().context("The working directory's name is not UTF-8.")?;
        options.insert(key.to_owned(), absolute.into());
    }
    Ok(())
}

/// Takes the paths of other options, which are those of this machine.
pub(super) fn take(options: &mut Table, other: &Table) {
    for key in PATHS {
        options.remove(key);
        if let Some(path) = other.get(key) {
            options.insert(key.to_owned(), path.clone());
        }
    }
}
