//! One terminal trains, others watch: real programs, checked by their screens.

use std::time::{Duration, Instant};

use crate::common::terminal::{SIZE, Terminal, curve};
use crate::common::{SMALL, Sandbox, train as train_arguments, wait_until};
use lookahead_run::event::{Event, Status};
use portable_pty::PtySize;

const LONG: [&str; 4] = ["--set", "train.max_steps=10000000", "--set", "checkpoint.every_steps=0"];
/// Several programs share few processors.
const THREADS: [&str; 2] = ["--set", "train.threads=1"];

fn train(sandbox: &Sandbox, name: &str, more: &[&str]) -> Terminal {
    Terminal::train(sandbox, name, &[&LONG[..], &THREADS, more].concat())
}

fn watch(sandbox: &Sandbox, runs: &[&str]) -> Terminal {
    watch_in(sandbox, runs, SIZE)
}

fn watch_in(sandbox: &Sandbox, runs: &[&str], size: PtySize) -> Terminal {
    let folders: Vec<String> = runs.iter().map(|run| format!("runs/{run}")).collect();
    let mut arguments = vec!["watch"];
    arguments.extend(folders.iter().map(String::as_str));
    Terminal::start(sandbox, size, &arguments, &[])
}

/// Train with the dashboard at three sizes; watch from a second terminal; pause from the watcher and
/// see it in both; set the learning rate; stop.
#[test]
fn a_watcher_can_do_what_the_trainer_can() {
    for (rows, cols) in [(60, 200), (24, 80), (12, 40)] {
        let sandbox = Sandbox::new(SMALL);
        let size = PtySize { rows, cols, ..SIZE };
        let arguments = train_arguments("run", &[&LONG[..], &THREADS].concat());
        let mut trainer = Terminal::start(&sandbox, size, &arguments, &[]);
        trainer.wait_for("curves", |text| curve(text) > 10 && text.contains("TRAINING"));
        let mut watcher = watch_in(&sandbox, &["run"], size);
        watcher.wait_for("curves", |text| curve(text) > 10 && text.contains("TRAINING"));

        watcher.press("p");
        for terminal in [&watcher, &trainer] {
            terminal.wait_for("pause", |text| text.contains("PAUSED"));
        }
        trainer.press("p");
        for terminal in [&watcher, &trainer] {
            terminal.wait_for("training", |text| text.contains("TRAINING"));
        }

        watcher.press(":set optimizer.lr=0.0123\r");
        wait_until("the change", || {
            let changed = |record: &lookahead_run::event::Record| match &record.event {
                Event::Changed(changed) => changed.changes["optimizer.lr"] == 0.0123,
                _ => false,
            };
            sandbox.records("run").iter().any(changed)
        });
        if rows > 12 {
            for terminal in [&watcher, &trainer] {
                terminal.wait_for("learning rate", |text| text.contains("0.0123"));
            }
        }
        // A refusal shows in the run's own words.
        watcher.press(":set lookahead.k=0\r");
        watcher.wait_for("refusal", |text| text.contains("lookahead.k"));

        watcher.stop();
        watcher.wait_for("end", |text| text.contains("STOPPED"));
        assert_eq!(trainer.end(), 0);
        let last = sandbox.records("run").pop().unwrap();
        assert!(matches!(&last.event, Event::RunEnded(e) if e.status == Status::Stopped));
        watcher.press("q");
        assert_eq!(watcher.end(), 0);
    }
}

#[test]
fn a_watcher_that_is_killed_or_quits_does_not_affect_the_training() {
    let sandbox = Sandbox::new(SMALL);
    let trainer = train(&sandbox, "run", &[]);
    trainer.wait_for("curves", |text| curve(text) > 10);
    for way in ["KILL", "TERM", "HUP", "q", "\x03"] {
        let mut watcher = watch(&sandbox, &["run"]);
        watcher.wait_for("curves", |text| curve(text) > 10);
        match way {
            "KILL" => {
                watcher.signal(way);
                watcher.child.wait().unwrap();
            }
            "TERM" | "HUP" => {
                watcher.signal(way);
                watcher.end();
            }
            keys => {
                watcher.press(keys);
                assert_eq!(watcher.end(), 0);
            }
        }
        let before = sandbox.losses("run").len();
        wait_until("steps afterwards", || sandbox.losses("run").len() > before + 3);
    }
    assert!(trainer.text().contains("TRAINING"), "{}", trainer.text());
    trainer.signal("TERM");
    assert_eq!(trainer.end(), 0);
}

