//! Commands that continue from where the program has ended, as they are typed in a shell.

use std::path::Path;

use lookahead_run::program_name;

/// Resumes a run.
pub(crate) fn resume(run: &Path) -> String {
    format!("{} resume {}", program_name(), quoted(run))
}

/// A path as a shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    // Only a NUL byte can't be quoted, and no path has one.
    shlex::try_quote(&path).map_or_else(|_| path.clone(), |quoted| quoted.into_owned())
}

#[cfg(test)]
mod tests;
