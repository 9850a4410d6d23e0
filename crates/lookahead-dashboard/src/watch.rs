//! The dashboard on runs that other processes train, or have trained.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use lookahead_run::command::Command;
use lookahead_run::folder::SILENCE_ELSEWHERE;
use lookahead_run::follow::{Followed, Follower};
use lookahead_run::{RunFolder, Writer, control};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::event_loop::{self, Asker, Link, Outcome};
use crate::model::{Model, Role};
use crate::options::Options;
use crate::run::Control;
use crate::terminal::{self, Keyboard, restore_terminal};
use crate::theme::Theme;
use crate::update::News;
use crate::worker::Worker;

/// News that wait for the dashboard at most; who reads a log waits for room.
const WAITING: usize = 1 << 14;
/// How often a log is looked at for more.
const POLL: Duration = Duration::from_millis(50);
/// How often it is seen whether the process of a run lives.
const SIGNS: Duration = Duration::from_millis(300);
/// How long a log must have been silent before a run without a process counts as crashed: a process
/// that has just ended may not have written its last line yet, or another may be about to begin.
const SILENCE: Duration = Duration::from_secs(3);
/// Events that are taken from a log at once.
const AT_ONCE: usize = 4096;
/// Bytes of a log that are still to be read, from which on that is told.
const MUCH: u64 = 8 << 20;
/// Commands to one run that wait for their answers at most.
const COMMANDS: usize = 16;

/// Shows runs on the terminal behind standard output, until the user leaves.
///
/// Runs that train are followed, and asked for things through their control sockets; what is
/// finished is shown as it ended. Runs that come through `later` are shown from then on.
///
/// # Errors
/// Where standard output is no terminal, or it goes away.
pub fn watch(
    runs: &[RunFolder],
    later: Option<Receiver<RunFolder>>,
    options: Options,
) -> io::Result<()> {
    let mut screen = terminal::take_over(options.mouse)?;
    give_back_on_signals().inspect_err(|_| restore_terminal())?;
    // Else a panic would leave by another way than an error.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let (model, mut link) = begin(runs, later, &options)?;
        event_loop::run(model, &mut screen, &mut Keyboard, &mut link)
    }));
    restore_terminal();
    match outcome {
        Ok(outcome) => match outcome? {
            Outcome::Closed(_) | Outcome::Left | Outcome::Abort => Ok(()),
        },
        Err(panic) => resume_unwind(panic),
    }
}

/// Nothing of a watcher is worth saving, but the terminal is to be as it was.
fn give_back_on_signals() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            restore_terminal();
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

/// The model of runs, and the threads that follow them.
fn begin(
    runs: &[RunFolder],
    later: Option<Receiver<RunFolder>>,
    options: &Options,
) -> io::Result<(Model, Link)> {
    let events = runs.iter().map(|run| Some(run.events_path()));
    let named = labels(runs).into_iter().zip(events).collect();
    let mut model = Model::new(Theme::new(options.theme), Role::Watcher, named);
    model.ascii = options.ascii;
    let (sender, news) = bounded(WAITING);
    let couriers = Couriers::default();
    for run in runs {
        couriers.attend(run, &sender)?;
    }
    if let Some(later) = later {
        let theirs = couriers.clone();
        thread::Builder::new().name("newcomers".into()).spawn(move || {
            for run in later {
                let index = theirs.lock().len();
                let joins = News::Joins { name: run.name().into(), events: run.events_path() };
                // Before anything else of it is told.
                if sender.send((index, joins)).is_err() {
                    return;
                }
                // Without threads there is no news of it; the others go on.
                let _ = theirs.attend(&run, &sender);
            }
        })?;
    }
    let (_never_closed, close) = bounded(0);
    // The user is the only one who ends it.
    std::mem::forget(_never_closed);
    let link = Link {
        news,
        asker: Box::new(couriers),
        worker: Worker::start()?,
        close,
        dropped: Arc::new(AtomicU64::new(0)),
    };
    Ok((model, link))
}

/// A name for each run: that of its folder, or the path where several have that name.
pub(crate) fn labels(runs: &[RunFolder]) -> Vec<String> {
    let namesakes =
        |run: &RunFolder| runs.iter().filter(|other| other.name() == run.name()).count();
    let label = |run: &RunFolder| match namesakes(run) {
        1 => run.name().to_owned(),
        _ => run.path().display().to_string(),
    };
    runs.iter().map(label).collect()
}

/// Those who carry commands, one for each run.
#[derive(Clone, Default)]
struct Couriers(Arc<Mutex<Vec<Sender<Command>>>>);

