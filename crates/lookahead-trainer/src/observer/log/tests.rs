use super::*;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As on a full disk: limits the size of all files of this process.
fn limit(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

fn step(step: u64) -> Record {
    let (epoch, loss, learning_rate, samples_per_second, phase) = (0, 0.5, 0.1, 9.0, 1);
    let taken =
        lookahead_run::event::Step { epoch, loss, learning_rate, samples_per_second, phase };
    Record::now(step, Event::Step(taken))
}

#[test]
fn frequent_records_are_buffered_and_rare_ones_written_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut log = Log::new(EventLog::open(&path).unwrap());
    let length = || path.metadata().unwrap().len();
    // The first does not wait: a step that takes a second is logged at once.
    log.write(&step(1));
    let first = length();
    assert!(first > 0 && log.log.buffered() == 0);
    (2..=3).for_each(|i| drop(log.write(&step(i))));
    assert_eq!((length(), log.log.buffered()), (first, 2));
    log.write(&Record::now(3, Event::Paused));
    assert!(length() > first && log.log.buffered() == 0);
    log.write(&step(4));
    assert_eq!(log.log.buffered(), 1);
    std::thread::sleep(BUFFERING);
    log.write(&step(5));
    assert_eq!(log.log.buffered(), 0, "it has waited long enough");
    log.write(&step(6));
    assert!(log.write_buffered().is_none());
    assert_eq!(log.log.buffered(), 0);
    let found = lookahead_run::log::read(&path).unwrap();
    let found: Vec<u64> = found.iter().map(|record| record.step).collect();
    assert_eq!(found, [1, 2, 3, 3, 4, 5, 6]);
}

#[test]
fn records_wait_while_the_disk_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    // Else the signal ends the process.
    let signalled = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, signalled).unwrap();
    let mut log = Log::new(EventLog::open(&path).unwrap());
    limit(Some(1000));
    // Some by themselves and some together, so that one of these is torn.
    let warnings: Vec<u64> = (1..=100)
        .filter_map(|i| {
            let warning = log.write(&step(i));
            warning.or_else(|| (i % 3 == 0).then(|| log.write_buffered()).flatten())
        })
        .map(|warning| warning.step)
        .collect();
    assert_eq!(warnings.len(), 1, "one is enough");
    let error = format!("{:#}", log.finish().unwrap_err());
    assert!(error.contains("events of the run could not be logged"), "{error}");
    // With room again after a second, as when other programs free theirs.
    let later = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(1));
        limit(None);
    });
    log.finish().unwrap();
    later.join().unwrap();

    let records = lookahead_run::log::read(&path).unwrap();
    let steps: Vec<u64> = records
        .iter()
        .filter(|record| matches!(record.event, Event::Step(_)))
        .map(|record| record.step)
        .collect();
    assert_eq!(steps, (1..=100).collect::<Vec<_>>());
    let found = records.iter().filter(|record| matches!(record.event, Event::Warning(_)));
    assert_eq!(found.map(|record| record.step).collect::<Vec<_>>(), warnings);
}

#[test]
fn dropped_records_are_counted_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut log = Log::new(EventLog::open(&path).unwrap());
    // As after a failed attempt just now.
    log.failed = Some(Instant::now() + Duration::from_secs(3600));
    for i in 0..WAITING as u64 {
        let warning = log.write(&step(i));
        assert!(warning.is_none());
        assert_eq!(log.lost, (i + 1).saturating_sub((WAITING - RESERVED) as u64));
    }
    assert!(log.write(&Record::now(7, Event::Paused)).is_none());
    assert_eq!(log.log.buffered(), WAITING - RESERVED + 1, "there is room for rare records");
    log.finish().unwrap();
    let records = lookahead_run::log::read(&path).unwrap();
    assert_eq!(records[WAITING - RESERVED].event, Event::Paused);
    let Event::Warning(warning) = &records.last().unwrap().event else { panic!() };
    assert!(warning.message.starts_with("1024 events are missing here"), "{warning:?}");
}
