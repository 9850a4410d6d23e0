//! What watching costs: a frame of a long run against one of a short run, bytes for a terminal, and
//! a training with the dashboard, or with the norms of each layer, against the same training without.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lookahead_dashboard::{KeyCode, Offscreen, Options};
use lookahead_run::event::{
    Compute, Event, LookaheadInfo, Parameters, Probe, Record, RunInfo, Samples, Scalars, Software,
    Step, Sync, Task, Versions,
};
use lookahead_run::log;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use super::{Comparisons, Target};

pub(super) fn compare(comparisons: &mut Comparisons, lookahead: &Path) -> anyhow::Result<()> {
    frames(comparisons);
    frames_of_the_grid(comparisons);
    bytes_per_frame();
    // Without the progress bar, which would draw as well.
    const QUIET: &str = "--no-tui --progress-every 10";
    let wide = "--set model.hidden=[256]";
    let variants =
        [("with the dashboard", wide.to_owned()), ("without", format!("{wide} {QUIET}"))];
    training(comparisons, lookahead, "a training", variants, Target::TakesAtMost(1.01));
    let deep = format!("--set model.hidden=[64,64,64,64,64,64,64,64] {QUIET}");
    let variants =
        [("with probe.layers", format!("{deep} --set probe.layers=true")), ("without", deep)];
    training(comparisons, lookahead, "a training of 9 layers", variants, Target::Takes);
    Ok(())
}

/// A run of that many steps, all of whose series are filled.
fn run(steps: u64) -> Offscreen {
    let mut dashboard = Offscreen::new(&["run"], &Options::default(), 200, 60);
    for step in 0..=steps {
        events(step, steps).into_iter().for_each(|record| dashboard.feed(0, record));
    }
    dashboard
}

/// What a run of `steps` steps records in one of them, or at its start.
pub(super) fn events(step: u64, steps: u64) -> Vec<Record> {
    let at = |event| Record { time: 1e9 + step as f64 / 1000.0, step, event };
    if step == 0 {
        return vec![at(Event::RunStarted(info(steps)))];
    }
    let noise = (step.wrapping_mul(6_364_136_223_846_793_005) >> 40) as f64 / (1 << 24) as f64;
    let loss = 0.2 + 2.0 / (1.0 + step as f64 / 1000.0) + 0.2 * noise;
    let mut found = vec![at(Event::Step(Step {
        epoch: step / 1000,
        loss,
        learning_rate: 0.1,
        samples_per_second: 30_000.0 + 1000.0 * noise,
        phase: (step - 1) % 5 + 1,
    }))];
    if step.is_multiple_of(5) {
        let sync = step / 5;
        let (distance, gradient_norm) = (Some(loss), Some(2.0 * loss));
        found.push(at(Event::Sync(Sync {
            sync,
            alpha: 0.5,
            distance,
            gradient_norm,
            last: false,
        })));
        let (fast_loss, slow_loss, seconds) = (loss * 1.1, loss * 0.9, 1e-4);
        found.push(at(Event::Probe(Probe { sync, fast_loss, slow_loss, seconds })));
    }
    found
}

fn info(total_steps: u64) -> RunInfo {
    RunInfo {
        format: lookahead_run::event::FORMAT,
        run: "run".into(),
        data: "digits".into(),
        task: Task::Classification.into(),
        model: "mlp".into(),
        optimizer: "sgd".into(),
        lookahead: Some(LookaheadInfo { k: 5, alpha: 0.5 }),
        compute: Compute { device: "cpu".into(), threads: 1, cpu_capability: String::new() },
        parameters: Parameters { trainable: 1000, frozen: 0 },
        total_steps,
        steps_per_epoch: 1000,
        samples: Samples { train: 32_000, validation: 0, test: 0 },
        seed: 0,
        software: Software { program: None, versions: Versions::default() },
        config: Default::default(),
    }
}

/// The same screen of a long and of a short run.
fn frames(comparisons: &mut Comparisons) {
    const LONG: u64 = 10_000_000;
    const SHORT: u64 = 1000;
    comparisons.compare(
        "a frame of 200 x 60",
        ("of 10,000,000 steps", "of 1,000 steps"),
        Target::TakesAtMost(2.0),
        || {
            let (mut long, mut short) = (run(LONG), run(SHORT));
            (
                move || drop(long.draw().expect("a frame")),
                move || {
                    drop(short.draw().expect("a frame"));
                },
            )
        },
    );
}

/// A run that logged so many numbers by name, so often, on a page of the grid with 30 of them.
fn logged(names: usize, points: u64) -> Offscreen {
    let mut dashboard = Offscreen::new(&["run"], &Options::default(), 200, 60);
    events(0, points).into_iter().for_each(|record| dashboard.feed(0, record));
    let names: Vec<String> = (0..names).map(|name| format!("layer.{name:03}/norm")).collect();
    for step in 1..=points {
        let value = |name: usize| (step as f64 * 0.01 + name as f64).sin();
        let values = names.iter().enumerate().map(|(index, name)| (name.clone(), value(index)));
        let (time, event) = (1e9 + step as f64 / 1000.0, Event::Scalars(Scalars::new(values)));
        dashboard.feed(0, Record { time, step, event });
    }
    dashboard.press(KeyCode::Char('g'));
    dashboard.press(KeyCode::PageDown);
    dashboard
}

