//! What is asked of the run from outside: by keys in the dashboard, through the control socket, and
//! by signals.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, after, bounded, select};
use lookahead_run::command::Command;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
use signal_hook::iterator::Signals;

use crate::console::{eprint_line, flush_briefly, hurry};

/// Where requests come from. The training loop asks once a step.
#[derive(Debug)]
pub struct Controls {
    /// From the dashboard's keys.
    keys: Receiver<Command>,
    /// From other processes.
    remote: Receiver<Command>,
    /// Taken out of the channels in a look for a request to stop, and not done yet.
    pending: VecDeque<Command>,
    signalled: Arc<AtomicBool>,
    /// Whether the terminal is gone, which nobody has been told of yet.
    hung_up: Arc<AtomicBool>,
    /// The process went on after a stop, and nobody has asked yet.
    continued: Arc<AtomicBool>,
    /// Dropped when the run is saved: then no deadline holds any more.
    unsaved: Option<Sender<()>>,
}

/// Signals that ask a run to save and stop. By the last three schedulers of clusters give notice of the
/// end of a job's time.
pub const STOPS: [i32; 5] = [SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU];

/// What a closed terminal (SIGHUP) means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// The run is asked to stop.
    Stop,
    /// The training goes on, and that is told.
    Note,
    /// Nothing: it was ignored when the program started, as `nohup` has it, and stays so.
    Ignore,
}

impl Hangup {
    /// What it means here, where the training is to be kept on at one or not.
    pub fn of(keep_on: bool) -> Self {
        match (is_ignored(SIGHUP), keep_on) {
            (true, _) => Hangup::Ignore,
            (false, true) => Hangup::Note,
            (false, false) => Hangup::Stop,
        }
    }
}

/// Whether the process ignores a signal.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_in(&status, signal)
}

/// Whether the kernel's words on a process name a signal as ignored: bit n - 1 of a number in
/// hexadecimal stands for signal n.
fn ignored_in(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Requests that wait for the end of an evaluation, at most.
const MOST_PENDING: usize = 64;

/// What came of waiting.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Somebody asks for something.
    Command(Command),
    /// Nobody did, all this time.
    Timeout,
    /// The dashboard is gone, and with it the keys.
    DashboardClosed,
}

