//! Data that does not come: a file whose opening waits until another process permits it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lookahead_run::event::{Event, Record, Stalled, Warning};

use crate::common::ranks::{start, succeed};
use crate::common::{Killed, Sandbox, failed, sets, stderr, succeeded};

const CONFIG: &str = r#"
[data]
kind = "images"
dir = "images"
in_memory = "never"
mean = [100.0]
std = [50.0]
batch_size = 10
[model]
kind = "mlp"
hidden = [8]
[lookahead]
k = 3
[train]
max_steps = 10000000
threads = 1
[probe]
every_syncs = 0
[checkpoint]
every_steps = 0
[watchdog]
stall_seconds = 3
"#;

/// Images for steps and evaluations, decoded when a batch needs them.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(CONFIG);
    for (part, count) in [("train", 40), ("validation", 20)] {
        for i in 0..count {
            let path = image(&sandbox, part, i);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::GrayImage::from_pixel(8, 8, image::Luma([i * 6])).save(path).unwrap();
        }
    }
    sandbox
}

fn image(sandbox: &Sandbox, part: &str, number: u8) -> PathBuf {
    sandbox.path().join(format!("images/{part}/{}/{number:02}.png", number % 2))
}

/// Holds a lease of a file: whoever opens it waits until this process ends, or for as long as the system permits, which
/// is 45 s.
const LEASE: &str = r#"
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open(sys.argv[1], os.O_RDONLY)
while True:
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        break
    except BlockingIOError:  # It is being read.
        time.sleep(0.001)
print("held", flush=True)
time.sleep(600)
"#;

fn lease(path: &Path) -> Killed {
    let mut python = Command::new("python3");
    python.args(["-c", LEASE]).arg(path).stdout(Stdio::piped());
    let mut child = python.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n", "this file system has no leases");
    Killed(child)
}

/// The run in one process or several.
fn begin(sandbox: &Sandbox, size: usize, keys: &[&str]) -> Vec<Child> {
    let first = ["train", "test.toml", "--out", "runs", "--name", "run", "--quiet"];
    let mode = if size > 1 { "distributed.mode=local" } else { "distributed.mode=none" };
    let keys = [keys, &[mode]].concat();
    let mut ranks = start(sandbox, size, &[&first[..], &sets(&keys)].concat());
    sandbox.wait_for("run", &mut ranks[0], |record| record.step > 40);
    ranks
}

fn stalls(records: &[Record]) -> Vec<bool> {
    let found = |record: &Record| match record.event {
        Event::Stalled(Stalled { in_evaluation, .. }) => Some(in_evaluation),
        _ => None,
    };
    records.iter().filter_map(found).collect()
}

fn is_stalled(record: &Record) -> bool {
    matches!(record.event, Event::Stalled(_))
}

/// Waits until the training goes on, and stops it.
fn end(sandbox: &Sandbox, mut ranks: Vec<Child>) -> Vec<String> {
    let step = sandbox.records("run").last().unwrap().step;
    sandbox.wait_for("run", &mut ranks[0], |record| record.step > step + 20);
    succeeded(sandbox.lookahead(&["ctl", "runs/run", "stop"]));
    succeed(ranks).iter().map(stderr).collect()
}

#[test]
fn a_step_that_waits_for_its_data_is_noticed_and_goes_on_as_if_it_had_not() {
    for size in [1, 2] {
        let sandbox = sandbox();
        let keys = ["train.evaluate_every_epochs=0"];
        let mut ranks = begin(&sandbox, size, &keys);
        let held = lease(&image(&sandbox, "train", 7));
        sandbox.wait_for("run", &mut ranks[0], is_stalled);
        drop(held);
        end(&sandbox, ranks);
        assert_eq!(stalls(&sandbox.records("run")), [false], "{size}");
        if size == 1 {
            let losses = sandbox.losses("run");
            let steps = format!("train.max_steps={}", losses.len());
            sandbox.train("undisturbed", &sets(&[keys[0], &steps]));
            assert_eq!(sandbox.losses("undisturbed"), losses);
        }
    }
}

/// Of two processes, the first evaluates the first ten images, and notices too that the other does not come.
#[test]
fn an_evaluation_that_waits_for_its_data_is_noticed() {
    for (size, number) in [(1, 7), (2, 7), (2, 17)] {
        let sandbox = sandbox();
        let mut ranks = begin(&sandbox, size, &[]);
        let held = lease(&image(&sandbox, "validation", number));
        sandbox.wait_for("run", &mut ranks[0], is_stalled);
        drop(held);
        let said = end(&sandbox, ranks);
        let records = sandbox.records("run");
        assert_eq!(stalls(&records), [true], "{size} {number}");
        let message = |record: &Record| match &record.event {
            Event::Warning(Warning { message }) => Some(message.clone()),
            _ => None,
        };
        let warned: Vec<String> = records.iter().filter_map(message).collect();
        let is_right = |message: &String| message.starts_with("The evaluation after step ");
        assert_eq!(warned.iter().filter(|message| is_right(message)).count(), 1, "{warned:?}");
        if number == 17 {
            assert!(said[1].contains("Warning: The evaluation after step"), "{}", said[1]);
        }
    }
}

#[test]
fn an_evaluation_that_stands_still_can_end_the_run() {
    let sandbox = sandbox();
    let mut ranks = begin(&sandbox, 1, &["watchdog.stall=stop", "train.max_steps=2000"]);
    let _held = lease(&image(&sandbox, "validation", 7));
    let output = ranks.remove(0).wait_with_output().unwrap();
    failed(&output, 1, &["The evaluation after step", "the program was ended"]);
}