impl Couriers {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Sender<Command>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the threads of the next run.
    fn attend(&self, run: &RunFolder, news: &Sender<(usize, News)>) -> io::Result<()> {
        let (commands, asked) = bounded(COMMANDS);
        let index = {
            let mut all = self.lock();
            all.push(commands);
            all.len() - 1
        };
        let (follower, followed) = (news.clone(), run.clone());
        let name = format!("follower {index}");
        thread::Builder::new().name(name).spawn(move || follow(&followed, index, &follower))?;
        let (answers, of) = (news.clone(), run.clone());
        let name = format!("courier {index}");
        thread::Builder::new().name(name).spawn(move || carry(&of, index, &asked, &answers))?;
        Ok(())
    }
}

impl Asker for Couriers {
    fn ask(&mut self, run: usize, command: Command) -> Result<(), String> {
        let all = self.lock();
        let Some(courier) = all.get(run) else { return Err("There is no such run.".into()) };
        courier.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => "The run has not answered earlier commands yet.".into(),
            TrySendError::Disconnected(_) => "The thread that asks the run is gone.".into(),
        })
    }
}

/// Takes commands to a run, and its answers back.
fn carry(
    run: &RunFolder,
    index: usize,
    asked: &Receiver<Command>,
    answers: &Sender<(usize, News)>,
) {
    for command in asked {
        let news = match control::send(run, command.clone()) {
            Ok(()) => News::Accepted(command),
            // That it was the run that refused it is clear here.
            Err(lookahead_run::Error::Refused { message, .. }) => {
                News::Refused { command, why: message }
            }
            Err(error) => News::Refused { command, why: error.to_string() },
        };
        if answers.send((index, news)).is_err() {
            return;
        }
    }
}

const GONE: &str =
    "The event log is gone from the run's folder. If it comes back, it is read again.";

/// Reads the log of a run on and on, and looks after its process; ends with the dashboard.
fn follow(run: &RunFolder, index: usize, news: &Sender<(usize, News)>) {
    let mut follower = Follower::new(&run.events_path());
    let (mut looked, mut heard, mut reading) = (None::<Instant>, Instant::now(), false);
    let (mut complained, mut seen) = (None, false);
    let tell = |what| news.send((index, what)).is_ok();
    loop {
        let found = follower.read(AT_ONCE);
        let nothing_new = !matches!(&found, Ok(found) if !found.is_empty());
        match found {
            Ok(found) => {
                if !found.is_empty() {
                    heard = Instant::now();
                }
                for item in found {
                    let what = match item {
                        Followed::Record { record, at } => News::Record(Box::new(record), Some(at)),
                        Followed::Restarted => News::Restarted,
                        Followed::Damaged { line, cause } => News::Damaged { line, cause },
                    };
                    if !tell(what) {
                        return;
                    }
                }
                let (read, all) = follower.progress();
                let much = all.saturating_sub(read) > MUCH;
                if (much || reading) && !tell(News::Reading(if much { read } else { all }, all)) {
                    return;
                }
                reading = much;
            }
            // Said once: it may be mended, and it is asked for again and again.
            Err(error) => {
                let why = error.to_string();
                if complained.as_ref() != Some(&why) {
                    let cause = why.clone();
                    complained = Some(why);
                    if !tell(News::Unreadable(cause)) {
                        return;
                    }
                }
            }
        }
        if looked.is_none_or(|at| at.elapsed() >= SIGNS) {
            looked = Some(Instant::now());
            // A lock that can't be asked for, as on some network file systems, tells nothing.
            let there = run.events_path().exists();
            if !there && seen && !tell(News::Unreadable(GONE.into())) {
                return;
            }
            seen = there;
            let written = run.events_path().metadata().and_then(|found| found.modified());
            let silent = written.ok().and_then(|at| at.elapsed().ok()).unwrap_or(heard.elapsed());
            let writer = run.writer().unwrap_or(Writer::Alive);
            let patience = if writer == Writer::Gone { SILENCE } else { SILENCE_ELSEWHERE };
            // Of a run that has not begun there is nothing to be told.
            let lives = !there || writer == Writer::Alive || silent < patience;
            let socket = run.path().join(control::FILE_NAME).exists();
            let control = if socket { Control::Open } else { Control::ViewOnly };
            if !tell(News::Life { alive: lives, control }) {
                return;
            }
        }
        if nothing_new {
            thread::sleep(POLL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_name_are_told_apart_by_their_paths() {
        let temp = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|folder| {
            let out = temp.path().join(folder);
            std::fs::create_dir(&out).unwrap();
            RunFolder::create(&out, "run").unwrap()
        });
        let other = RunFolder::create(temp.path(), "other").unwrap();
        let found = labels(&[a, other, b]);
        assert!(found[0].ends_with("a/run") && found[2].ends_with("b/run"), "{found:?}");
        assert_eq!(found[1], "other");
    }
}
