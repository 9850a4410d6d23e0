//! Follows the logs of any number of runs with a few threads.
//!
//! The runs wait in a queue, in the order in which they are due. A thread takes the first, reads what
//! is new in its log, looks whether its process is still there, and puts it back: at once where there
//! is more to read, soon if it is running, later if it is not. A disk that doesn't answer holds up one
//! thread only.

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
use crate::run::Control;

/// Threads, however many runs are followed.
const THREADS: usize = 4;
/// How often a log is looked at for more.
const POLL: Duration = Duration::from_millis(50);
/// The same for a run that has ended or has no process.
const QUIET_POLL: Duration = Duration::from_millis(900);
/// How often to check whether the process of a run is alive.
const SIGNS: Duration = Duration::from_millis(300);
/// Events that are taken from a log at once.
const AT_ONCE: usize = 4096;
/// Bytes of a log still to be read from which on the progress is shown.
const MUCH: u64 = 8 << 20;

const GONE: &str =
    "The event log is gone from the run's folder. If it comes back, it is read again.";

/// The queue of the runs, and its threads, which end when the news have no receiver any more.
#[derive(Clone)]
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

    /// Waits for the next run that is due.
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
    /// Where the system gives none.
    pub(crate) fn start(news: Sender<(usize, RunUpdate)>) -> io::Result<Followers> {
        let queue = Arc::new(Queue::default());
        for number in 0..THREADS {
            let (theirs, news) = (queue.clone(), news.clone());
            let thread = thread::Builder::new().name(format!("follower {number}"));
            thread.spawn(move || work(&theirs, &news))?;
        }
        Ok(Followers(queue))
    }

    /// Follows a run from now on, with news under that number.
    pub(crate) fn follow(&self, index: usize, run: &RunFolder) {
        self.0.put(Instant::now(), index, Following::new(run.clone()));
    }
}

fn work(queue: &Queue, news: &Sender<(usize, RunUpdate)>) {
    loop {
        let (index, mut run) = queue.take();
        match run.look(|what| news.send((index, what))) {
            Ok(after) => queue.put(Instant::now() + after, index, run),
            Err(SendError(_)) => return,
        }
    }
}

/// One run, and what has been told of it.
struct Following {
    run: RunFolder,
    tail: LogTail,
    /// When its process was looked for, and when its log had something new.
    looked: Option<Instant>,
    heard: Instant,
    /// Much of its log was unread.
    reading: bool,
    complained: Option<String>,
    /// The last event of its log is its end.
    has_ended: bool,
    /// Its log was there.
    seen: bool,
    life: Option<(bool, Control)>,
}

type Told = Result<(), SendError<(usize, RunUpdate)>>;

impl Following {
    fn new(run: RunFolder) -> Self {
        let tail = LogTail::new(&run.events_path());
        Following {
            run,
            tail,
            looked: None,
            heard: Instant::now(),
            reading: false,
            complained: None,
            has_ended: false,
            seen: false,
            life: None,
        }
    }

    /// Tells what is new, and returns when to look again.
    fn look(
        &mut self,
        tell: impl Fn(RunUpdate) -> Told,
    ) -> Result<Duration, SendError<(usize, RunUpdate)>> {
        let is_new = self.read(&tell)?;
        let signs = if self.is_quiet() { Duration::ZERO } else { SIGNS };
        if self.looked.is_none_or(|at| at.elapsed() >= signs) {
            self.looked = Some(Instant::now());
            self.look_for_process(&tell)?;
        }
        Ok(match is_new {
            true => Duration::ZERO,
            false if self.is_quiet() => {
                self.tail.rest();
                QUIET_POLL
            }
            false => POLL,
        })
    }

    /// Nothing is likely to come: the run has ended, or it has no process.
    fn is_quiet(&self) -> bool {
        self.has_ended || matches!(self.life, Some((false, _)))
    }

    /// Tells what is new in the log; whether anything is.
    fn read(
        &mut self,
        tell: &impl Fn(RunUpdate) -> Told,
    ) -> Result<bool, SendError<(usize, RunUpdate)>> {
        let found = match self.tail.read(AT_ONCE) {
            Ok(found) => found,
            // Told once: it is read again and again, and the cause may go away.
            Err(error) => {
                let why = error.to_string();
                if self.complained.as_ref() != Some(&why) {
                    self.complained = Some(why.clone());
                    tell(RunUpdate::Unreadable(why))?;
                }
                return Ok(false);
            }
        };
        let is_new = !found.is_empty();
        if is_new {
            self.heard = Instant::now();
            // An event is a sign of life, which may be taken back.
            self.life = None;
        }
        for item in found {
            if let LogItem::Record(Record { event, .. }) = &item {
                self.has_ended = matches!(event, Event::RunEnded(_));
            }
            tell(match item {
                LogItem::Record(record) => RunUpdate::Record(Box::new(record)),
                LogItem::Restarted => RunUpdate::Restarted,
                LogItem::Damaged { line, cause } => RunUpdate::Damaged { line, cause },
            })?;
        }
        let (read, all) = self.tail.progress();
        let much = all.saturating_sub(read) > MUCH;
        if much || self.reading {
            tell(RunUpdate::Reading(if much { read } else { all }, all))?;
        }
        self.reading = much;
        Ok(is_new)
    }

    fn look_for_process(&mut self, tell: &impl Fn(RunUpdate) -> Told) -> Told {
        let run = &self.run;
        let written = run.events_path().metadata();
        let there = written.is_ok();
        if !there && self.seen {
            tell(RunUpdate::Unreadable(GONE.into()))?;
        }
        self.seen = there;
        let written = written.and_then(|found| found.modified());
        let silent = written.ok().and_then(|at| at.elapsed().ok()).unwrap_or(self.heard.elapsed());
        // A lock that can't be asked for, as on some network file systems, tells nothing.
        let writer = run.writer().unwrap_or(Writer::Alive);
        let patience = if writer == Writer::Gone { SILENCE } else { SILENCE_ELSEWHERE };
        // Of a run that has not begun there is nothing to tell.
        let alive = !there || writer == Writer::Alive || silent < patience;
        let socket = run.path().join(control::FILE_NAME).exists();
        let control = if socket { Control::Open } else { Control::ViewOnly };
        if self.life.replace((alive, control)) != Some((alive, control)) {
            tell(RunUpdate::Life { alive, control })?;
        }
        Ok(())
    }
}
