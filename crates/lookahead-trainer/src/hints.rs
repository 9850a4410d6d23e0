//! Commands that continue from where the program has ended, as they are typed in a shell.

use std::path::Path;

use lookahead_run::program_name;

/// Resumes a run.
pub(crate) fn resume(run: &Path) -> String {
    format!("{} resume {}", program_name(), quoted(run))
}

/// A path as a shell reads it.
pub(crate) fn quoted(path: &Path) -> String {
    shell_word(&path.to_string_lossy())
}

/// A word as a shell reads it.
pub(crate) fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:,=+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
