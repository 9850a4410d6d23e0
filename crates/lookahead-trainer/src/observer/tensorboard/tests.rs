use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lookahead_run::event::{RunEnded, Status, Step};
use lookahead_run::{EventLog, tensorboard};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

/// As on a full disk: limits the size of all files of this process.
fn limit(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

fn step(step: u64) -> Record {
    let (epoch, loss, learning_rate, samples_per_second, phase) = (0, 0.5, 0.1, 9.0, 1);
    let taken = Step { epoch, loss, learning_rate, samples_per_second, phase };
    Record::now(step, Event::Step(taken))
}

fn run() -> (tempfile::TempDir, RunFolder) {
    let temp = tempfile::tempdir().unwrap();
    let run = RunFolder::create(temp.path(), "run").unwrap();
    run.write_config("").unwrap();
    drop(run.open_log().unwrap());
    // Else the signal ends the process.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)))
        .unwrap();
    (temp, run)
}

#[test]
fn values_wait_while_the_disk_is_full() {
    let (temp, run) = run();
    let mut file = TensorBoard::new(&run);
    let records: Vec<Record> = (1..=50).map(step).collect();
    assert!(file.add(&records[0]).is_none());
    limit(Some(1000));
    let mut warnings = Vec::new();
    for record in &records[1..40] {
        warnings.extend(file.add(record));
        // As after a second.
        file.written = None;
    }
    limit(None);
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(
        warning.contains("values wait") && warning.contains("run --tensorboard DIR"),
        "{warning}"
    );
    // A checkpoint does not try again, but the next second does.
    assert!(file.write().is_none() && file.failed);
    assert!(records[40..].iter().all(|record| file.add(record).is_none()) && !file.failed);
    let ended = Record::now(50, Event::RunEnded(RunEnded::new(Status::Finished)));
    assert!(file.add(&ended).is_none());

    let mut log = EventLog::open(&run.events_path()).unwrap();
    records.iter().for_each(|record| log.append(record).unwrap());
    let whole = tensorboard::export(&run, temp.path()).unwrap();
    let own = tensorboard::files(run.path()).unwrap();
    assert!(std::fs::read(&own[0]).unwrap() == std::fs::read(whole).unwrap());
}

#[test]
fn a_file_that_cant_be_made_is_given_up() {
    let (_temp, run) = run();
    std::fs::write(run.events_path(), "{}\nnot json\n{}\n").unwrap();
    let mut file = TensorBoard::new(&run);
    let warning = file.add(&step(1)).unwrap();
    assert!(warning.contains("not written any more") && warning.contains("line 1"), "{warning}");
    assert!(file.add(&step(2)).is_none() && file.write().is_none());
    assert!(tensorboard::files(run.path()).unwrap().is_empty());
}
