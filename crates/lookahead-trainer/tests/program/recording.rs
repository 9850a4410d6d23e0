//! Runs of a program's own loop, by the whole program.

use std::thread;
use std::time::Duration;

use lookahead_run::event::MetricInfo;
use lookahead_run::{Recorder, RecorderOptions, Request};

use crate::common::{Sandbox, failed, stderr, succeeded};

fn options(seed: u64) -> RecorderOptions {
    RecorderOptions::new().seed(seed).metric(MetricInfo::accuracy()).setting("lr", 0.1)
}

fn record(sandbox: &Sandbox, name: &str, seed: u64) {
    let out = sandbox.run_folder(name);
    let mut run = Recorder::create_with(out.parent().unwrap(), name, options(seed)).unwrap();
    for step in 1..=20u64 {
        let loss = 1.0 / (step + seed) as f64;
        run.log(step, &[("loss", loss), ("lr", 0.1), ("odd\u{1b}[31m, \"name\"", f64::NAN)])
            .unwrap();
    }
    run.log(20, &[("accuracy", 0.75)]).unwrap();
    run.finish().unwrap();
}

#[test]
fn recorded_runs_are_listed_drawn_compared_and_exported() {
    let sandbox = Sandbox::new("");
    record(&sandbox, "a", 1);
    record(&sandbox, "b", 2);
    let [a, b] = ["a", "b"].map(|run| sandbox.run_folder(run).display().to_string());
    let out = |name: &str| sandbox.path().join(name).display().to_string();
    let stdout = |arguments: &[&str]| {
        String::from_utf8(succeeded(sandbox.lookahead(arguments)).stdout).unwrap()
    };
    let list = stdout(&["list", &a, &b]);
    assert!(list.contains("loss 0.0476, accuracy 75.00 %"), "{list}");
    let status = stdout(&["ctl", &a, "status"]);
    assert!(status.contains("finished at step 20") && !status.contains("of 0"), "{status}");
    assert!(stdout(&["inspect", &a]).contains("recorded by "));
    let compared = stdout(&["compare", &a, &b]);
    assert!(compared.contains("75.00"), "{compared}");
    stdout(&["compare", &a, &b, "--metric", "loss"]);
    succeeded(sandbox.lookahead(&["plot", &a, &b, "-o", &out("all.svg")]));
    let all = std::fs::read_to_string(out("all.svg")).unwrap();
    assert!(all.contains("accuracy") && all.contains(r"odd\u{1b}"), "{all}");
    succeeded(sandbox.lookahead(&["plot", &a, "-o", &out("one.svg"), "--charts", "accuracy,loss"]));
    let refused = sandbox.lookahead(&["plot", &a, "-o", &out("no.svg"), "--charts", "moon"]);
    failed(&refused, 2, &["`moon` is not a chart", "accuracy"]);
    succeeded(sandbox.lookahead(&["export", &a, &b, "--csv", &out("tables")]));
    let scalars = std::fs::read_to_string(out("tables/scalars.csv")).unwrap();
    assert_eq!(scalars.lines().count(), 1 + 2 * (20 * 3 + 1));
    assert!(scalars.contains(",loss,0.5\n") && scalars.contains(",accuracy,0.75\n"));
    succeeded(sandbox.lookahead(&["export", &a, "--tensorboard", &out("board")]));
    for command in ["resume", "eval"] {
        let refused = sandbox.lookahead(&[command, &a]);
        failed(&refused, 2, &["wrote the run"]);
    }
}