/// A page of the grid, of many and of few charts, long and short. A history is full from 4,096 points on, and more
/// change nothing; with `LOOKAHEAD_BENCH_LARGE=1` there are a million, which takes minutes to feed.
fn frames_of_the_grid(comparisons: &mut Comparisons) {
    let large = std::env::var_os("LOOKAHEAD_BENCH_LARGE").is_some();
    let points = if large { 1_000_000 } else { 10_000 };
    comparisons.compare(
        "a frame of the grid, 200 x 60, with 30 charts on the page",
        ("500 names of at least 10,000 points", "50 names of 1,000 points"),
        Target::TakesAtMost(2.0),
        || {
            let (mut many, mut few) = (logged(500, points), logged(50, 1000));
            (
                move || drop(many.draw().expect("a frame")),
                move || drop(few.draw().expect("a frame")),
            )
        },
    );
}

/// What goes over the line at ten frames a second, of a training of 1,000 steps a second.
fn bytes_per_frame() {
    for (width, height) in [(80, 24), (120, 36), (200, 60)] {
        let mut dashboard = Offscreen::new(&["run"], &Options::default(), width, height);
        let (mut step, mut sizes) = (0, Vec::new());
        for _ in 0..600 {
            for _ in 0..100 {
                events(step, 100_000).into_iter().for_each(|record| dashboard.feed(0, record));
                step += 1;
            }
            dashboard.tick((1e9 + step as f64 / 1000.0).floor());
            sizes.push(dashboard.draw().expect("a frame").1);
        }
        let all = usize::from(width) * usize::from(height);
        let first = sizes.remove(0);
        sizes.sort_unstable();
        println!(
            "{width} x {height}: {first} bytes for the first frame, then {} a frame ({} at most of ten, \
             {} at most), for {all} cells.",
            sizes[sizes.len() / 2],
            sizes[sizes.len() * 9 / 10],
            sizes[sizes.len() - 1]
        );
    }
}

/// The real program, in turns with two sets of options, in a terminal of its own.
fn training(
    comparisons: &mut Comparisons,
    lookahead: &Path,
    what: &str,
    [first, second]: [(&str, String); 2],
    target: Target,
) {
    const ROUNDS: usize = 7;
    if !comparisons.takes(what) {
        return;
    }
    let folder = comparisons.folder().to_owned();
    let (mut rounds, mut sent) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        let mut times = [0.0; 2];
        // A B, B A, A B …
        for turn in 0..2 {
            let which = (turn + round) % 2;
            let (seconds, bytes) = train(lookahead, &folder, &[&first, &second][which].1);
            times[which] = seconds;
            if which == 0 {
                sent = bytes;
            }
        }
        rounds.push((times[0], times[1]));
    }
    println!("The terminal of {what} {} gets {} kB.", first.0, sent / 1000);
    comparisons.add(what, (first.0, second.0), target, &rounds);
}

/// Seconds for the steps after the first thousand, and bytes to the terminal.
fn train(lookahead: &Path, out: &Path, options: &str) -> (f64, usize) {
    const STEPS: u64 = 9000;
    let size = PtySize { rows: 36, cols: 120, ..PtySize::default() };
    let pair = native_pty_system().openpty(size).expect("a terminal");
    let mut command = CommandBuilder::new(lookahead);
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/digits.toml");
    command.args(["train", config, "--name", "run", "--out"]);
    command.arg(out);
    // A batch that takes a millisecond on one thread; nothing else but the training.
    for set in [
        &format!("train.max_steps={STEPS}") as &str,
        "train.threads=1",
        "train.evaluate_every_epochs=0",
        "checkpoint.every_steps=0",
        "data.batch_size=100",
        "probe.every_syncs=20",
    ] {
        command.args(["--set", set]);
    }
    command.args(options.split(' '));
    command.env("TERM", "xterm-256color");
    let mut child = pair.slave.spawn_command(command).expect("the program");
    drop(pair.slave);
    let (received, mut reader) =
        (Arc::new(AtomicUsize::new(0)), pair.master.try_clone_reader().expect("its output"));
    let count = received.clone();
    let reading = std::thread::spawn(move || {
        let mut buffer = [0; 1 << 16];
        while let Ok(read @ 1..) = reader.read(&mut buffer) {
            count.fetch_add(read, Ordering::Relaxed);
        }
    });
    assert!(child.wait().expect("its end").success(), "the training failed");
    drop(pair.master);
    let _ = reading.join();
    let folder = out.join("run");
    let records = log::read(&folder.join("events.jsonl")).expect("a log");
    std::fs::remove_dir_all(&folder).expect("a folder");
    let at = |wanted: u64| {
        let is_step =
            |record: &&Record| record.step == wanted && matches!(record.event, Event::Step(_));
        records.iter().find(is_step).expect("a step").time
    };
    let seconds = at(STEPS) - at(1000);
    std::thread::sleep(Duration::from_millis(100));
    (seconds, received.load(Ordering::Relaxed))
}
