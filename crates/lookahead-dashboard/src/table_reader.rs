//! Reads the runs of a table, again and again, on a thread of its own: the two ends of a log first, then all of it for
//! the best value. A log is read again if it has changed.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use lookahead_run::settings::{self, Settings};
use lookahead_run::{BestReader, Glance, RunFolder};

use crate::model::table::{Row, RowState, TableUpdate};

/// A function that finds the folders of the runs that are there now, with their names.
pub(crate) type Find = Box<dyn FnMut() -> Vec<(String, PathBuf)> + Send>;

/// The number of threads that read.
const THREADS: usize = 4;
/// Most runs that are read in the first round, so that the first screen comes soon.
const FIRST: usize = 64;
/// Most that are read in each later round, or a quarter of those unread: a round looks at all runs, so that few runs in
/// each of many rounds would take a time that grows with the square of their number.
const AT_ONCE: usize = 256;
/// How long a round looks for best values, and how much of a log it reads at once.
const BEST: Duration = Duration::from_millis(200);
const PIECE: u64 = 4 << 20;
/// The time from one round to the next if nothing is left to read.
const ROUND: Duration = Duration::from_secs(1);
/// How often a run that is running is read although its log is the same: its process may be gone.
const PATIENCE: Duration = Duration::from_secs(3);

/// The length and the time of change of a log.
type Stamp = Option<(u64, i64, i64)>;

/// A run, and what is known of it.
struct Known {
    name: String,
    folder: RunFolder,
    stamp: Stamp,
    /// The stamp with which it was read last, and when.
    read: Option<(Stamp, Instant)>,
    row: Option<Row>,
    best: Option<BestReader>,
    /// All of the log up to now was read for it.
    has_best: bool,
}

/// Starts the thread, which ends when no one receives its updates.
///
/// # Errors
/// If the system refuses a thread.
pub(crate) fn start(find: Find, updates: Sender<TableUpdate>) -> io::Result<()> {
    let mut reader = Reader { find, known: Vec::new() };
    let thread = thread::Builder::new().name("table".into());
    thread.spawn(move || {
        let _ = rustix::process::nice(5);
        loop {
            let started = Instant::now();
            let update = reader.round();
            if updates.send(update).is_err() {
                return;
            }
            if !reader.has_more() {
                thread::sleep(ROUND.saturating_sub(started.elapsed()));
            }
        }
    })?;
    Ok(())
}

/// Reads all runs that are there, each as a whole.
pub(crate) fn read_all(find: Find, mut apply: impl FnMut(TableUpdate)) {
    let mut reader = Reader { find, known: Vec::new() };
    apply(reader.round());
    while reader.has_more() {
        apply(reader.round());
    }
}

struct Reader {
    find: Find,
    /// By the number of the run; one that is gone has none.
    known: Vec<Option<Known>>,
}

impl Reader {
    /// Reads what has changed, at most so much that it takes a moment.
    fn round(&mut self) -> TableUpdate {
        let gone = self.find();
        let is_first = self.known.iter().flatten().all(|known| known.row.is_none());
        let due = self.due(if is_first { FIRST } else { AT_ONCE.max(self.unread() / 4) });
        let new_settings = self.read(&due);
        let unread = self.unread();
        // First every run has its row.
        let better = if unread == 0 { self.read_best(Instant::now() + BEST) } else { Vec::new() };
        let mut changed: Vec<usize> = due;
        changed.extend(better);
        changed.sort_unstable();
        changed.dedup();
        let keys = (new_settings || !gone.is_empty()).then(|| self.differing());
        let row = |number: &usize| {
            let row = self.known[*number].as_ref().and_then(|known| known.row.clone());
            (*number, row)
        };
        let rows = gone.into_iter().map(|number| (number, None));
        let rows: Vec<_> = rows.chain(changed.iter().map(row)).collect();
        TableUpdate { rows, keys, unread }
    }

    /// How many runs have no row yet.
    fn unread(&self) -> usize {
        self.known.iter().flatten().filter(|known| known.row.is_none()).count()
    }

    /// Whether something is left to read at once.
    fn has_more(&self) -> bool {
        self.known.iter().flatten().any(|known| known.row.is_none() || !known.has_best)
    }

    /// Looks for runs; returns those that are gone.
    fn find(&mut self) -> Vec<usize> {
        let found = (self.find)();
        let there: HashSet<&Path> = found.iter().map(|(_, path)| path.as_path()).collect();
        let mut gone = Vec::new();
        for (number, known) in self.known.iter_mut().enumerate() {
            if known.take_if(|known| !there.contains(known.folder.path())).is_some() {
                gone.push(number);
            }
        }
        let known: HashSet<PathBuf> =
            self.known.iter().flatten().map(|known| known.folder.path().to_owned()).collect();
        for (name, path) in found.iter().filter(|(_, path)| !known.contains(path)) {
            // What is no run, or not yet, is looked at again in the next round.
            if let Ok(folder) = RunFolder::open(path) {
                let name = name.clone();
                self.known.push(Some(Known {
                    name,
                    folder,
                    stamp: None,
                    read: None,
                    row: None,
                    best: None,
                    has_best: false,
                }));
            }
        }
        for known in self.known.iter_mut().flatten() {
            let stamp = stamp(&known.folder.events_path());
            if known.stamp != stamp {
                (known.stamp, known.has_best) = (stamp, false);
            }
        }
        gone
    }