#[test]
fn a_recorded_run_is_controlled_from_the_shell() {
    let sandbox = Sandbox::new("");
    let path = sandbox.run_folder("live");
    let mut run = Recorder::create_with(path.parent().unwrap(), "live", options(0)).unwrap();
    let training = thread::spawn(move || {
        let mut lr = 0.1;
        'training: for step in 1.. {
            loop {
                match run.poll().unwrap() {
                    Request::Continue => break,
                    Request::Stop => break 'training,
                    Request::Set(setting) => lr = setting.value.as_f64().unwrap(),
                    Request::Checkpoint => unreachable!("it was not declared"),
                }
            }
            run.log(step, &[("loss", 1.0), ("lr", lr)]).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
        run.finish().unwrap();
        lr
    });
    let path = path.display().to_string();
    let ctl = |words: &[&str]| sandbox.lookahead(&[&["ctl", &path], words].concat());
    let said = |words: &[&str]| stderr(&succeeded(ctl(words)));
    assert!(said(&["pause"]).contains("Paused at step"));
    assert!(said(&["set", "lr=0.05"]).contains("lr = 0.05"));
    assert!(said(&["continue"]).contains("continues"));
    failed(&ctl(&["set", "momentum=1"]), 1, &["Use one of lr"]);
    failed(&ctl(&["checkpoint"]), 1, &["saves no checkpoint"]);
    assert!(said(&["stop"]).contains("Stopped at step"));
    assert_eq!(training.join().unwrap(), 0.05);
}

#[test]
fn no_name_reaches_the_terminal_as_it_is() {
    let sandbox = Sandbox::new("");
    let odd = "esc\u{1b}[31mred\nnl\u{202e}";
    record(&sandbox, "plain", 1);
    std::fs::rename(sandbox.run_folder("plain"), sandbox.run_folder(odd)).unwrap();
    let list = succeeded(sandbox.lookahead(&["list", "runs"]));
    let text = String::from_utf8(list.stdout).unwrap();
    assert!(text.contains(r"esc\u{1b}[31mred\nnl\u{202e}"), "{text}");
    let out = sandbox.run_folder("live");
    let options = RecorderOptions::new().checkpoints();
    let mut run = Recorder::create_with(out.parent().unwrap(), "live", options).unwrap();
    run.log(3, &[("loss", 1.0)]).unwrap();
    run.checkpoint_saved(3, "x\u{1b}[31m.bin", 7).unwrap();
    let ctl = |words: &[&str]| sandbox.lookahead(&[&["ctl", "runs/live"], words].concat());
    let status = String::from_utf8(succeeded(ctl(&["status"])).stdout).unwrap();
    assert!(status.contains(r"x\u{1b}[31m.bin"), "{status}");
    let saving = thread::spawn(move || {
        while run.poll().unwrap() != Request::Checkpoint {
            thread::sleep(Duration::from_millis(1));
        }
        run.checkpoint_saved(4, "y\u{1b}[31m.bin", 7).unwrap();
        run
    });
    let said = stderr(&succeeded(ctl(&["checkpoint"])));
    assert!(said.contains(r"y\u{1b}[31m.bin"), "{said}");
    saving.join().unwrap().finish().unwrap();
    for text in [text, status, said] {
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }
}

/// Nothing shows that one repeats the other.
#[test]
fn runs_without_a_seed_and_a_configuration_are_compared_apart() {
    let sandbox = Sandbox::new("");
    let record = |name: &str, options: RecorderOptions, loss: f64| {
        let out = sandbox.run_folder(name);
        let mut run = Recorder::create_with(out.parent().unwrap(), name, options).unwrap();
        run.log(1, &[("loss", loss)]).unwrap();
        run.finish().unwrap();
    };
    record("a", RecorderOptions::new(), 0.25);
    record("b", RecorderOptions::new(), 0.75);
    record("c", RecorderOptions::new().seed(0), 0.25);
    record("d", RecorderOptions::new().seed(1), 0.75);
    let compare = |runs: [&str; 2]| {
        let output = succeeded(sandbox.lookahead(&[&["compare"], &runs[..]].concat()));
        String::from_utf8(output.stdout).unwrap()
    };
    let apart = compare(["runs/a", "runs/b"]);
    assert!(apart.contains("run=a") && apart.contains("run=b"), "{apart}");
    assert!(!apart.contains("all runs") && !apart.contains("validation"), "{apart}");
    let together = compare(["runs/c", "runs/d"]);
    assert!(together.contains("all runs") && together.contains("0.50 ± 0.35"), "{together}");
}

#[test]
fn a_heat_map_without_layers_names_the_key_that_logs_them() {
    let sandbox = Sandbox::new("");
    record(&sandbox, "a", 1);
    let refused =
        sandbox.lookahead(&["plot", "runs/a", "-o", "no.svg", "--charts", "layer-distance"]);
    failed(&refused, 2, &["`layer-distance`", "probe.layers=true"]);
}
