//! The folder of a checkpoint, and its name.

use std::path::{Path, PathBuf};

/// A folder that is a checkpoint by its name; [`Checkpoint::verify`] checks whether it is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Inner steps that the run had taken.
    pub step: u64,
    /// The folder.
    pub path: PathBuf,
}

impl Checkpoint {
    /// The folder's name, for example `step-00001500`.
    pub fn name(&self) -> String {
        folder_name(self.step)
    }
}

/// The name of a step's checkpoint.
pub(crate) fn folder_name(step: u64) -> String {
    format!("step-{step:08}")
}

/// The step in a checkpoint's name; `None` for every other spelling of the same number, so that a step
/// has one name.
pub(crate) fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.parse().ok()?;
    (folder_name(step) == name).then_some(step)
}

/// The step in the name of a folder.
pub(crate) fn step_in_name_of(path: &Path) -> Option<u64> {
    // `.` and `..` are not names.
    let name = match path.file_name() {
        Some(name) => name.to_owned(),
        None => path.canonicalize().ok()?.file_name()?.to_owned(),
    };
    step_of(name.to_str()?)
}

#[cfg(test)]
mod tests;
