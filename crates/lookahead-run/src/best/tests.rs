use std::fmt::Write as _;
use std::fs;

use serde_json::json;

use super::*;

const START: &str = r#"{"time":1.0,"step":0,"event":"run_started","format":1,"run":"run","data":"digits","task":"classification","model":"mlp","optimizer":"sgd","lookahead":{"k":5,"alpha":0.5},"device":"cpu","threads":1,"cpu_capability":"AVX2","parameters":10,"total_steps":100,"steps_per_epoch":10,"train_samples":1,"validation_samples":1,"test_samples":1,"seed":0,"versions":{"lookahead":"1","tch":"2","libtorch":"3"},"config":{}}"#;

fn info(change: impl FnOnce(&mut RunInfo)) -> RunInfo {
    let record: Record = serde_json::from_str(START).unwrap();
    let Event::RunStarted(mut info) = record.event else { panic!() };
    change(&mut info);
    info
}

fn evaluation(step: u64, weights: &str, split: &str, loss: f64, accuracy: f64) -> String {
    format!(
        r#"{{"time":{step}.0,"step":{step},"event":"evaluation","weights":"{weights}","split":"{split}","loss":{loss},"accuracy":{accuracy},"samples":9,"seconds":1.0}}"#
    ) + "\n"
}

fn read(log: &str, info: &RunInfo) -> Option<(u64, f64)> {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("events.jsonl");
    fs::write(&path, log).unwrap();
    // However it is cut.
    let all: Vec<_> = [1, 200, u64::MAX]
        .map(|most| {
            let mut reader = BestReader::new(&path, info);
            while !reader.read(most).unwrap() {}
            reader.best().map(|best| (best.step, best.value))
        })
        .into();
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
    all[0]
}

#[test]
fn the_best_is_of_the_final_weights_on_validation_data_by_the_metric_of_the_config() {
    let log = START.to_owned()
        + "\n"
        + &evaluation(2, "slow", "validation", 0.5, 0.8)
        + &evaluation(4, "slow", "validation", 0.2, 0.7)
        + "not an event\n"
        + &evaluation(4, "fast", "validation", 0.1, 0.95)
        + &evaluation(6, "slow", "test", 0.1, 0.99);
    assert_eq!(read(&log, &info(|_| ())), Some((2, 0.8)));
    let by_loss = info(|info| info.config = json!({"train": {"best_by": "loss"}}));
    assert_eq!(read(&log, &by_loss), Some((4, 0.2)));
    assert_eq!(read(&log, &info(|info| info.lookahead = None)), Some((4, 0.95)));
    assert_eq!(read("", &info(|_| ())), None);
}

/// The log grows, is cut off in the middle of a line, and is replaced.
#[test]
fn a_growing_log_is_read_on_and_another_from_its_beginning() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("events.jsonl");
    let mut reader = BestReader::new(&path, &info(|_| ()));
    assert!(reader.read(u64::MAX).unwrap() && reader.best().is_none());
    let mut log = START.to_owned() + "\n" + &evaluation(2, "slow", "validation", 0.5, 0.8);
    let more = evaluation(4, "slow", "validation", 0.5, 0.9);
    fs::write(&path, log.clone() + &more[..50]).unwrap();
    assert!(reader.read(u64::MAX).unwrap());
    assert_eq!(reader.best().unwrap().step, 2);
    log += &more;
    fs::write(&path, &log).unwrap();
    assert!(reader.read(u64::MAX).unwrap());
    assert_eq!(reader.best().unwrap().step, 4);
    fs::write(temp.path().join("new"), evaluation(1, "slow", "validation", 0.5, 0.1)).unwrap();
    fs::rename(temp.path().join("new"), &path).unwrap();
    assert!(reader.read(u64::MAX).unwrap());
    assert_eq!(reader.best().unwrap().value, 0.1);
}

/// 15 s in a pause, 5 s suspended, 60 s between two processes, 40 s between two of which the first was killed in a pause,
/// and now a pause again.
#[test]
fn pauses_and_the_time_between_processes_are_idle() {
    let line = |time: f64, event: serde_json::Value| {
        let mut record = json!({"time": time, "step": 1});
        record.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        format!("{record}\n")
    };
    let mut resumed = serde_json::to_value(info(|_| ())).unwrap();
    let more = json!({"event": "resumed", "checkpoint": "step-00000001"});
    resumed.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let log = [
        START.to_owned() + "\n",
        line(10.0, json!({"event": "paused"})),
        line(20.0, json!({"event": "note", "message": "saved"})),
        line(25.0, json!({"event": "continued"})),
        line(30.0, json!({"event": "suspended", "seconds": 5.0})),
        line(40.0, json!({"event": "note", "message": "a \"time\":3"})),
        line(100.0, resumed.clone()),
        line(110.0, json!({"event": "paused"})),
        line(112.0, json!({"event": "note", "message": "saved"})),
        line(150.0, resumed),
        line(200.0, json!({"event": "paused"})),
        line(201.0, json!({"event": "note", "message": "saved"})),
    ];
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("events.jsonl");
    fs::write(&path, log.concat()).unwrap();
    for most in [1, 200, u64::MAX] {
        let mut reader = BestReader::new(&path, &info(|_| ()));
        while !reader.read(most).unwrap() {}
        assert_eq!(reader.idle(201.0), 15.0 + 5.0 + 60.0 + 40.0 + 1.0);
    }
}

#[test]
fn what_an_old_log_abandons_does_not_count() {
    let mut log = START.to_owned() + "\n";
    log += &evaluation(2, "slow", "validation", 0.5, 0.8);
    log += &evaluation(8, "slow", "validation", 0.5, 0.9);
    let info = serde_json::to_value(info(|_| ())).unwrap();
    let mut resumed = json!({"time": 9.0, "step": 4, "event": "resumed", "checkpoint": "step-00000004", "changes": {}});
    resumed.as_object_mut().unwrap().extend(info.as_object().unwrap().clone());
    writeln!(log, "{resumed}").unwrap();
    assert_eq!(read(&log, &self::info(|_| ())), Some((2, 0.8)));
}
