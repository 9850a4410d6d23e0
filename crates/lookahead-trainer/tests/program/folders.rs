//! Folders of runs that are moved, removed, copied or mixed up, while a process trains there and after.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::{
    SMALL, Sandbox, copy_folder, failed, logged, signal, stderr, succeeded, wait_until,
};
use lookahead_run::checkpoint::sha256_of;
use lookahead_run::event::{Event, Status};

/// A run that keeps training and saves often.
const ENDLESS: [&str; 4] =
    ["--set", "train.max_steps=10000000", "--set", "checkpoint.every_steps=20"];

/// The SHA-256 of every file below a folder.
fn hashes(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                found.insert(path.clone(), sha256_of(&fs::read(path).unwrap()));
            }
        }
    }
    found
}

fn begin(sandbox: &Sandbox, run: &str) -> Child {
    let mut child = sandbox.start(run, &ENDLESS);
    sandbox.wait_for(run, &mut child, |record| record.step >= 40);
    child
}

/// Tries again if a checkpoint is written meanwhile.
fn remove(folder: &Path) {
    wait_until("the folder is removed", || fs::remove_dir_all(folder).is_ok());
}

fn newest(sandbox: &Sandbox, run: &str) -> u64 {
    sandbox.checkpoints(run).last().map_or(0, |(step, _)| *step)
}

/// A shorter run takes the name of one whose folder was moved away while it trains.
#[test]
fn a_moved_run_stays_in_its_folder_and_leaves_the_next_of_its_name_alone() {
    let sandbox = Sandbox::new(SMALL);
    let child = begin(&sandbox, "run");
    fs::rename(sandbox.run_folder("run"), sandbox.run_folder("old")).unwrap();
    sandbox.train("run", &["--set", "optimizer.lr=0.03", "--set", "checkpoint.keep=2"]);
    let before = hashes(&sandbox.run_folder("run"));

    let (there, noted) = (newest(&sandbox, "old"), "The run's folder was moved");
    wait_until("it saves where its folder is", || newest(&sandbox, "old") > there + 40);
    wait_until("it says so", || {
        sandbox.records("old").iter().any(|record| match &record.event {
            Event::Note(note) => note.message.contains(noted) && note.message.contains("runs/old"),
            _ => false,
        })
    });
    succeeded(sandbox.lookahead(&["ctl", "runs/old", "checkpoint"]));
    signal(&child, "TERM");
    let output = succeeded(child.wait_with_output().unwrap());
    assert!(stderr(&output).contains("Run folder: runs/old"), "{}", stderr(&output));

    assert!(hashes(&sandbox.run_folder("run")) == before, "the second run is as it was");
    let evaluated = succeeded(sandbox.lookahead(&["eval", "runs/run"]));
    assert!(String::from_utf8(evaluated.stdout).unwrap().contains("at step 14"));
    let last = sandbox.records("old").pop().unwrap();
    assert!(matches!(&last.event, Event::RunEnded(end) if end.status == Status::Stopped));
    assert_eq!(newest(&sandbox, "old"), last.step);
    assert!(sandbox.checkpoints("old").iter().all(|(_, found)| found.is_ok()));
    let more = format!("train.max_steps={}", last.step + 3);
    sandbox.resume("old", &["--set", &more]);
}

#[test]
fn a_run_whose_folder_is_removed_leaves_the_next_of_its_name_alone() {
    let sandbox = Sandbox::new(SMALL);
    let child = begin(&sandbox, "run");
    remove(&sandbox.run_folder("run"));
    sandbox.train("run", &["--set", "optimizer.lr=0.03", "--set", "checkpoint.keep=2"]);
    let before = hashes(&sandbox.run_folder("run"));
    // Long enough for many checkpoints.
    std::thread::sleep(Duration::from_secs(2));
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    let gone = "The folder of the run, `runs/run`, was removed during training";
    failed(&output, 1, &[gone, "NO CHECKPOINT of step", "could not be saved"]);
    assert!(hashes(&sandbox.run_folder("run")) == before, "the second run is as it was");
}

/// The processes of a killed sweep keep training.
#[test]
fn processes_of_a_removed_sweep_leave_the_next_of_its_name_alone() {
    let text = |lr: &str, steps: u64| {
        format!(
            "config = \"test.toml\"\nseeds = 2\njobs = 2\n[set]\n\"train.max_steps\" = {steps}\n\
             \"optimizer.lr\" = {lr}\n\"checkpoint.every_steps\" = 20\n\"checkpoint.keep\" = 2\n"
        )
    };
    let sandbox = Sandbox::new(SMALL);
    let file = sandbox.path().join("sweep.toml");
    let arguments = ["sweep", "sweep.toml", "--out", "out"];
    let run = |index: u32| sandbox.path().join(format!("out/sweep/runs/s{index}"));

    fs::write(&file, text("0.05", 10_000_000)).unwrap();
    let mut killed = sandbox.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
    for index in 0..2 {
        let log = run(index).join("events.jsonl");
        wait_until("both train", || logged(&log, |record| record.step >= 40));
    }
    let processes: Vec<u32> = (0..2).map(|index| process(&sandbox, &run(index))).collect();
    signal(&killed, "KILL");
    killed.wait().unwrap();
    remove(&sandbox.path().join("out/sweep"));
    fs::write(&file, text("0.03", 60)).unwrap();
    succeeded(sandbox.lookahead(&arguments));
    let before = hashes(&sandbox.path().join("out/sweep"));
    std::thread::sleep(Duration::from_secs(2));
    for process in processes {
        let id = process.to_string();
        assert!(Path::new("/proc").join(&id).exists(), "it trains on");
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        wait_until("it ends", || !is_running(&id));
    }
    assert!(hashes(&sandbox.path().join("out/sweep")) == before, "the second sweep is as it was");
}

