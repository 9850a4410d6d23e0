//! Errors of the operating system, and of whole chains of errors, in words.

use std::error::Error;
use std::io;

/// What follows the system's words in an error's text.
const SYSTEM: &str = " (os error ";

/// The reason of an I/O error as a clause, without capital letter and full stop: what a user can look for, not the
/// system's number for it.
///
/// ```
/// # use std::io;
/// let missing = std::fs::read("nothing").unwrap_err();
/// assert_eq!(lookahead_run::words::reason(&missing), "there is no such file or folder");
/// ```
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    // An error of a program's own, unless it wraps one of the system.
    if error.get_ref().is_some() && !text.contains(SYSTEM) {
        return clause(&text).to_owned();
    }
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        io::ErrorKind::NotADirectory => "a part of its path is not a folder".to_owned(),
        io::ErrorKind::AlreadyExists => "something of this name exists".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        // The system's words: "Permission denied".
        _ => text.split(SYSTEM).next().unwrap_or_default().to_owned(),
    }
}

/// An error with its causes as sentences: a cause that is a sentence follows as one, and any other after a colon.
/// Ends with a full stop unless it has several lines.
pub fn sentences(error: &(dyn Error + 'static)) -> String {
    let mut text = own_words(error);
    let mut next = error.source();
    while let Some(cause) = next {
        let words = own_words(cause);
        let stop = if words.ends_with('.') { "." } else { ":" };
        text = format!("{}{stop} {words}", clause(&text));
        next = cause.source();
    }
    // A text of several lines may end with a command to copy.
    if !text.contains('\n')
        && text.ends_with(|last: char| last.is_alphanumeric() || "`)]\"'%".contains(last))
    {
        text.push('.');
    }
    text
}

/// A sentence as a part of another one.
pub(crate) fn clause(text: &str) -> &str {
    text.trim_end().trim_end_matches(['.', ':'])
}

fn own_words(error: &(dyn Error + 'static)) -> String {
    error.downcast_ref().map_or_else(|| error.to_string(), reason)
}

#[cfg(test)]
mod tests;
