use std::fs;

use lookahead_run::EventLog;
use lookahead_run::event::{Event, Record};

use super::*;

/// A run whose log has lines of these times, and one that is no event after the first.
fn log(run: &RunFolder, times: &[f64]) {
    let path = run.events_path();
    let _ = fs::remove_file(&path);
    for (step, time) in times.iter().enumerate() {
        let record = Record { time: *time, step: step as u64, event: Event::Paused };
        EventLog::open(&path).unwrap().append(&record).unwrap();
        if step == 0 {
            let damaged = fs::read_to_string(&path).unwrap() + "{\"half\":1}\n";
            fs::write(&path, damaged).unwrap();
        }
    }
}

fn read(tail: &mut LogTail, mark: &mut Bookmark) -> Vec<RunUpdate> {
    let updates: Vec<RunUpdate> =
        tail.read(1000).unwrap().into_iter().map(RunUpdate::from).collect();
    updates.iter().for_each(|update| mark.add(update));
    updates
}

#[test]
fn a_log_is_sent_from_the_bookmark_on_if_it_still_begins_so() {
    let temp = tempfile::tempdir().unwrap();
    let run = RunFolder::create(temp.path(), "run").unwrap();
    log(&run, &[1.0, 2.0, 3.0]);
    let mut mark = Bookmark::default();
    let mut tail = tail_from(&run, mark).unwrap().unwrap();
    assert_eq!(read(&mut tail, &mut mark).len(), 4);
    // Nothing new, then one more.
    let mut tail = tail_from(&run, mark).unwrap().unwrap();
    assert!(read(&mut tail, &mut mark).is_empty());
    log(&run, &[1.0, 2.0, 3.0, 4.0]);
    let mut tail = tail_from(&run, mark).unwrap().unwrap();
    let new = read(&mut tail, &mut mark);
    assert!(matches!(&new[..], [RunUpdate::Record(record)] if record.time == 4.0), "{new:?}");
    // The run was resumed from an earlier step, and another one has its name.
    for times in [&[1.0, 2.0][..], &[1.0, 2.0, 3.5, 4.5, 5.5], &[]] {
        log(&run, times);
        assert!(tail_from(&run, mark).unwrap().is_none(), "{times:?}");
    }
}
