//! HOST:RUN, a run on another machine, and the commands that concern it there.

use std::fmt::{self, Display};
use std::path::Path;

use lookahead_run::program_name;

use crate::failure::FailedThere;
use crate::hints::shell_word;
use crate::usage::UsageError;

/// A run on another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// What ssh takes, for example `user@host`.
    pub(super) host: String,
    /// Its path or name there; empty for the latest.
    pub(super) run: String,
}

impl Address {
    /// What scp and rsync take for a path on another machine: a colon comes before any slash. `[::1]:RUN` is one too.
    pub(super) fn parse(typed: &Path) -> Option<Address> {
        let typed = typed.to_str()?;
        let start = typed.split('/').next()?;
        let end = match start.rfind(']') {
            Some(bracket) if start[bracket..].starts_with("]:") => bracket + 1,
            _ => start.find(':')?,
        };
        let host = typed[..end].replace(['[', ']'], "");
        let run = typed[end + 1..].to_owned();
        (!host.is_empty()).then_some(Address { host, run })
    }

    /// What ssh runs there, but for how much of the log is here.
    pub(super) fn relay(&self, program: &str) -> String {
        format!("{program} relay {}", encode(&self.run))
    }

    /// Runs a command of this program there, with the standard streams of this process. `words` are those of its command line.
    ///
    /// # Errors
    /// If there is no connection, or the command fails there.
    pub(super) fn run(&self, program: &str, words: &[&str]) -> anyhow::Result<()> {
        let words: Vec<String> = words.iter().map(|word| encode(word)).collect();
        let command = format!("{program} forwarded {}", words.join(" "));
        match lookahead_dashboard::run_there(&self.host, &command)? {
            0 => Ok(()),
            status => Err(FailedThere(status).into()),
        }
    }

    /// The error of a command that takes only runs of this machine.
    pub(super) fn not_here(&self) -> UsageError {
        let program = program_name();
        UsageError::new(format!(
            "`{self}` is a run on another machine, which only `{program} watch`, `ctl` and `list` take. Run this command \
             there, through `ssh {}`.",
            shell_word(&self.host)
        ))
    }

    /// The command that shows the run's state, typed here.
    pub(super) fn status(&self) -> String {
        format!("{} ctl {} status", program_name(), shell_word(&self.to_string()))
    }

    /// The error of a terminal that can only show lines.
    pub(super) fn not_as_lines(&self, reason: &str) -> UsageError {
        UsageError::new(format!(
            "`{self}` is a run on another machine, which only the dashboard shows: {reason}. Use `{}` instead.",
            self.status()
        ))
    }
}

impl Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.run)
    }
}

/// Nothing, encoded; for the relay, that is the latest run.
const EMPTY: &str = "%";

/// A run's name or path, or a word of a command line, as one word that means itself in every shell: bytes that could mean something to one are
/// written as `%` and two hexadecimal digits. A leading `~/` stays, for the shell there to find the home folder.
fn encode(run: &str) -> String {
    if run.is_empty() {
        return EMPTY.to_owned();
    }
    let (home, path) = run.split_at(if run.starts_with("~/") { 2 } else { 0 });
    let mut word = home.to_owned();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'_' => word.push(byte.into()),
            byte => word += &format!("%{byte:02X}"),
        }
    }
    word
}

/// The name or path in a word, empty for the latest run; none if it was not encoded by this program.
pub(super) fn decode(word: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = if word == EMPTY { &[] } else { word.as_bytes() };
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
