use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lookahead_run::event::{Event, Record, Step, Warning};

use super::super::Observer;
use super::super::log::Log;
use crate::background_writer::BackgroundWriter;

const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_returning_reader_is_in_the_log_and_in_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let folder = lookahead_run::RunFolder::create(folder.path(), "run").unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut observer = Observer::empty(true);
    observer.sink.log = Some(Arc::new(Mutex::new(Log::new(folder.open_log().unwrap()))));
    observer.json = Some(BackgroundWriter::with_backlog("test", writer, 1 << 16).unwrap());
    let (epoch, loss, learning_rate, samples_per_second, phase) = (0, 0.5, 0.1, 9.0, 1);
    let step = Event::Step(Step { epoch, loss, learning_rate, samples_per_second, phase });
    (1..=10_000).for_each(|number| observer.record(number, step.clone()));

    let read = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    assert!(observer.json.as_ref().unwrap().flush(LONG, LONG));
    // The first is accepted, the next brings the number.
    (10_001..=10_002).for_each(|number| observer.record(number, step.clone()));
    observer.finish().unwrap();
    drop(observer);

    let messages = |records: &[Record]| -> Vec<String> {
        let messages = records.iter().filter_map(|record| match &record.event {
            Event::Warning(Warning { message }) => Some(message.clone()),
            _ => None,
        });
        messages.collect()
    };
    let number = |message: &str| message.split(' ').next().unwrap().parse::<usize>().unwrap();
    let logged = lookahead_run::log::read(&folder.events_path()).unwrap();
    let [dropping, dropped] = &messages(&logged)[..] else { panic!("{:?}", messages(&logged)) };
    assert!(dropping.starts_with("Standard output is not being read, so events"), "{dropping}");
    assert!(dropped.contains(" events were dropped, because standard output"), "{dropped}");
    let text = read.join().unwrap();
    let shown: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [missing, again] = &messages(&shown)[..] else { panic!("{:?}", messages(&shown)) };
    assert!(missing.contains(" events are missing here"), "{missing}");
    assert_eq!((number(missing), again), (number(dropped), dropped));
    assert_eq!(shown.len() - 1 + number(missing), logged.len());
}
