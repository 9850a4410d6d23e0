//! Parts of this project against what they replace, each pair in turns in one process.
//!
//! | module | what is compared |
//! |---|---|
//! | `sync` | the sync, an evaluation at the slow weights, and the norms of a probe |
//! | `inner_step` | the fused optimizers, and what Lookahead adds |
//! | `workers` | a sync of two processes |
//! | `checkpoint` | the pause for a checkpoint, and writing one |
//! | `growth` | how cost grows with parameters, tensors, steps and runs |
//! | `limit` | how much of a step a processor at its peak would need |
//! | `dashboard` | its frames, its bytes, and a training with it and with the norms of each layer |
//!
//! Absolute times of code that moves memory depend on what else the machine does, and drift within
//! minutes by more than the differences looked for. So the contenders of a comparison run one after
//! the other, A B B A …, and what counts is the ratio of their times within a round.
//!
//! If two threads share the work and another program holds one of their processors, the other thread
//! waits for the scheduler, for milliseconds, whatever the work is. So the table is made from the
//! quarter of the rounds that were the shortest, and reports how busy other programs were.

mod checkpoint;
mod dashboard;
mod growth;
mod inner_step;
mod limit;
mod models;
mod sync;
mod workers;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use lookahead_core::tch_ext::build;

use crate::machine::Ticks;
use crate::report::{Row, Unit, comparisons};
use crate::statistics::{Aim, Meaning};

/// Time and rounds for a comparison, at least.
const TIME: Duration = Duration::from_secs(2);
const ROUNDS: usize = 20;

/// What can be timed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The sync, an evaluation at the slow weights, and the norms of a probe
    Sync,
    /// The fused optimizers, and what Lookahead adds to them
    InnerStep,
    /// A sync of two processes
    Workers,
    /// The pause for a checkpoint, and writing one
    Checkpoint,
    /// Its frames, its bytes, and a training with it and with the norms of each layer
    Dashboard,
    /// How cost grows with parameters, tensors, the steps of a run and the runs in a folder
    Growth,
    /// How much of a step a processor at its peak would need for products and convolutions
    Limit,
}

/// Times these parts, or all of them, and prints what is found. Comparisons whose name lacks `filter` are
/// left out. `lookahead` is the trainer's program, and files go to a folder in `scratch`.
///
/// # Errors
/// If a part can't be set up.
pub fn run(
    parts: &[Part],
    filter: Option<&str>,
    lookahead: &Path,
    scratch: &Path,
) -> anyhow::Result<()> {
    let wanted = |part: &&Part| parts.is_empty() || parts.contains(part);
    for part in Part::value_variants().iter().filter(wanted) {
        let folder = tempfile::tempdir_in(scratch)?;
        let mut comparisons = Comparisons::new(filter, folder.path().to_owned());
        match part {
            Part::Sync => sync::compare(&mut comparisons),
            Part::InnerStep => inner_step::compare(&mut comparisons),
            Part::Workers => workers::compare(&mut comparisons)?,
            Part::Checkpoint => checkpoint::compare(&mut comparisons)?,
            Part::Growth => growth::measure(lookahead, folder.path(), filter)?,
            Part::Limit => limit::measure(folder.path(), filter)?,
            Part::Dashboard => dashboard::compare(&mut comparisons, lookahead)?,
        }
        comparisons.finish();
    }
    Ok(())
}

/// What the ratio of a comparison means, and what its median should reach. A miss fails nothing: the machine
/// may be busy.
#[derive(Clone, Copy)]
enum Target {
    /// The first takes at most this much of the second's time.
    TakesAtMost(f64),
    /// The first is at least this many times as fast as the second.
    FasterBy(f64),
    /// How much of the second's time the first takes, without a bound.
    Takes,
    /// How many times as fast the first is, without a bound.
    Faster,
}

impl Target {
    fn meaning(self) -> (Meaning, Option<Aim>) {
        match self {
            Target::TakesAtMost(bound) => (Meaning::Takes, Some(Aim::median(bound))),
            Target::FasterBy(bound) => (Meaning::Faster, Some(Aim::median(bound))),
            Target::Takes => (Meaning::Takes, None),
            Target::Faster => (Meaning::Faster, None),
        }
    }
}

/// The comparisons of one part.
struct Comparisons {
    filter: Option<String>,
    folder: PathBuf,
    rows: Vec<Row>,
    ticks: Option<Ticks>,
}

impl Comparisons {
    fn new(filter: Option<&str>, folder: PathBuf) -> Self {
        let filter = filter.map(str::to_owned);
        Comparisons { filter, folder, rows: Vec::new(), ticks: Ticks::now() }
    }

    /// A folder that is removed after the comparisons.
    fn folder(&self) -> &Path {
        &self.folder
    }

    fn takes(&self, what: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| what.contains(filter.as_str()))
    }

    /// Compares the two closures that `set_up` makes. `set_up` runs only if the filter lets the comparison
    /// through.
    fn compare<A: FnMut(), B: FnMut()>(
        &mut self,
        what: &str,
        names: (&str, &str),
        target: Target,
        set_up: impl FnOnce() -> (A, B),
    ) {
        if !self.takes(what) {
            return;
        }
        let (mut first, mut second) = set_up();
        // The first calls allocate what is kept, and touch memory for the first time.
        for _ in 0..2 {
            first();
            second();
        }
        let (started, mut rounds) = (Instant::now(), Vec::new());
        while rounds.len() < ROUNDS || started.elapsed() < TIME {
            // Each is first in every other round: a drift favours neither.
            rounds.push(if rounds.len().is_multiple_of(2) {
                let seconds = time(&mut first);
                (seconds, time(&mut second))
            } else {
                let seconds = time(&mut second);
                (time(&mut first), seconds)
            });
        }
        rounds.sort_by(|a, b| (a.0 + a.1).total_cmp(&(b.0 + b.1)));
        rounds.truncate(rounds.len().div_ceil(4));
        self.add(what, names, target, &rounds);
    }

    /// Adds a comparison that was timed elsewhere, a pair of seconds a round.
    fn add(&mut self, what: &str, names: (&str, &str), target: Target, rounds: &[(f64, f64)]) {
        let (first, second): (Vec<f64>, Vec<f64>) = rounds.iter().copied().unzip();
        let (meaning, aim) = target.meaning();
        let row = Row::new(what, "time", names, (&first, &second), Unit::Seconds, meaning, aim);
        if let Some(row) = row {
            eprintln!("{what} …");
            self.rows.push(row);
        }
    }

    /// Prints the table.
    fn finish(self) {
        if self.rows.is_empty() {
            return;
        }
        let others = self.ticks.and_then(Ticks::others_since).map_or_else(String::new, |share| {
            format!(" Other programs took {:.0} % of the processors meanwhile.", 100.0 * share)
        });
        println!(
            "\nlibtorch {}, {} on the CPU, {} threads.{others}\n\n{}",
            build::libtorch_version(),
            build::cpu_capability(),
            tch::get_num_threads(),
            comparisons(&self.rows),
        );
    }
}

fn time(run: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}