/// A sweep whose folder was moved away must not start, replace or list runs in the one that has its name now.
#[test]
fn a_moved_sweep_ends_and_leaves_the_next_of_its_name_alone() {
    let text = |steps: u64| {
        format!(
            "config = \"test.toml\"\nseeds = 2\njobs = 1\n[set]\n\"train.max_steps\" = {steps}\n\
             \"checkpoint.every_steps\" = 0\n"
        )
    };
    let sandbox = Sandbox::new(SMALL);
    let arguments = ["sweep", "sweep.toml", "--out", "out"];
    fs::write(sandbox.path().join("sweep.toml"), text(10_000_000)).unwrap();
    let mut first = sandbox.command(&arguments);
    let first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let run = |sweep: &str| sandbox.path().join("out").join(sweep).join("runs/s0");
    wait_until("it trains", || {
        lookahead_run::log::read(&run("sweep").join("events.jsonl"))
            .is_ok_and(|records| records.last().is_some_and(|record| record.step >= 40))
    });
    fs::rename(sandbox.path().join("out/sweep"), sandbox.path().join("out/old")).unwrap();
    fs::write(sandbox.path().join("sweep.toml"), text(10)).unwrap();
    succeeded(sandbox.lookahead(&arguments));
    let before = hashes(&sandbox.path().join("out/sweep"));
    failed(
        &first.wait_with_output().unwrap(),
        1,
        &["out/sweep`, or its file `lock` was moved or removed"],
    );
    wait_until("its run saves and stops where it is", || {
        let end =
            |records: Vec<lookahead_run::event::Record>| records.last().unwrap().event.clone();
        lookahead_run::log::read(&run("old").join("events.jsonl"))
            .is_ok_and(|records| matches!(end(records), Event::RunEnded(_)))
    });
    assert!(hashes(&sandbox.path().join("out/sweep")) == before, "the second sweep is as it was");
}

/// The process ID of a run, from its status.
fn process(sandbox: &Sandbox, run: &Path) -> u32 {
    let output = succeeded(sandbox.lookahead(&["ctl", run.to_str().unwrap(), "status", "--json"]));
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    status["process"].as_u64().unwrap() as u32
}

/// A process that has ended may still be a zombie.
fn is_running(process: &str) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(process).join("stat"));
    status.is_ok_and(|status| !status.contains(") Z"))
}

#[test]
fn a_removed_lock_admits_no_second_process() {
    let sandbox = Sandbox::new(SMALL);
    let child = begin(&sandbox, "run");
    let lock = sandbox.run_folder("run").join("lock");
    for _ in 0..3 {
        fs::remove_file(&lock).unwrap();
        failed(&sandbox.lookahead(&["resume", "runs/run"]), 1, &["is in use"]);
    }
    fs::remove_file(&lock).unwrap();
    wait_until("there is a lock again", || lock.exists());
    let there = newest(&sandbox, "run");
    wait_until("it saves on", || newest(&sandbox, "run") > there + 40);
    failed(&sandbox.lookahead(&["resume", "runs/run"]), 1, &["is in use"]);
    signal(&child, "TERM");
    succeeded(child.wait_with_output().unwrap());
    assert!(!sandbox.run_folder("run").join("abandoned").exists());
    let last = format!("train.max_steps={}", newest(&sandbox, "run") + 3);
    sandbox.resume("run", &["--set", &last]);
}

/// Another process holds the lock that replaced the run's own: it may be writing.
#[test]
fn a_run_taken_over_by_another_process_writes_nothing_more() {
    let sandbox = Sandbox::new(SMALL);
    let child = begin(&sandbox, "run");
    let folder = sandbox.run_folder("run");
    let mut other = File::create_new(folder.join("other")).unwrap();
    other.write_all(b"another machine\n1:2\n").unwrap();
    other.lock().unwrap();
    fs::rename(folder.join("other"), folder.join("lock")).unwrap();
    // A write in progress finishes.
    std::thread::sleep(Duration::from_millis(200));
    let before = hashes(&folder);
    let output = child.wait_with_output().unwrap();
    failed(&output, 1, &["Another process has taken over the run `runs/run`"]);
    assert!(hashes(&folder) == before);
    assert!(sandbox.checkpoints("run").iter().all(|(_, found)| found.is_ok()));
}