/// Quitting the dashboard keeps the training, which then prints lines; `watch` shows it again.
#[test]
fn quit_and_keep_training() {
    let sandbox = Sandbox::new(SMALL);
    // So that few lines follow.
    let mut trainer = train(&sandbox, "run", &["--set", "train.evaluate_every_epochs=0"]);
    trainer.wait_for("curves", |text| curve(text) > 10);
    trainer.press("q");
    trainer.wait_for("the way back", |text| text.contains("lookahead watch runs/run"));
    assert!(!trainer.screen.lock().unwrap().screen().alternate_screen());
    let before = sandbox.losses("run").len();
    wait_until("steps afterwards", || sandbox.losses("run").len() > before + 3);
    let mut watcher = watch(&sandbox, &["run"]);
    watcher.wait_for("curves", |text| curve(text) > 10 && text.contains("TRAINING"));
    watcher.stop();
    assert_eq!(trainer.end(), 0);
    watcher.press("q");
    assert_eq!(watcher.end(), 0);
}

/// A panic in the view ends only the view.
#[test]
fn a_panic_in_the_view_restores_the_terminal_and_spares_the_training() {
    let sandbox = Sandbox::new(SMALL);
    // A backtrace may be longer than the screen.
    let panics = [("LOOKAHEAD_TEST_PANIC_AT_FRAME", "5"), ("RUST_BACKTRACE", "0")];
    let arguments = train_arguments("run", &[&LONG[..], &THREADS].concat());
    let trainer = Terminal::start(&sandbox, SIZE, &arguments, &panics);
    trainer.wait_for("the panic's message", |text| text.contains("requested to panic"));
    let before = sandbox.losses("run").len();
    wait_until("steps afterwards", || sandbox.losses("run").len() > before + 3);

    let watcher = Terminal::start(&sandbox, SIZE, &["watch", "runs/run"], &panics);
    let screen = watcher.screen.clone();
    assert_ne!(watcher.end(), 0, "a panic is a failure");
    wait_until("the panic's message", || {
        screen.lock().unwrap().screen().contents().contains("requested to panic")
    });
    let before = sandbox.losses("run").len();
    wait_until("steps afterwards", || sandbox.losses("run").len() > before + 3);
    trainer.signal("TERM");
    assert_eq!(trainer.end(), 0);
}

/// Finished runs, one that has crashed, and one that begins later.
#[test]
fn runs_of_every_kind_are_watched_together() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("done", &[]);
    let mut crashed = train(&sandbox, "gone", &[]);
    crashed.wait_for("curves", |text| curve(text) > 10);
    let mut watcher =
        watch_in(&sandbox, &["done", "gone", "later"], PtySize { rows: 40, cols: 140, ..SIZE });
    let state = |text: &str, run: &str, state: &str| {
        text.lines()
            .any(|line| line.contains(run) && line.contains(state) && !line.contains("saved"))
    };
    watcher.wait_for("three runs", |text| {
        text.contains("3 runs")
            && state(text, "done", "finished")
            && state(text, "gone", "training")
            && state(text, "later", "waiting")
    });
    crashed.signal("KILL");
    crashed.child.wait().unwrap();
    watcher.wait_for("crash", |text| state(text, "gone", "crashed"));
    let later = train(&sandbox, "later", &[]);
    watcher.wait_for("beginning", |text| state(text, "later", "training"));
    // Down to the last, which takes commands; the first has finished.
    watcher.press("p");
    watcher.press("\x1b[B");
    watcher.press("\x1b[B");
    // Its socket comes a moment after its first event.
    watcher.wait_for("keys", |text| text.contains("p pause"));
    watcher.press("p");
    watcher.wait_for("pause", |text| state(text, "later", "paused"));
    later.wait_for("pause", |text| text.contains("PAUSED"));
    // Hidden, its line goes.
    let before = curve(&watcher.text());
    watcher.press(" ");
    watcher.wait_for("fewer curves", |text| curve(text) < before);
    watcher.press("q");
    assert_eq!(watcher.end(), 0);
    later.signal("TERM");
    assert_eq!(later.end(), 0);
}

