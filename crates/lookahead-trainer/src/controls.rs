//! Requests to the run: by keys in the dashboard, through the control socket, and by signals.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, after, bounded, select};
use lookahead_run::command::Command;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
use signal_hook::iterator::Signals;

use crate::console::{eprint_line, flush_briefly, shorten_patience};

/// The sources of requests, which the training loop polls once a step.
#[derive(Debug)]
pub struct Controls {
    /// From the dashboard's keys.
    keys: Receiver<Command>,
    /// From other processes.
    remote: Receiver<Command>,
    /// Received while looking for a request to stop, and not carried out yet.
    pending: VecDeque<Command>,
    signalled: Arc<AtomicBool>,
    /// Whether the terminal was closed, until that is reported.
    hung_up: Arc<AtomicBool>,
    /// Whether the process was continued after a stop, until that is reported.
    continued: Arc<AtomicBool>,
    /// Dropped when the run is saved, which ends the deadline.
    unsaved: Option<Sender<()>>,
}

/// Signals that request a run to save and stop. With the last three, cluster schedulers announce the end of a job.
pub(crate) const STOPS: [i32; 5] = [SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU];

/// What to do when the terminal is closed (SIGHUP).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// Stop the run.
    Stop,
    /// Continue, and note it.
    Note,
    /// Nothing: the signal was ignored when the program started, for example by `nohup`.
    Ignore,
}

impl Hangup {
    /// What to do here; with `keep_on` the training continues.
    pub fn of(keep_on: bool) -> Self {
        if is_ignored(SIGHUP) {
            Hangup::Ignore
        } else if keep_on {
            Hangup::Note
        } else {
            Hangup::Stop
        }
    }
}

/// Whether the process ignores a signal.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_in(&status, signal)
}

/// Whether a process's status in `/proc` lists a signal as ignored: signal n is bit n - 1 of a hexadecimal number.
fn ignored_in(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// How much later than the training's own thread another one may handle a signal, on a busy machine.
pub(crate) const LATE_SIGNAL: Duration = Duration::from_millis(200);

/// The most requests that wait for the end of an evaluation.
const MOST_PENDING: usize = 64;

/// The result of waiting for a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// A request.
    Command(Command),
    /// None within the time.
    Timeout,
    /// The dashboard was closed, so no keys will come.
    DashboardClosed,
}

