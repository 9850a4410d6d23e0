//! The git revision of the folder in which the program runs, which a run records.

use std::process::{Command, Stdio};

use lookahead_run::Git;

/// The checked-out commit, if there is one.
pub fn state() -> Option<Git> {
    let run = |arguments: &[&str]| {
        let mut git = Command::new("git");
        // Must not lock the repository.
        let git = git.env("GIT_OPTIONAL_LOCKS", "0").args(arguments).stdin(Stdio::null());
        let output = git.output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    let revision = run(&["rev-parse", "--verify", "HEAD"])?.trim().to_owned();
    let changes = run(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(Git { revision, modified: !changes.trim().is_empty() })
}

#[cfg(test)]
mod tests;
