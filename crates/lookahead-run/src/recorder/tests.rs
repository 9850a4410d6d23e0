use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;

use serde_json::json;
use tempfile::tempdir;

use super::*;
use crate::command::{Command, Setting};
use crate::event::{MetricInfo, Record};
use crate::{RunSummary, control, summary};

fn scalars(records: &[Record]) -> Vec<(u64, Scalars)> {
    let of = |record: &Record| match &record.event {
        Event::Scalars(scalars) => Some((record.step, scalars.clone())),
        _ => None,
    };
    records.iter().filter_map(of).collect()
}

fn send(run: &RunFolder, command: Command) -> Result<Option<String>> {
    control::send(run, command)
}

fn set(run: &RunFolder, key: &str, value: serde_json::Value) -> Result<Option<String>> {
    send(run, Command::Set(Setting { key: key.into(), value }))
}

/// The run's folder as another process opens it.
fn other(run: &Recorder) -> RunFolder {
    RunFolder::open(run.folder().path()).unwrap()
}

#[test]
fn what_is_logged_is_in_the_log_to_the_bit() {
    let temp = tempdir().unwrap();
    let options = RecorderOptions::new()
        .about("mnist", "mlp", "adamw")
        .total_steps(7)
        .seed(3)
        .metric(MetricInfo::accuracy())
        .config(&json!({"model": {"width": 64}}))
        .unwrap()
        .setting("optimizer.lr", 0.1);
    let mut run = Recorder::create_with(temp.path(), "mine", options).unwrap();
    let folder = other(&run);
    let odd = ["\u{1b}[2J\n", "\u{202e}עברית", "漢字", "\"", "a/b c", " "];
    for (step, value) in (1..).zip(crate::testing::tricky_numbers()) {
        let mut values: Vec<(&str, f64)> = odd.iter().map(|name| (*name, value)).collect();
        values.push(("loss", value));
        run.log(step, &values).unwrap();
    }
    run.note("half").unwrap();
    run.finish().unwrap();
    let records = log::read(&folder.events_path()).unwrap();
    let found = scalars(&records);
    assert_eq!(found.len(), crate::testing::tricky_numbers().len());
    for ((step, scalars), value) in found.iter().zip(crate::testing::tricky_numbers()) {
        assert_eq!(scalars.values.len(), 7, "at step {step}");
        for found in scalars.values.values() {
            assert!(found.to_bits() == value.to_bits() || (found.is_nan() && value.is_nan()));
        }
    }
    let summary = RunSummary::read(&folder.events_path()).unwrap();
    assert_eq!(summary.ended().unwrap().status, EndStatus::Finished);
    let info = summary.info.unwrap();
    assert_eq!((info.task.kind, info.total_steps, info.seed), (Task::Recorded, 7, 3));
    let config = json!({"model": {"width": 64}, "optimizer": {"lr": 0.1}, "seed": 3});
    assert_eq!(info.config, config);
    assert_eq!(
        toml::from_str::<serde_json::Value>(&folder.read_config().unwrap()).unwrap(),
        config
    );
    assert!(!folder.is_in_use().unwrap());
}

#[test]
fn what_cannot_be_logged_is_refused_and_leaves_nothing() {
    let temp = tempdir().unwrap();
    let mut run = Recorder::create(temp.path(), "mine").unwrap();
    let path = run.folder().events_path();
    let refused = |result: Result<()>, words: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(run.log(1, &[("", 1.0)]), "is empty");
    refused(run.log(1, &[("a", 1.0), ("b", 1.0), ("a", 2.0)]), "\"a\" of a number comes twice");
    let names: Vec<String> = (0..40).map(|i| format!("{}", i % 39)).collect();
    let many: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
    refused(run.log(1, &many), "\"0\" of a number comes twice");
    let long = "x".repeat(log::LARGEST_LINE);
    refused(run.log(1, &[(&long, 1.0)]), "bytes");
    run.log(2, &[("a", 1.0)]).unwrap();
    refused(run.log(1, &[("a", 1.0)]), "Step 1 comes after step 2");
    run.log(2, &[("a", 3.0)]).unwrap();
    assert_eq!(run.poll().unwrap(), Request::Continue);
    let copy = temp.path().join("copy");
    run.finish().unwrap_or_else(|error| panic!("{error}"));
    fs::rename(temp.path().join("mine"), &copy).unwrap();
    drop(path);
    let found = scalars(&log::read(&copy.join("events.jsonl")).unwrap());
    assert_eq!(found, [(2, Scalars::new([("a", 1.0)])), (2, Scalars::new([("a", 3.0)]))]);
}

