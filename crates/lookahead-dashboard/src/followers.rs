//! Follows the logs of any number of runs with a few threads.
//!
//! A thread polls its runs: it reads what is new in a log, and checks whether the process still exists. It
//! polls again at once if there is more to read, soon if the run is running, later if it is not. A disk
//! that doesn't answer blocks one thread only.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, SendError, Sender, unbounded};
use lookahead_run::event::{Event, Record};
use lookahead_run::folder::{SILENCE, SILENCE_ELSEWHERE};
use lookahead_run::{LogItem, LogTail, RunFolder, Writer, control};

use crate::message::RunUpdate;
use crate::run::connection::Control;

/// The number of threads, for any number of runs.
const THREADS: usize = 4;
/// How often a log is polled.
const POLL: Duration = Duration::from_millis(50);
/// The same for a run that has ended or whose process is gone.
const QUIET_POLL: Duration = Duration::from_millis(900);
/// How often to check whether the process of a run exists.
const HEARTBEAT: Duration = Duration::from_millis(300);
/// Most events that are read from a log at once.
const AT_ONCE: usize = 4096;
/// Unread bytes of a log from which on the progress is reported.
const MUCH: u64 = 8 << 20;

const GONE: &str = "The event log is gone from the run's folder. If it returns, it is read again.";

/// The threads, which end with this.
pub(crate) struct Followers(Sender<(usize, Following)>);

impl Followers {
    /// Starts the threads.
    ///
    /// # Errors
    /// If a thread can't be started.
    pub(crate) fn start(updates: Sender<(usize, RunUpdate)>) -> io::Result<Followers> {
        let (sender, new) = unbounded();
        for number in 0..THREADS {
            let (new, updates) = (new.clone(), updates.clone());
            let thread = thread::Builder::new().name(format!("follower {number}"));
            thread.spawn(move || follow_all(&new, &updates))?;
        }
        Ok(Followers(sender))
    }

    /// Follows a run from now on; its updates carry this number. Its log is read from where `tail` is.
    pub(crate) fn follow(&self, index: usize, run: &RunFolder, tail: LogTail) {
        let _ = self.0.send((index, Following::new(run.clone(), tail)));
    }
}

/// Polls the runs of a thread when they are due, and takes a new one whenever it is idle.
fn follow_all(new: &Receiver<(usize, Following)>, updates: &Sender<(usize, RunUpdate)>) {
    let mut runs: Vec<(Instant, usize, Following)> = Vec::new();
    loop {
        let due = runs.iter().map(|(due, ..)| *due).min();
        match new.recv_deadline(due.unwrap_or_else(|| Instant::now() + QUIET_POLL)) {
            Ok((index, run)) => runs.push((Instant::now(), index, run)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        for (due, index, run) in runs.iter_mut().filter(|(due, ..)| *due <= Instant::now()) {
            match run.poll(|update| updates.send((*index, update))) {
                Ok(after) => *due = Instant::now() + after,
                Err(SendError(_)) => return,
            }
        }
    }
}

/// A run, and what has been reported of it.
struct Following {
    run: RunFolder,
    tail: LogTail,
    /// When its process was last checked.
    checked: Option<Instant>,
    /// When its log last had something new.
    changed: Instant,
    /// Much of its log was unread.
    reading: bool,
    /// The last error about its log.
    error: Option<String>,
    /// The last event of its log is its end.
    has_ended: bool,
    /// Its log existed.
    seen: bool,
    heartbeat: Option<(bool, Control)>,
}

type Sent<T = ()> = Result<T, SendError<(usize, RunUpdate)>>;

impl Following {
    fn new(run: RunFolder, tail: LogTail) -> Self {
        Following {
            run,
            tail,
            checked: None,
            changed: Instant::now(),
            reading: false,
            error: None,
            has_ended: false,
            seen: false,
            heartbeat: None,
        }
    }

    /// Reports what is new, and returns when to poll again.
    fn poll(&mut self, report: impl Fn(RunUpdate) -> Sent) -> Sent<Duration> {
        let is_new = self.read(&report)?;
        if self.is_quiet() || self.checked.is_none_or(|at| at.elapsed() >= HEARTBEAT) {
            self.checked = Some(Instant::now());
            self.check_process(&report)?;
        }
        if is_new {
            return Ok(Duration::ZERO);
        }
        if self.is_quiet() {
            self.tail.rest();
            return Ok(QUIET_POLL);
        }
        Ok(POLL)
    }

    /// Whether the run has ended or has no process, so that nothing more is likely to come.
    fn is_quiet(&self) -> bool {
        self.has_ended || matches!(self.heartbeat, Some((false, _)))
    }

    /// Reports what is new in the log; returns whether anything is.
    fn read(&mut self, report: &impl Fn(RunUpdate) -> Sent) -> Sent<bool> {
        let found = match self.tail.read(AT_ONCE) {
            Ok(found) => found,
            // Reported once: the log is read again and again, and the cause may go away.
            Err(error) => {
                let error = error.to_string();
                if self.error.as_ref() != Some(&error) {
                    self.error = Some(error.clone());
                    report(RunUpdate::Unreadable(error))?;
                }
                return Ok(false);
            }
        };
        let is_new = !found.is_empty();
        if is_new {
            self.changed = Instant::now();
            // Events show that the process exists, so the next check must report it even if unchanged.
            self.heartbeat = None;
        }
        for item in found {
            if let LogItem::Record(Record { event, .. }) = &item {
                self.has_ended = matches!(event, Event::RunEnded(_));
            }
            report(item.into())?;
        }
        let (read, all) = self.tail.progress();
        let much = all.saturating_sub(read) > MUCH;
        if much || self.reading {
            report(RunUpdate::Reading(if much { read } else { all }, all))?;
        }
        self.reading = much;
        Ok(is_new)
    }

    fn check_process(&mut self, report: &impl Fn(RunUpdate) -> Sent) -> Sent {
        let run = &self.run;
        let written = run.events_path().metadata();
        let exists = written.is_ok();
        if !exists && self.seen {
            report(RunUpdate::Unreadable(GONE.into()))?;
        }
        self.seen = exists;
        let written = written.and_then(|found| found.modified());
        let silent =
            written.ok().and_then(|at| at.elapsed().ok()).unwrap_or(self.changed.elapsed());
        // On some network file systems the lock can't be checked.
        let writer = run.writer().unwrap_or(Writer::Alive);
        let patience = if writer == Writer::Gone { SILENCE } else { SILENCE_ELSEWHERE };
        // A run without a log has not begun.
        let alive = !exists || writer == Writer::Alive || silent < patience;
        let socket = run.path().join(control::FILE_NAME).exists();
        let control = if socket { Control::Open } else { Control::ViewOnly };
        if self.heartbeat.replace((alive, control)) != Some((alive, control)) {
            report(RunUpdate::Heartbeat { alive, control })?;
        }
        Ok(())
    }
}
