//! Lines for people on stderr, and answers on stdout.
//!
//! The standard macros panic where nobody reads: a terminal that was closed is no reason to end a
//! training.

use std::fmt::Display;
use std::io::Write;

/// Writes a line to stderr, if anybody takes it.
pub fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes what was asked for to stdout.
///
/// # Errors
/// Where nobody takes it: then the command has failed.
pub fn answer(line: impl Display) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}
