//! A full disk, in a process of its own: the limit on the size of a file is the process's.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lookahead_run::event::{Event, Record, Step};
use lookahead_run::{EventLog, log};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn step(step: u64) -> Record {
    let (epoch, loss, learning_rate, samples_per_second, phase) = (0, 0.5, 0.1, 9.0, 1);
    let taken = Step { epoch, loss, learning_rate, samples_per_second, phase };
    Record { time: 1.5, step, event: Event::Step(taken) }
}

fn limit_files(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

#[test]
fn a_full_disk_takes_whole_lines_and_the_others_stay_buffered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let length = || path.metadata().unwrap().len();
    let steps =
        || -> Vec<u64> { log::read(&path).unwrap().iter().map(|record| record.step).collect() };
    // Otherwise the signal would end the process.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)))
        .unwrap();
    let mut log = EventLog::open(&path).unwrap();
    let length_of = |i| serde_json::to_vec(&step(i)).unwrap().len() as u64 + 1;
    (1..=3).for_each(|i| log.buffer(&step(i)).unwrap());
    let fourth = (1..=3).map(length_of).sum::<u64>();
    log.buffer(&step(4)).unwrap();
    assert_eq!((log.buffered(), length()), (4, 0));

    // Room for three lines, which may be read at once, and for a part of the fourth.
    limit_files(Some(fourth + 9));
    let error = log.write().unwrap_err().to_string();
    assert_eq!((log.buffered(), length(), steps()), (1, fourth + 9, vec![1, 2, 3]), "{error}");
    log.append(&step(5)).unwrap_err();
    assert_eq!(log.buffered(), 1, "what could not be appended does not wait");
    limit_files(None);
    log.append(&step(6)).unwrap();
    assert_eq!((log.buffered(), steps()), (0, vec![1, 2, 3, 4, 6]));
}