#[test]
fn commands_reach_the_loop_and_only_those_that_it_declared() {
    let temp = tempdir().unwrap();
    let options = RecorderOptions::new().setting("lr", 0.1).setting("batch", 32).checkpoints();
    let mut run = Recorder::create_with(temp.path(), "mine", options).unwrap();
    let folder = other(&run);
    assert_eq!(control::status(&folder).unwrap().settings, ["lr", "batch"]);
    run.log(1, &[("loss", 0.5), ("lr", 0.1)]).unwrap();
    let status = control::status(&folder).unwrap();
    assert_eq!((status.step, status.last_step.loss), (1, Some(0.5)));
    assert_eq!(run.poll().unwrap(), Request::Continue);

    set(&folder, "lr", json!(0.2)).unwrap();
    set(&folder, "lr", json!(1)).unwrap();
    set(&folder, "batch", json!(64.0)).unwrap();
    send(&folder, Command::Checkpoint).unwrap();
    let request = |key: &str, value| Request::Set(Setting { key: key.into(), value });
    assert_eq!(run.poll().unwrap(), request("lr", json!(1)));
    assert_eq!(run.poll().unwrap(), request("batch", json!(64)));
    assert_eq!(run.poll().unwrap(), Request::Checkpoint);
    run.checkpoint_saved(1, "step-1.safetensors", 99).unwrap();
    assert_eq!(run.poll().unwrap(), Request::Continue);
    for (key, value, words) in [
        ("lr", json!("nan"), "`lr` is a number"),
        ("batch", json!(1.5), "`batch` is an integer"),
        ("momentum", json!(1), "Use one of lr, batch."),
    ] {
        let error = set(&folder, key, value).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }

    send(&folder, Command::Stop).unwrap();
    assert_eq!(run.poll().unwrap(), Request::Stop);
    assert_eq!(run.poll().unwrap(), Request::Stop);
    assert!(send(&folder, Command::Pause).unwrap_err().to_string().contains("is stopping"));
    run.finish().unwrap();
    let records = log::read(&folder.events_path()).unwrap();
    let changes: Vec<String> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Changed(changed) => Some(json!(changed.changes).to_string()),
            Event::Checkpoint(saved) => Some(format!("{} {}", record.step, saved.name)),
            Event::RunEnded(ended) => Some(format!("{:?}", ended.status)),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [r#"{"lr":1}"#, r#"{"batch":64}"#, "1 step-1.safetensors", "Stopped"]);

    let mut run = Recorder::create(temp.path(), "plain").unwrap();
    let folder = other(&run);
    let error = send(&folder, Command::Checkpoint).unwrap_err().to_string();
    assert!(error.contains("saves no checkpoint"), "{error}");
    let error = set(&folder, "lr", json!(1)).unwrap_err().to_string();
    assert!(error.contains("lets no setting be changed"), "{error}");
    assert_eq!(run.poll().unwrap(), Request::Continue);
}

/// The loop runs in a thread of its own, as long as it is not paused.
#[test]
fn a_pause_holds_the_loop_and_what_is_asked_meanwhile_is_done() {
    let temp = tempdir().unwrap();
    let options = RecorderOptions::new().setting("lr", 0.1).checkpoints();
    let mut run = Recorder::create_with(temp.path(), "mine", options).unwrap();
    let folder = other(&run);
    send(&folder, Command::Pause).unwrap();
    let training = thread::spawn(move || {
        let mut requests = Vec::new();
        for step in 1.. {
            loop {
                match run.poll().unwrap() {
                    Request::Continue => break,
                    Request::Stop => {
                        run.finish().unwrap();
                        return requests;
                    }
                    request => requests.push((step, request)),
                }
            }
            run.log(step, &[("loss", 1.0)]).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
        unreachable!()
    });
    let wait = |state: State| {
        while control::status(&folder).unwrap().state != state {
            thread::sleep(Duration::from_millis(2));
        }
    };
    wait(State::Paused);
    set(&folder, "lr", json!(0.2)).unwrap();
    send(&folder, Command::Checkpoint).unwrap();
    send(&folder, Command::Continue).unwrap();
    wait(State::Training);
    while control::status(&folder).unwrap().step < 3 {
        thread::sleep(Duration::from_millis(2));
    }
    send(&folder, Command::Pause).unwrap();
    wait(State::Paused);
    let step = control::status(&folder).unwrap().step;
    send(&folder, Command::Stop).unwrap();
    let requests = training.join().unwrap();
    let lr = Setting { key: "lr".into(), value: json!(0.2) };
    // Before the first step, or right after it if the loop was woken by the last command.
    let steps: Vec<u64> = requests.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [1, 1]);
    assert!(requests.contains(&(1, Request::Set(lr))), "{requests:?}");
    let mut summary = RunSummary::default();
    let mut pauses = Vec::new();
    for record in log::read(&folder.events_path()).unwrap() {
        summary.apply(&record);
        if matches!(record.event, Event::Paused | Event::Continued) {
            pauses.push((record.event.clone(), record.step));
        }
    }
    let [a, b] = [0, step].map(|step| [(Event::Paused, step), (Event::Continued, step)]);
    assert_eq!(pauses, [a, b].concat());
    assert!(matches!(summary.state, summary::State::Ended(_)));
}

/// A disk that doesn't answer: a pipe that no one reads, which takes some kilobytes and then blocks whoever writes.
#[test]
fn a_disk_that_hangs_never_blocks_the_loop() {
    let temp = tempdir().unwrap();
    let folder = RunFolder::create(temp.path(), "mine").unwrap();
    folder.write_config("").unwrap();
    let (_never_read, pipe) = std::io::pipe().unwrap();
    let options = RecorderOptions::new();
    let log = EventLog::on(File::from(OwnedFd::from(pipe)), &folder.events_path());
    let event = Event::RunStarted(options.info("mine", json!({})));
    let mut run = Recorder::begin(folder.lock().unwrap(), log, options, 0, event).unwrap();
    let name = "x".repeat(10_000);
    // More than may wait.
    let calls = (lines::MOST / name.len()) as u64 + 100;
    let mut lost = 0;
    for step in 1..=calls {
        run.log(step, &[(&name, 1.0)]).unwrap();
        match run.poll() {
            Ok(request) => assert_eq!(request, Request::Continue),
            Err(Error::EventsLost { events, .. }) => lost += events,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(lost > 0);
    let error = run.end(RunEnded::new(EndStatus::Finished), Duration::from_millis(50)).unwrap_err();
    let Error::EventsLost { events, cause, .. } = error else { panic!("{error}") };
    assert!(cause.contains("has not answered"), "{cause}");
    // The pipe may have taken a part of them.
    assert!(lost + events <= calls + 1 && lost + events > calls / 2, "{lost} {events} {calls}");
}

#[test]
fn a_folder_that_is_removed_is_reported_and_does_not_block() {
    let temp = tempdir().unwrap();
    let mut run = Recorder::create(temp.path(), "mine").unwrap();
    fs::remove_dir_all(run.folder().path()).unwrap();
    let error = (1..).find_map(|step| {
        run.log(step, &[("loss", 1.0)]).unwrap();
        thread::sleep(Duration::from_millis(1));
        run.poll().err()
    });
    assert!(matches!(error, Some(Error::FolderGone(_))), "{error:?}");
    // Reported once, so that a loop may train on.
    for step in 1_000_000..1_000_100 {
        run.log(step, &[("loss", 1.0)]).unwrap();
        assert_eq!(run.poll().unwrap(), Request::Continue);
    }
    let error = run.finish().unwrap_err();
    assert!(matches!(error, Error::EventsLost { events: 101, .. }), "{error}");
}

#[test]
fn a_run_continues_from_a_step_on_one_timeline() {
    let temp = tempdir().unwrap();
    let mut run = Recorder::create(temp.path(), "mine").unwrap();
    (1..=9).for_each(|step| run.log(step, &[("loss", 1.0)]).unwrap());
    let folder = other(&run);
    let resumed = |step| Recorder::resume(temp.path(), "mine", step, RecorderOptions::new());
    assert!(matches!(resumed(4), Err(Error::RunInUse(_))));
    drop(run);
    let summary = RunSummary::read(&folder.events_path()).unwrap();
    assert_eq!(summary.ended().unwrap().status, EndStatus::Failed);
    let error = Recorder::create(temp.path(), "mine").unwrap_err();
    assert!(matches!(error, Error::RecordExists(_)));
    let text = error.to_string();
    assert!(text.contains("`Recorder::resume`") && !text.contains("--name"), "{text}");

    let mut run = resumed(4).unwrap();
    assert!(matches!(run.log(3, &[]), Err(Error::StepBefore { .. })));
    run.log(5, &[("loss", 2.0)]).unwrap();
    run.fail("The loss is too high.").unwrap();
    let records = log::read(&folder.events_path()).unwrap();
    let steps: Vec<u64> = scalars(&records).iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5]);
    let numbered = Recorder::create_numbered(temp.path(), "mine", RecorderOptions::new()).unwrap();
    assert_eq!(numbered.folder().name(), "mine-2");

    // Another program's run.
    let foreign = RunFolder::create(temp.path(), "foreign").unwrap();
    foreign.write_config("").unwrap();
    crate::testing::append_all(
        &foreign.events_path(),
        &[Record::now(0, Event::RunStarted(crate::testing::info()))],
    );
    let error = Recorder::resume(temp.path(), "foreign", 0, RecorderOptions::new()).unwrap_err();
    assert!(error.to_string().contains("no recorder has begun it"), "{error}");
}

#[test]
fn a_configuration_that_toml_cannot_hold_is_refused_before_the_folder_is_made() {
    let temp = tempdir().unwrap();
    let with = |config| RecorderOptions::new().config(&config);
    let null = with(json!({"a": null})).unwrap();
    for (options, words) in [
        (null, "`config.toml`"),
        (with(json!({"lr": 1})).unwrap().setting("lr.fast", 1), "needs a table there"),
        (RecorderOptions::new().setting("", 1), "empty part"),
    ] {
        let error = Recorder::create_with(temp.path(), "mine", options).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(!temp.path().join("mine").exists());
    }
    let error = with(json!([1])).unwrap_err().to_string();
    assert!(error.contains("not a table"), "{error}");
}

/// A client that sends nothing, one that stops in the middle of a message, and one that never reads its answers.
#[test]
fn clients_that_hang_hold_up_neither_the_loop_nor_other_clients() {
    let temp = tempdir().unwrap();
    let mut run = Recorder::create(temp.path(), "mine").unwrap();
    let folder = other(&run);
    let connect = || UnixStream::connect(folder.path().join(control::FILE_NAME)).unwrap();
    let (_silent, mut half, mut deaf) = (connect(), connect(), connect());
    half.write_all(b"{\"command\":").unwrap();
    deaf.set_nonblocking(true).unwrap();
    // Until neither its requests nor the answers fit anywhere.
    let mut refused = 0;
    while refused < 20 {
        match deaf.write(b"{\"command\":\"status\"}\n") {
            Ok(0) => panic!("the socket is closed"),
            Ok(_) => refused = 0,
            Err(_) => {
                refused += 1;
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
    for step in 1..=1000 {
        assert_eq!(run.poll().unwrap(), Request::Continue);
        run.log(step, &[("loss", 1.0)]).unwrap();
    }
    assert_eq!(control::status(&folder).unwrap().step, 1000);
    send(&folder, Command::Stop).unwrap();
    assert_eq!(run.poll().unwrap(), Request::Stop);
    run.finish().unwrap();
    let records = log::read(&folder.events_path()).unwrap();
    assert_eq!(scalars(&records).len(), 1000);
}
