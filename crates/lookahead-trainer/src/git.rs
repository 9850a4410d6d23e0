//! The git working tree in which the program runs, for those who look at a result later.

use std::process::{Command, Stdio};

use lookahead_run::Git;

/// The commit that is checked out where the program runs, if git knows one.
pub fn state() -> Option<Git> {
    let ask = |arguments: &[&str]| {
        let mut git = Command::new("git");
        // A look must not take the lock of a repository that somebody works in.
        let git = git.env("GIT_OPTIONAL_LOCKS", "0").args(arguments).stdin(Stdio::null());
        let output = git.output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    let revision = ask(&["rev-parse", "--verify", "HEAD"])?.trim().to_owned();
    let changes = ask(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(Git { revision, modified: !changes.trim().is_empty() })
}

#[cfg(test)]
mod tests;