impl Controls {
    /// Listens to both channels and to signals that stop the run: SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, and SIGHUP if `hangup` says so. A second
    /// SIGINT ends the process at once, and so does the `deadline` after the first signal, if there is one. Then the
    /// command `resume` is printed.
    ///
    /// # Errors
    /// If the system refuses signal handlers.
    pub fn new(
        keys: Receiver<Command>,
        remote: Receiver<Command>,
        deadline: Option<Duration>,
        hangup: Hangup,
        resume: String,
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
            .spawn(move || listen(signals, &flag, deadline, &saved, &resume))
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

    /// Listens to both channels only.
    pub(crate) fn without_signals(keys: Receiver<Command>, remote: Receiver<Command>) -> Self {
        Controls {
            keys,
            remote,
            pending: VecDeque::new(),
            signalled: Arc::default(),
            hung_up: Arc::default(),
            continued: Arc::default(),
            unsaved: None,
        }
    }

    /// Whether the terminal was closed since the last call, and the training continues.
    pub(crate) fn terminal_was_closed(&self) -> bool {
        self.hung_up.load(Ordering::Relaxed) && self.hung_up.swap(false, Ordering::Relaxed)
    }

    /// Whether the process was stopped, for example by Ctrl-Z, and continued since the last call.
    pub(crate) fn was_continued(&self) -> bool {
        self.continued.load(Ordering::Relaxed) && self.continued.swap(false, Ordering::Relaxed)
    }

    /// As [`was_continued`](Self::was_continued), after a step so long that the process may have been stopped in it. The
    /// threads of a stopped process continue in any order, and any of them may get SIGCONT, so the flag may come a moment
    /// after the step's end.
    pub(crate) fn will_be_continued(&self) -> bool {
        let began = Instant::now();
        while began.elapsed() < LATE_SIGNAL {
            if self.was_continued() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }

    /// The run is saved: ends the deadline of a signal.
    pub(crate) fn saved(&mut self) {
        self.unsaved = None;
    }

    /// The next request, if there is one.
    pub(crate) fn poll(&mut self) -> Option<Command> {
        if self.signalled.load(Ordering::Relaxed) {
            return Some(Command::Stop);
        }
        let pending = self.pending.pop_front();
        pending.or_else(|| self.keys.try_recv().ok()).or_else(|| self.remote.try_recv().ok())
    }

    /// Whether a command is among the requests that wait, which it then leaves.
    pub(crate) fn take(&mut self, command: &Command) -> bool {
        self.collect_pending();
        let place = self.pending.iter().position(|pending| pending == command);
        place.and_then(|place| self.pending.remove(place)).is_some()
    }

    /// Whether a request to stop is among those that wait; the others keep their order.
    pub(crate) fn stop_is_requested(&mut self) -> bool {
        self.collect_pending();
        self.signalled.load(Ordering::Relaxed) || self.pending.contains(&Command::Stop)
    }

    fn collect_pending(&mut self) {
        // The rest stays in the channels, so that their senders notice.
        let room = MOST_PENDING.saturating_sub(self.pending.len());
        self.pending.extend(self.keys.try_iter().chain(self.remote.try_iter()).take(room));
    }

    /// Waits for the next request. A closed dashboard is reported once.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Request {
        let request = self.wait_for_any(timeout);
        if request == Request::DashboardClosed {
            self.keys = crossbeam_channel::never();
        }
        request
    }

    fn wait_for_any(&mut self, timeout: Duration) -> Request {
        if let Some(command) = self.poll() {
            return Request::Command(command);
        }
        // A signal sets a flag and wakes no channel, so the timeout should be short.
        let received = select! {
            recv(self.keys) -> command => command.map_err(|_| RecvTimeoutError::Disconnected),
            recv(self.remote) -> command => command.map_err(|_| RecvTimeoutError::Timeout),
            recv(after(timeout)) -> _ => Err(RecvTimeoutError::Timeout),
        };
        match received {
            Ok(command) => Request::Command(command),
            Err(RecvTimeoutError::Disconnected) => Request::DashboardClosed,
            // If both channels are ready, `select` takes either.
            Err(RecvTimeoutError::Timeout) => match self.keys.try_recv() {
                Ok(command) => Request::Command(command),
                Err(TryRecvError::Disconnected) => Request::DashboardClosed,
                Err(TryRecvError::Empty) => Request::Timeout,
            },
        }
    }
}

/// Runs in a thread, because a signal handler must not restore the terminal.
fn listen(
    mut signals: Signals,
    signalled: &AtomicBool,
    deadline: Option<Duration>,
    saved: &Receiver<()>,
    resume: &str,
) {
    for signal in signals.forever() {
        let is_first = !signalled.swap(true, Ordering::Relaxed);
        shorten_patience();
        if !is_first && signal == SIGINT {
            lookahead_dashboard::restore_terminal();
            if saved.try_recv() != Err(TryRecvError::Disconnected) {
                eprint_line(format_args!(
                    "Ended at once, before a checkpoint was saved. The run continues from its newest earlier one, if \
                     there is one.\nResume with: {resume}"
                ));
            }
            leave(130);
        }
        if let (true, Some(deadline)) = (is_first, deadline) {
            let (saved, resume) = (saved.clone(), resume.to_owned());
            let watch = move || {
                if saved.recv_timeout(deadline) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
                lookahead_dashboard::restore_terminal();
                eprint_line(format_args!(
                    "Nothing was saved within {} s of the signal (`checkpoint.deadline_seconds`), so the program \
                     ends. The run continues from its newest earlier checkpoint, if there is one.\nResume with: \
                     {resume}",
                    deadline.as_secs()
                ));
                leave(1);
            };
            // Without a thread there is no deadline.
            let _ = std::thread::Builder::new().name("deadline".into()).spawn(watch);
        }
    }
}

/// Ends the process at once: no destructor of libtorch may run while other threads compute.
pub(crate) fn leave(status: i32) {
    lookahead_dashboard::restore_terminal();
    flush_briefly();
    signal_hook::low_level::exit(status);
}

#[cfg(test)]
mod tests;