    /// The runs to read, at most `most`: the new ones first, of these the latest.
    fn due(&self, most: usize) -> Vec<usize> {
        let is_due = |known: &Known| match (&known.read, &known.row) {
            (Some((stamp, at)), Some(row)) => {
                let is_live = matches!(row.state, RowState::Running | RowState::Waiting);
                *stamp != known.stamp || (is_live && at.elapsed() >= PATIENCE)
            }
            _ => true,
        };
        let all = self.known.iter().enumerate();
        let mut due: Vec<(usize, &Known)> = all
            .filter_map(|(number, known)| Some((number, known.as_ref()?)))
            .filter(|(_, known)| is_due(known))
            .collect();
        let written = |known: &Known| known.stamp.map(|(_, seconds, nanos)| (seconds, nanos));
        due.sort_by(|(_, a), (_, b)| {
            let [first, second] = [a, b].map(|known| known.read.as_ref().map(|(_, at)| *at));
            first.cmp(&second).then_with(|| written(b).cmp(&written(a)))
        });
        due.into_iter().take(most).map(|(number, _)| number).collect()
    }

    /// Reads runs at a glance; returns whether a config is new.
    fn read(&mut self, due: &[usize]) -> bool {
        let wanted: HashSet<usize> = due.iter().copied().collect();
        let all = self.known.iter_mut().enumerate();
        let mut runs: Vec<&mut Known> = all
            .filter(|(number, _)| wanted.contains(number))
            .filter_map(|(_, known)| known.as_mut())
            .collect();
        let share = runs.len().div_ceil(THREADS).max(1);
        thread::scope(|scope| {
            let threads: Vec<_> = runs
                .chunks_mut(share)
                .map(|runs| {
                    scope.spawn(move || {
                        runs.iter_mut().map(|run| run.read()).fold(false, |any, new| any | new)
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or(false))
                .fold(false, |a, b| a | b)
        })
    }

    /// Reads on for the best values; returns the runs for which they are known now.
    fn read_best(&mut self, until: Instant) -> Vec<usize> {
        let mut found = Vec::new();
        for (number, known) in self.known.iter_mut().enumerate() {
            let Some(known) = known.as_mut().filter(|known| known.row.is_some()) else { continue };
            while !known.has_best && Instant::now() < until {
                known.read_best();
                if known.has_best {
                    found.push(number);
                }
            }
        }
        found
    }

    /// The keys in which the configs differ that change the training, or are its seed.
    fn differing(&self) -> Vec<String> {
        let matters = |key: &str| settings::matters(key) || ["train.seed", "seed"].contains(&key);
        let those = |settings: &Arc<Settings>| -> Settings {
            let all = settings.iter().filter(|(key, _)| matters(key));
            all.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let rows = self.known.iter().flatten().filter_map(|known| known.row.as_ref());
        let configs: Vec<Settings> =
            rows.map(|row| &row.settings).filter(|all| !all.is_empty()).map(those).collect();
        settings::differing(&configs.iter().collect::<Vec<_>>())
    }
}

impl Known {
    /// Reads it at a glance; returns whether its config is new.
    fn read(&mut self) -> bool {
        self.read = Some((self.stamp, Instant::now()));
        let glance = Glance::read_ends(&self.folder);
        let found =
            glance.info.as_ref().map(|info| settings::all(&info.config)).unwrap_or_default();
        let before = self.row.as_ref().map(|row| row.settings.clone());
        let is_new = before.as_deref() != Some(&found);
        let settings = before.filter(|_| !is_new).unwrap_or_else(|| Arc::new(found));
        let (best, idle) = self.row.take().map(|row| (row.best, row.idle)).unwrap_or_default();
        let row = Row::new(&self.name, &self.folder, &glance, settings);
        self.row = Some(Row { best, idle, ..row });
        match &glance.info {
            Some(info) if self.best.as_ref().is_some_and(|best| best.is_of(info)) => {}
            Some(info) => {
                self.best = Some(BestReader::new(&self.folder.events_path(), info));
                self.has_best = false;
            }
            None => self.best = None,
        }
        is_new
    }

    /// Reads a piece of its log for the best value and the idle time. What can't be read is missing, as in the rest of the row.
    fn read_best(&mut self) {
        let Some(reader) = &mut self.best else {
            self.has_best = true;
            return;
        };
        self.has_best = reader.read(PIECE).unwrap_or(true);
        if let (true, Some(row)) = (self.has_best, &mut self.row) {
            row.best = reader.best();
            row.idle = row.last.map(|last| reader.idle(last));
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = path.metadata().ok()?;
    Some((found.len(), found.mtime(), found.mtime_nsec()))
}
