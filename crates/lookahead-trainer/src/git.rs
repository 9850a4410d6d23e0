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

/// Asks for the commit now, and returns what waits for the answer: git takes tens of milliseconds in a large repository.
pub fn in_background() -> impl FnOnce() -> Option<Git> {
    let thread = std::thread::Builder::new().name("git".into()).spawn(state);
    || match thread {
        Ok(thread) => thread.join().ok().flatten(),
        Err(_) => state(),
    }
}

#[cfg(test)]
mod tests;
