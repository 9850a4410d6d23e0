//! The process of one run.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use super::error::{At, SweepError};
use super::points::SweepPoint;

/// Most bytes that are kept of the end of a process's error output.
const TAIL: usize = 64 << 10;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Starts the run.
    Train,
    /// Resumes it from its newest valid checkpoint.
    Resume,
}

/// A process that trains a run.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    output: Option<JoinHandle<Vec<u8>>>,
}

impl Process {
    /// Starts it.
    pub(super) fn start(
        program: &Path,
        task: Task,
        point: &SweepPoint,
        config: &Path,
        runs: &Path,
    ) -> Result<Process, SweepError> {
        let mut command = Command::new(program);
        match task {
            Task::Train => {
                command.arg("train").arg(config).arg("--out").arg(runs);
                command.arg(format!("--name={}", point.name));
                for set in &point.sets {
                    command.args(["--set", &format!("{}={}", set.key, set.value)]);
                }
            }
            Task::Resume => {
                command.arg("resume").arg(runs.join(&point.name));
            }
        }
        command.args(["--no-tui", "--quiet"]);
        // Each is a run of one process, even if the sweep is one of several.
        for name in ["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // Ctrl-C is for the sweep, which stops its runs itself.
        command.process_group(0);
        let mut child = command.spawn().at("start", program)?;
        let output = child.stderr.take().map(|stderr| std::thread::spawn(move || tail(stderr)));
        Ok(Process { child, output })
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The end of its error output; waits until it has ended.
    pub(super) fn output(&mut self) -> String {
        let output = self.output.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        String::from_utf8_lossy(&output).into_owned()
    }

    /// Lets it save a checkpoint and end.
    pub(super) fn stop(&self) {
        // One that has just ended needs no signal; its number is not given to another before it is
        // waited for.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
    }

    /// Ends it at once.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the end and keeps the end.
fn tail(mut from: impl Read) -> Vec<u8> {
    let (mut kept, mut piece) = (VecDeque::new(), [0; 4096]);
    while let Ok(read @ 1..) = from.read(&mut piece) {
        kept.extend(&piece[..read]);
        let more = kept.len().saturating_sub(TAIL);
        kept.drain(..more);
    }
    kept.into()
}