/// Only the run itself may hold its lock: a shared lock of another user's would block a resume.
#[test]
fn only_its_owner_can_open_a_lock() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=4"]);
    let lock = sandbox.run_folder("run").join("lock");
    let mode = || lock.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
    sandbox.resume("run", &["--set", "train.max_steps=5"]);
    assert_eq!(mode(), 0o600, "one of an earlier version");
}

#[test]
fn a_checkpoint_of_another_run_is_refused_by_name() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=4"]);
    sandbox.train("other", &["--set", "optimizer.lr=0.03", "--set", "train.max_steps=6"]);
    let name = "step-00000006";
    copy_folder(&sandbox.run_folder("other").join(name), &sandbox.run_folder("run").join(name));
    let words = &["step-00000006` is of another run", "use another checkpoint of the run"][..];
    for command in [
        &["resume", "runs/run", "--from", "6", "--set", "train.max_steps=8"][..],
        &["eval", "runs/run", "--from", "6"],
        &["export", "runs/run", "--from", "6", "--output", "model.safetensors"],
    ] {
        failed(&sandbox.lookahead(command), 2, words);
    }
    for path in ["runs/run", "runs/run/step-00000006"] {
        let output = sandbox.lookahead(&["inspect", path]);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8(output.stdout).unwrap().contains(words[0]));
    }
    let output = sandbox.lookahead(&["eval", "runs/run"]);
    assert!(stderr(&output).contains(words[0]) && stderr(&output).contains("step-00000004"));
    assert!(String::from_utf8(output.stdout).unwrap().contains("at step 4"));
    let copied = hashes(&sandbox.run_folder("run").join(name));
    sandbox.resume("run", &["--set", "train.max_steps=5", "--set", "checkpoint.keep=1"]);
    assert_eq!(sandbox.records("run").pop().unwrap().step, 5);
    // It was later than the checkpoint that was resumed from, like those in `abandoned/`.
    let aside = hashes(&sandbox.run_folder("run").join("abandoned").join(name));
    assert!(aside.values().eq(copied.values()));

    // A checkpoint elsewhere belongs to no run's folder.
    copy_folder(&sandbox.run_folder("other").join(name), &sandbox.path().join("best"));
    succeeded(sandbox.lookahead(&["inspect", "best"]));
}

/// A copy is the same run, and so is one that was trained on.
#[test]
fn a_copied_run_can_be_resumed_and_its_checkpoints_copied_back() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=4"]);
    copy_folder(&sandbox.run_folder("run"), &sandbox.run_folder("copy"));
    sandbox.resume("copy", &["--set", "train.max_steps=6"]);
    let name = "step-00000006";
    copy_folder(&sandbox.run_folder("copy").join(name), &sandbox.run_folder("run").join(name));
    sandbox.resume("run", &["--set", "train.max_steps=8"]);
    assert_eq!(sandbox.losses("run").len(), 6, "steps 5 and 6 are in the copy's log");

    // A run of an earlier version has no id, and takes that of its checkpoints where these have one.
    let id = fs::read_to_string(sandbox.run_folder("run").join("id")).unwrap();
    fs::remove_file(sandbox.run_folder("run").join("id")).unwrap();
    sandbox.resume("run", &["--set", "train.max_steps=9"]);
    assert_eq!(fs::read_to_string(sandbox.run_folder("run").join("id")).unwrap(), id);
}

/// As by `cp -al`: what one of the two appends is not the other's.
#[test]
fn a_hard_linked_copy_shares_nothing_that_changes() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=4"]);
    let link = |from: &str, to: &str| {
        let paths = [sandbox.run_folder(from), sandbox.run_folder(to)];
        assert!(Command::new("cp").arg("-al").args(paths).status().unwrap().success());
    };
    link("run", "copy");
    let before = hashes(&sandbox.run_folder("run"));
    sandbox.resume("copy", &["--set", "train.max_steps=6"]);
    assert!(hashes(&sandbox.run_folder("run")) == before, "the original is as it was");
    let inode =
        |run: &str, file: &str| sandbox.run_folder(run).join(file).metadata().unwrap().ino();
    for file in ["events.jsonl", "lock"] {
        assert_ne!(inode("run", file), inode("copy", file), "{file}");
    }

    // A run that trains meanwhile neither blocks the copy nor notices it.
    let child = begin(&sandbox, "live");
    wait_until("there is a checkpoint", || newest(&sandbox, "live") > 0);
    signal(&child, "STOP");
    link("live", "other");
    signal(&child, "CONT");
    let last = format!("train.max_steps={}", newest(&sandbox, "other") + 2);
    sandbox.resume("other", &["--set", &last]);
    let there = newest(&sandbox, "live");
    wait_until("it saves on", || newest(&sandbox, "live") > there + 40);
    signal(&child, "TERM");
    succeeded(child.wait_with_output().unwrap());
    let resumed =
        sandbox.records("live").iter().filter(|r| matches!(r.event, Event::Resumed(_))).count();
    assert_eq!(resumed, 0);
}
