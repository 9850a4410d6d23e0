//! A recorder on a full disk, in a process of its own: the limit on the size of a file is the process's.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use lookahead_run::event::Event;
use lookahead_run::{Recorder, Request, log};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn limit_files(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

#[test]
fn what_a_full_disk_does_not_take_is_written_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    // Otherwise the signal would end the process.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)))
        .unwrap();
    let mut run = Recorder::create(folder.path(), "mine").unwrap();
    let path = folder.path().join("mine/events.jsonl");
    limit_files(Some(path.metadata().unwrap().len() + 1000));
    for step in 1..=1000 {
        run.log(step, &[("loss", 0.5)]).unwrap();
        assert_eq!(run.poll().unwrap(), Request::Continue);
    }
    while run.trouble().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(run.trouble().unwrap().contains("Raise the limit"));
    assert_eq!(run.poll().unwrap(), Request::Continue, "nothing is lost yet");
    limit_files(None);
    run.finish().unwrap();
    let steps = log::read(&path).unwrap();
    let steps: Vec<u64> = steps
        .iter()
        .filter(|record| matches!(record.event, Event::Scalars(_)))
        .map(|record| record.step)
        .collect();
    assert_eq!(steps, (1..=1000).collect::<Vec<u64>>());
}
