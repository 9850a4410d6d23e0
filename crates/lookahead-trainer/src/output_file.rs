//! Files that commands write: none replaces another without `--force`.

use std::path::Path;

use lookahead_chart::ChartError;

use crate::usage::UsageError;

/// Refuses a file that exists, unless it may be replaced, and one in a folder that doesn't exist. Called before the
/// work that it would be for.
///
/// # Errors
/// A sentence with the remedy.
pub(crate) fn check(path: &Path, force: bool) -> Result<(), UsageError> {
    if !force && path.symlink_metadata().is_ok() {
        return Err(exists(path));
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
            Err(UsageError::new(format!(
                "There is no folder {} for {}. Create it, or use another name.",
                folder.display(),
                path.display()
            )))
        }
        _ => Ok(()),
    }
}

/// The error of a file that exists.
pub(crate) fn exists(path: &Path) -> UsageError {
    UsageError::new(format!(
        "{} exists. Use another name, or `--force` to replace it.",
        path.display()
    ))
}

/// The error of a picture, which is one of usage if the command line can avoid it.
pub(crate) fn picture_error(error: ChartError) -> anyhow::Error {
    match error {
        ChartError::Exists(path) => exists(&path).into(),
        ChartError::Write(..) | ChartError::Draw(_) => error.into(),
        other => UsageError::new(other.to_string()).into(),
    }
}