/// Two thousand finished runs, and one that trains, of which each step shows at once.
#[test]
fn very_many_runs_take_few_threads_little_memory_and_few_files() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("done", &[]);
    let names: Vec<String> = (0..2000).map(|number| format!("run-{number:04}")).collect();
    for name in &names {
        let folder = sandbox.run_folder(name);
        std::fs::create_dir(&folder).unwrap();
        for file in ["config.toml", "events.jsonl", "lock"] {
            std::fs::copy(sandbox.run_folder("done").join(file), folder.join(file)).unwrap();
        }
    }
    let trainer = train(&sandbox, "live", &[]);
    trainer.wait_for("curves", |text| curve(text) > 10);
    let mut runs = vec!["live"];
    runs.extend(names.iter().map(String::as_str));
    let mut watcher = watch(&sandbox, &runs);
    watcher.wait_for("all runs", |text| text.contains("2001 runs") && text.contains("TRAINING"));
    watcher.press("p");
    watcher.wait_for("pause", |text| text.contains("PAUSED"));
    watcher.press("p");
    watcher.wait_for("continuation", |text| text.contains("TRAINING"));
    // The last of them is read too.
    watcher.press("\x1b[B".repeat(2000).as_str());
    watcher.wait_for("last run", |text| text.contains("▶") && text.contains("run-1999"));
    watcher.wait_for("its end", |text| text.contains("FINISHED"));
    watcher.press("\x1b[A".repeat(2000).as_str());
    watcher.wait_for("first run", |text| text.contains("TRAINING"));

    let process = format!("/proc/{}", watcher.child.process_id().unwrap());
    let count = |folder: &str| std::fs::read_dir(format!("{process}/{folder}")).unwrap().count();
    wait_until("few open files", || count("fd") < 100);
    assert!(count("task") < 20, "{} threads", count("task"));
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 400_000, "{peak} kB");
    println!("{} threads, {} files, {peak} kB at most", count("task"), count("fd"));

    trainer.signal("TERM");
    let started = Instant::now();
    assert_eq!(trainer.end(), 0);
    watcher.wait_for("end", |text| text.contains("STOPPED"));
    println!("the end was seen after {:?}", started.elapsed());
    watcher.press("q");
    assert_eq!(watcher.end(), 0);
}

#[test]
fn a_window_is_resized_while_it_draws() {
    let sandbox = Sandbox::new(SMALL);
    let trainer = train(&sandbox, "run", &[]);
    trainer.wait_for("curves", |text| curve(text) > 10);
    for round in 0..30_u16 {
        trainer.resize(1 + round * 7 % 60, 1 + round * 13 % 200);
        std::thread::sleep(Duration::from_millis(30));
    }
    trainer.resize(24, 80);
    trainer.wait_for("the usual screen", |text| {
        text.contains("progress") && text.contains("TRAINING") && text.contains("messages")
    });
    trainer.signal("TERM");
    assert_eq!(trainer.end(), 0);
}

#[test]
fn without_a_terminal_watch_says_what_to_do_instead() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &[]);
    let out = sandbox.lookahead(&["watch", "runs/run"]);
    assert_eq!(out.status.code(), Some(2));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("ctl runs/run status"), "{said}");
    let out = sandbox.lookahead(&["watch", "nowhere/run"]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("nowhere/run"));
    assert_ne!(out.status.code(), Some(0));
}

#[test]
fn plot_writes_svg_and_png() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("one", &[]);
    sandbox.train("two", &["--set", "lookahead.k=2"]);
    let plot = |arguments: &[&str]| sandbox.lookahead(&[&["plot"], arguments].concat());
    let svg = sandbox.path().join("one.svg");
    let out = plot(&["runs/one", "-o", "one.svg"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = std::fs::read_to_string(&svg).unwrap();
    for part in [
        "loss on one validation batch, fast weights",
        "slow weights",
        "gain of a sync",
        "cycles",
        "one",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
    // An existing file is overwritten only with `--force`.
    let out = plot(&["runs/two", "-o", "one.svg"]);
    assert!(!out.status.success());
    assert_eq!(std::fs::read_to_string(&svg).unwrap(), text);
    let out =
        plot(&["runs/one", "runs/two", "-o", "one.svg", "--force", "--charts", "loss,accuracy"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = std::fs::read_to_string(&svg).unwrap();
    assert!(text.contains("one") && text.contains("two") && text.contains("validation accuracy"));
    let out = plot(&["runs/one", "-o", "one.png", "--log", "--x", "epoch"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let bytes = std::fs::read(sandbox.path().join("one.png")).unwrap();
    assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 10_000);
    for (arguments, words) in [
        (&["runs/one", "-o", "one.gif"][..], ["gif", ".svg"]),
        (&["runs/none", "-o", "x.svg"], ["runs/none", ""]),
        (&["runs/one", "-o", "x.svg", "--charts", "moon"], ["moon", "validation-loss"]),
        (&["runs/one", "-o", "x.svg", "--size", "1x1"], ["1", "200"]),
        (&["runs/one", "-o", "x.svg", "--smoothing", "1"], ["`1`", "below 1"]),
    ] {
        let out = plot(arguments);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && words.iter().all(|word| said.contains(word)), "{said}");
        assert!(!sandbox.path().join("x.svg").exists());
    }
}
