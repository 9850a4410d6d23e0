//! What is asked of the run from outside: by keys in the dashboard, and by signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Receiver, TryRecvError};
use lookahead_run::command::Command;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Where requests come from. The training loop asks once a step.
#[derive(Debug)]
pub struct Controls {
    commands: Receiver<Command>,
    signalled: Arc<AtomicBool>,
}

/// What came of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Somebody asks for something.
    Asked(Command),
    /// Whoever sent commands is gone, so that no more will come.
    NobodyLeft,
}

impl Controls {
    /// Listens to `commands` and, from now on, to SIGINT, SIGTERM and SIGHUP (a closed
    /// terminal), which all ask the run to stop. A second SIGINT ends the process at once.
    ///
    /// # Errors
    /// Where the system refuses signal handlers.
    pub fn new(commands: Receiver<Command>) -> anyhow::Result<Self> {
        let signalled = Arc::new(AtomicBool::new(false));
        let signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
            .context("The signal handlers can't be installed.")?;
        let flag = signalled.clone();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || listen(signals, &flag))
            .context("The thread that listens to signals can't be started.")?;
        Ok(Controls { commands, signalled })
    }

    /// The next request, if there is one.
    pub fn poll(&self) -> Option<Command> {
        if self.signalled.load(Ordering::Relaxed) {
            return Some(Command::Stop);
        }
        self.commands.try_recv().ok()
    }

    /// The next request, waiting for it as long as there is somebody who could make one by keys.
    pub fn wait(&self) -> Request {
        loop {
            if self.signalled.load(Ordering::Relaxed) {
                return Request::Asked(Command::Stop);
            }
            match self.commands.try_recv() {
                Ok(command) => return Request::Asked(command),
                Err(TryRecvError::Disconnected) => return Request::NobodyLeft,
                // Signals raise a flag and wake no channel.
                Err(TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

/// On a thread and not in a handler, because the terminal has to be given back before the process
/// ends, which is more than a handler may do.
fn listen(mut signals: Signals, signalled: &AtomicBool) {
    for signal in signals.forever() {
        if signalled.swap(true, Ordering::Relaxed) && signal == SIGINT {
            lookahead_dashboard::restore_terminal();
            std::process::exit(130);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::{never, unbounded};

    fn controls(commands: Receiver<Command>) -> Controls {
        Controls { commands, signalled: Arc::default() }
    }

    #[test]
    fn a_dashboard_that_ended_is_not_waited_for() {
        let (sender, commands) = unbounded();
        sender.send(Command::Checkpoint).unwrap();
        drop(sender);
        let controls = controls(commands);
        assert_eq!(controls.wait(), Request::Asked(Command::Checkpoint));
        assert_eq!(controls.wait(), Request::NobodyLeft);
        assert_eq!(controls.poll(), None);
    }

    #[test]
    fn without_a_dashboard_a_signal_is_waited_for() {
        let controls = controls(never());
        let signalled = controls.signalled.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            signalled.store(true, Ordering::Relaxed);
        });
        assert_eq!(controls.wait(), Request::Asked(Command::Stop));
    }
}
