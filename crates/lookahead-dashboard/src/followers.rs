//! Follows the logs of any number of runs with a few threads.
//!
//! The runs wait in a queue, ordered by when they are due. A thread takes the first, reads what is new in
//! its log, checks whether its process still exists, and puts it back: at once if there is more to read,
//! soon if it is running, later if it is not. A disk that doesn't answer blocks one thread only.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{SendError, Sender};
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

/// The queue of the runs. Its threads end when the updates have no receiver any more.
pub(crate) struct Followers(Arc<Queue>);

#[derive(Default)]
struct Queue {
    runs: Mutex<BTreeMap<(Instant, usize), Following>>,
    added: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Instant, usize), Following>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, due: Instant, index: usize, run: Following) {
        let mut runs = self.lock();
        runs.insert((due, index), run);
        if runs.first_key_value().is_some_and(|((first, _), _)| *first == due) {
            self.added.notify_one();
        }
    }

    /// Waits for the next run to be due.
    fn take(&self) -> (usize, Following) {
        let mut runs = self.lock();
        loop {
            let now = Instant::now();
            let wait = match runs.first_entry() {
                Some(first) if first.key().0 <= now => {
                    let ((_, index), run) = first.remove_entry();
                    return (index, run);
                }
                Some(first) => first.key().0 - now,
                None => QUIET_POLL,
            };
            let waited = self.added.wait_timeout(runs, wait);
            runs = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Followers {
    /// Starts the threads.
    ///
    /// # Errors
    /// If a thread can't be started.
    pub(crate) fn start(updates: Sender<(usize, RunUpdate)>) -> io::Result<Followers> {
        let queue = Arc::new(Queue::default());
        for number in 0..THREADS {
            let (queue, updates) = (queue.clone(), updates.clone());
            let thread = thread::Builder::new().name(format!("follower {number}"));
            thread.spawn(move || work(&queue, &updates))?;
        }
        Ok(Followers(queue))
    }

    /// Follows a run from now on; its updates carry this number.
    pub(crate) fn follow(&self, index: usize, run: &RunFolder) {
        self.0.put(Instant::now(), index, Following::new(run.clone()));
    }
}

fn work(queue: &Queue, updates: &Sender<(usize, RunUpdate)>) {
    loop {
        let (index, mut run) = queue.take();
        match run.poll(|update| updates.send((index, update))) {
            Ok(after) => queue.put(Instant::now() + after, index, run),
            Err(SendError(_)) => return,
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
    fn new(run: RunFolder) -> Self {
        let tail = LogTail::new(&run.events_path());
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
            report(match item {
                LogItem::Record(record) => RunUpdate::Record(Box::new(record)),
                LogItem::Restarted => RunUpdate::Restarted,
                LogItem::Damaged { line, cause } => RunUpdate::Damaged { line, cause },
            })?;
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
