//! What is asked of the run from outside: by keys in the dashboard, and by signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::Receiver;
use lookahead_run::command::Command;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Where requests come from. The training loop asks once a step.
#[derive(Debug)]
pub struct Controls {
    commands: Receiver<Command>,
    signalled: Arc<AtomicBool>,
}

impl Controls {
    /// Listens to `commands` and, from now on, to SIGINT, SIGTERM and SIGHUP (a closed
    /// terminal), which all ask the run to stop. A second SIGINT ends the process at once.
    ///
    /// # Errors
    /// Where the system refuses signal handlers.
    pub fn new(commands: Receiver<Command>) -> anyhow::Result<Self> {
        let signalled = Arc::new(AtomicBool::new(false));
        let register = || -> std::io::Result<()> {
            // Its turn comes first: the flag is still down at the first signal.
            signal_hook::flag::register_conditional_shutdown(SIGINT, 130, signalled.clone())?;
            signal_hook::flag::register(SIGINT, signalled.clone())?;
            signal_hook::flag::register(SIGTERM, signalled.clone())?;
            signal_hook::flag::register(SIGHUP, signalled.clone())?;
            Ok(())
        };
        register().context("The signal handlers can't be installed.")?;
        Ok(Controls { commands, signalled })
    }

    /// The next request, if there is one.
    pub fn poll(&self) -> Option<Command> {
        if self.signalled.load(Ordering::Relaxed) {
            return Some(Command::Stop);
        }
        self.commands.try_recv().ok()
    }

    /// The next request, waiting for it.
    pub fn wait(&self) -> Command {
        loop {
            if let Some(command) = self.poll() {
                return command;
            }
            // Signals raise a flag and wake no channel. A channel whose sender is gone answers
            // at once, so it is not what paces the loop.
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
