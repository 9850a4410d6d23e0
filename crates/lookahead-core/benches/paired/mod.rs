//! Two contenders, timed in turns.
//!
//! Absolute times of code that moves memory depend on what else the machine does, and drift within
//! minutes by more than the differences looked for. So the contenders of a comparison run one after
//! the other, A B B A …, and what counts is the ratio of their times within a round. Criterion
//! chooses the number of rounds and reports each contender's own times; its options and filters
//! work. The table of the ratios comes last.
//!
//! Where two threads share the work and another program holds one of their processors, the other
//! thread waits for the scheduler, for milliseconds, whatever the work is. So the table is made from
//! the quarter of the rounds that were the shortest, and says how busy other programs were.

mod load;

use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use load::Load;
use lookahead_core::build;

/// What a ratio is held against. A miss is printed and fails nothing: the machine may be busy.
#[derive(Clone, Copy)]
#[allow(dead_code)] // one of the two programs has no use for `AtMost`
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// No target: the ratio is reported as it is found.
    AsFound,
}

impl Target {
    fn cells(self, ratio: f64) -> [String; 2] {
        let verdict = |met| if met { "met" } else { "missed" }.to_owned();
        match self {
            Target::AtMost(most) => [format!("≤ {most:.2}"), verdict(ratio <= most)],
            Target::AtLeast(least) => [format!("≥ {least:.2}"), verdict(ratio >= least)],
            Target::AsFound => [String::new(), String::new()],
        }
    }
}

/// One line of the table.
struct Row {
    what: String,
    names: [String; 2],
    target: Target,
    rounds: Vec<[Duration; 2]>,
}

/// The comparisons of one benchmark program.
pub(crate) struct Comparisons {
    criterion: Criterion,
    rows: Vec<Row>,
    load: Load,
}

impl Comparisons {
    /// With the settings that the command line gives.
    pub(crate) fn from_args() -> Self {
        let criterion = Criterion::default()
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_millis(800))
            .sample_size(10)
            .nresamples(10_000)
            // Runs of the same program differ by as much on a machine that is shared.
            .noise_threshold(0.2)
            .without_plots()
            .configure_from_args();
        Comparisons { criterion, rows: Vec::new(), load: Load::start() }
    }

    /// Compares the two closures that `set_up` makes; the ratio is the first one's time divided by
    /// the second's. `set_up` runs only where the filter lets the comparison through, and what it
    /// made is dropped after.
    pub(crate) fn compare<A: FnMut(), B: FnMut()>(
        &mut self,
        what: &str,
        names: [&str; 2],
        target: Target,
        set_up: impl FnOnce() -> (A, B),
    ) {
        let mut set_up = Some(set_up);
        let mut pair: Option<Pair<A, B>> = None;
        let mut group = self.criterion.benchmark_group(what);
        group.sampling_mode(SamplingMode::Flat);
        for (i, name) in names.into_iter().enumerate() {
            group.bench_function(name, |bencher| {
                if let Some(set_up) = set_up.take() {
                    pair = Some(Pair::new(set_up()));
                }
                let pair = pair.as_mut().expect("made by the first that runs");
                bencher.iter_custom(|count| pair.take_rounds(count)[i]);
            });
        }
        group.finish();
        if let Some(Pair { rounds, .. }) = pair {
            let names = names.map(str::to_owned);
            self.rows.push(Row { what: what.to_owned(), names, target, rounds });
        }
    }

    /// Prints the table.
    pub(crate) fn finish(self) {
        self.criterion.final_summary();
        // A test of the benchmarks, which `cargo test --benches` makes, runs each once or twice.
        let rows: Vec<&Row> = self.rows.iter().filter(|row| row.rounds.len() >= 20).collect();
        if rows.is_empty() {
            return;
        }
        println!(
            "\nlibtorch {}, {} on the CPU, {} threads. Of the shortest quarter of the rounds, times \
             are medians; the ratio is the first time divided by the second within a round: median \
             [quartiles]. {}\n",
            build::libtorch_version(),
            build::cpu_capability(),
            tch::get_num_threads(),
            self.load.sentence(),
        );
        let head = ["what", "first", "", "second", "", "ratio", "target", "", "rounds"];
        print_table([head.map(str::to_owned)].into_iter().chain(rows.into_iter().map(Row::cells)));
    }
}

impl Row {
    fn cells(&self) -> [String; 9] {
        let mut rounds = self.rounds.clone();
        rounds.sort_by_key(|[a, b]| *a + *b);
        rounds.truncate(rounds.len().div_ceil(4));
        let times = |i: usize| quartiles(rounds.iter().map(|round| round[i].as_secs_f64()));
        let ratios = rounds.iter().map(|[a, b]| a.as_secs_f64() / b.as_secs_f64());
        let [low, ratio, high] = quartiles(ratios);
        let [target, met] = self.target.cells(ratio);
        let [first, second] = self.names.clone();
        [
            self.what.clone(),
            first,
            in_units(times(0)[1]),
            second,
            in_units(times(1)[1]),
            format!("{ratio:.2} [{low:.2}, {high:.2}]"),
            target,
            met,
            self.rounds.len().to_string(),
        ]
    }
}

/// The contenders, and how long each took in each round.
struct Pair<A, B> {
    contenders: (A, B),
    rounds: Vec<[Duration; 2]>,
}

impl<A: FnMut(), B: FnMut()> Pair<A, B> {
    fn new(mut contenders: (A, B)) -> Self {
        // The first calls allocate what is kept, and touch memory for the first time.
        for _ in 0..2 {
            contenders.0();
            contenders.1();
        }
        Pair { contenders, rounds: Vec::new() }
    }

    /// Takes so many rounds, and returns the sum of each contender's times.
    fn take_rounds(&mut self, count: u64) -> [Duration; 2] {
        let (a, b) = &mut self.contenders;
        let mut sums = [Duration::ZERO; 2];
        for _ in 0..count {
            // Each is first in every other round: a drift favours neither.
            let round = if self.rounds.len().is_multiple_of(2) {
                let first = time(a);
                [first, time(b)]
            } else {
                let first = time(b);
                [time(a), first]
            };
            sums[0] += round[0];
            sums[1] += round[1];
            self.rounds.push(round);
        }
        sums
    }
}

fn time(run: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| sorted[(sorted.len() - 1) * quarter / 4])
}

fn in_units(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "µs"),
    };
    let decimals = if value < 10.0 { 2 } else { 1 };
    format!("{value:.decimals$} {unit}")
}

/// As Markdown, and aligned to be read as it is.
fn print_table<const N: usize>(rows: impl Iterator<Item = [String; N]>) {
    let rows: Vec<[String; N]> = rows.collect();
    let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for (i, row) in rows.iter().enumerate() {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        println!("| {} |", cells.join(" | "));
        if i == 0 {
            let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
            println!("| {} |", rules.join(" | "));
        }
    }
}