impl Controls {
    /// Listens to both channels and, from now on, to SIGINT, SIGTERM and, as `hangup` has it, SIGHUP
    /// (a closed terminal), which all ask the run to stop. A second SIGINT ends the process at once,
    /// and so does `deadline` after the first signal, if there is one.
    ///
    /// # Errors
    /// Where the system refuses signal handlers.
    pub fn new(
        keys: Receiver<Command>,
        remote: Receiver<Command>,
        deadline: Option<Duration>,
        hangup: Hangup,
    ) -> anyhow::Result<Self> {
        let (signalled, hung_up) = (Arc::<AtomicBool>::default(), Arc::default());
        let refused = "The signal handlers can't be installed.";
        let signals = Signals::new(STOPS).context(refused)?;
        match hangup {
            Hangup::Stop => signals.add_signal(SIGHUP).context(refused)?,
            Hangup::Note => {
                signal_hook::flag::register(SIGHUP, Arc::clone(&hung_up)).context(refused)?;
            }
            Hangup::Ignore => {}
        }
        let continued = Arc::default();
        signal_hook::flag::register(SIGCONT, Arc::clone(&continued)).context(refused)?;
        let flag = signalled.clone();
        let (unsaved, saved) = bounded(0);
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || listen(signals, &flag, deadline, &saved))
            .context("The thread that listens to signals can't be started.")?;
        let pending = VecDeque::new();
        Ok(Controls {
            keys,
            remote,
            pending,
            signalled,
            hung_up,
            continued,
            unsaved: Some(unsaved),
        })
    }

    /// Whether the terminal has gone since the last time that this was asked, and the training is to
    /// go on.
    pub fn terminal_is_gone(&self) -> bool {
        self.hung_up.load(Ordering::Relaxed) && self.hung_up.swap(false, Ordering::Relaxed)
    }

    /// Whether the process was stopped, as by Ctrl-Z, and went on since this was last asked.
    pub fn was_continued(&self) -> bool {
        self.continued.load(Ordering::Relaxed) && self.continued.swap(false, Ordering::Relaxed)
    }

    /// The run is saved: the deadline of a signal holds no more.
    pub fn saved(&mut self) {
        self.unsaved = None;
    }

    /// The next request, if there is one.
    pub fn poll(&mut self) -> Option<Command> {
        if self.signalled.load(Ordering::Relaxed) {
            return Some(Command::Stop);
        }
        let pending = self.pending.pop_front();
        pending.or_else(|| self.keys.try_recv().ok()).or_else(|| self.remote.try_recv().ok())
    }

    /// Whether a request to stop waits among the others, which keep their places.
    pub fn stop_is_requested(&mut self) -> bool {
        // What finds no room stays in its channel, where its sender notices.
        let room = MOST_PENDING.saturating_sub(self.pending.len());
        self.pending.extend(self.keys.try_iter().chain(self.remote.try_iter()).take(room));
        self.signalled.load(Ordering::Relaxed) || self.pending.contains(&Command::Stop)
    }

    /// The next request, waiting for it for a while. That the dashboard is gone is told once, and
    /// from then on the others alone are waited for.
    pub fn wait(&mut self, a_while: Duration) -> Request {
        let request = self.wait_for_any(a_while);
        if request == Request::DashboardClosed {
            self.keys = crossbeam_channel::never();
        }
        request
    }

    fn wait_for_any(&mut self, a_while: Duration) -> Request {
        if let Some(command) = self.poll() {
            return Request::Command(command);
        }
        // Signals raise a flag and wake no channel, so the while should be short.
        let received = select! {
            recv(self.keys) -> command => command.map_err(|_| RecvTimeoutError::Disconnected),
            recv(self.remote) -> command => command.map_err(|_| RecvTimeoutError::Timeout),
            recv(after(a_while)) -> _ => Err(RecvTimeoutError::Timeout),
        };
        match received {
            Ok(command) => Request::Command(command),
            Err(RecvTimeoutError::Disconnected) => Request::DashboardClosed,
            // Of two channels that are ready either may have been looked at.
            Err(RecvTimeoutError::Timeout) => match self.keys.try_recv() {
                Ok(command) => Request::Command(command),
                Err(TryRecvError::Disconnected) => Request::DashboardClosed,
                Err(TryRecvError::Empty) => Request::Timeout,
            },
        }
    }
}

/// On a thread and not in a handler, because the terminal has to be given back before the process
/// ends, which is more than a handler may do.
fn listen(
    mut signals: Signals,
    signalled: &AtomicBool,
    deadline: Option<Duration>,
    saved: &Receiver<()>,
) {
    for signal in signals.forever() {
        let is_first = !signalled.swap(true, Ordering::Relaxed);
        hurry();
        if !is_first && signal == SIGINT {
            leave(130);
        }
        if let (true, Some(deadline)) = (is_first, deadline) {
            let saved = saved.clone();
            let watch = move || {
                if saved.recv_timeout(deadline) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
                lookahead_dashboard::restore_terminal();
                eprint_line(format_args!(
                    "Nothing was saved within {} s of the signal, which is \
                     `checkpoint.deadline_seconds`: the program ends, and `lookahead resume` goes on \
                     from the newest checkpoint before, if there is one.",
                    deadline.as_secs()
                ));
                leave(1);
            };
            // Without a thread there is no deadline, and the run ends in order all the same.
            let _ = std::thread::Builder::new().name("deadline".into()).spawn(watch);
        }
    }
}

/// Ends the process at once: no destructor of libtorch's may run while other threads compute.
fn leave(status: i32) {
    lookahead_dashboard::restore_terminal();
    flush_briefly();
    signal_hook::low_level::exit(status);
}

#[cfg(test)]
mod tests;
