use std::io::Write;

use tempfile::TempDir;

use super::*;

const START: &str = r#"{"time":1.0,"step":0,"event":"run_started","format":1,"run":"run","data":"digits","task":"classification","model":"mlp","optimizer":"sgd","device":"cpu","threads":1,"cpu_capability":"AVX2","parameters":10,"total_steps":100,"steps_per_epoch":10,"train_samples":1,"validation_samples":1,"test_samples":1,"seed":0,"versions":{"lookahead":"1","tch":"2","libtorch":"3"},"config":{}}"#;

/// A run with this config and these lines of its log.
fn run(config: &str, lines: impl IntoIterator<Item = String>) -> (TempDir, RunFolder) {
    let temp = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(temp.path(), "run").unwrap();
    folder.write_config(config).unwrap();
    let mut file = std::fs::File::create(folder.events_path()).unwrap();
    let text: String = lines.into_iter().map(|line| line + "\n").collect();
    file.write_all(text.as_bytes()).unwrap();
    (temp, folder)
}

fn steps(from: u64, to: u64) -> impl Iterator<Item = String> {
    (from..to).map(|step| {
        format!(
            r#"{{"time":{step}.0,"step":{step},"event":"step","epoch":0,"loss":0.5,"learning_rate":0.1,"samples_per_second":1.0,"phase":1}}"#
        )
    })
}

fn evaluation(step: u64, weights: &str, loss: f64) -> String {
    format!(
        r#"{{"time":{step}.0,"step":{step},"event":"evaluation","weights":"{weights}","split":"validation","loss":{loss},"accuracy":0.5,"samples":9,"seconds":1.0}}"#
    )
}

fn line(step: u64, event: &str) -> String {
    format!(r#"{{"time":{step}.0,"step":{step},"event":{event}}}"#)
}

fn read(folder: &RunFolder) -> Glance {
    Glance::read(folder)
}

#[test]
fn the_last_evaluation_is_that_of_the_final_weights() {
    let log = [
        START.to_owned(),
        evaluation(4, "slow", 0.25),
        evaluation(4, "fast", 0.5),
        line(5, r#""run_ended","status":"stopped""#),
    ];
    let (_temp, folder) = run("", log);
    let row = read(&folder);
    assert_eq!(row.state, RunState::Ended(End::Stopped));
    assert_eq!((row.step, row.total_steps, row.last_event), (5, Some(100), Some(5.0)));
    let found = row.evaluation.unwrap();
    assert_eq!((found.step, found.weights, found.loss), (4, Weights::Slow, 0.25));
    let metric = found.metric.unwrap();
    assert_eq!((&metric.info.name[..], metric.value), ("accuracy", 0.5));
}

/// A log of tens of megabytes takes no longer than a short one.
#[test]
fn of_a_long_log_the_ends_are_read() {
    let ended = line(30_000, r#""run_ended","status":"finished""#);
    let log = std::iter::once(START.to_owned())
        .chain(steps(1, 28_000))
        .chain([evaluation(28_000, "fast", 0.25)])
        .chain(steps(28_001, 30_000))
        .chain([ended]);
    let (_temp, folder) = run("[train]\nepochs = 3000\n", log);
    assert!(folder.events_path().metadata().unwrap().len() > 8 * FIRST);
    let ends = Ends::read(&folder, MOST);
    assert!(!ends.has_start && ends.log.events < 10_000, "{}", ends.log.events);
    let row = read(&folder);
    assert_eq!((row.state, row.step), (RunState::Ended(End::Finished), 30_000));
    assert_eq!(row.evaluation.unwrap().step, 28_000);
    let ends = Glance::read_ends(&folder);
    assert_eq!((ends.step, ends.loss), (30_000, Some(0.5)));
    assert!(ends.evaluation.is_none(), "it is further back");
    // A resume raised it, in the part that was not read.
    assert_eq!(row.total_steps, Some(30_000));
}

#[test]
fn a_run_without_a_log_or_with_a_damaged_one_has_what_is_known() {
    let (_temp, folder) = run("", [START.to_owned(), evaluation(4, "slow", 0.25), "{}".to_owned()]);
    let row = read(&folder);
    assert_eq!((row.state, row.step), (RunState::Ended(End::Crashed), 4));
    assert_eq!(row.fault, None);
    std::fs::remove_file(folder.events_path()).unwrap();
    let row = read(&folder);
    assert_eq!((row.state, row.step, row.total_steps), (RunState::Waiting, 0, None));
    assert_eq!(row.fault, None);
    for text in ["{}\n", "not an event\n{}\n"] {
        std::fs::write(folder.events_path(), text).unwrap();
        let row = read(&folder);
        assert_eq!(row.state, RunState::Unreadable);
        assert!(row.fault.unwrap().contains("events.jsonl"));
        assert!(RunSummary::read(&folder.events_path()).is_err());
    }
    std::fs::remove_file(folder.events_path()).unwrap();
    std::fs::create_dir(folder.events_path()).unwrap();
    assert!(read(&folder).fault.is_some());
}

#[test]
fn a_damaged_line_hides_nothing_that_comes_after_it() {
    for damage in ["{}", "not an event"] {
        let (_temp, folder) = run(
            "",
            [
                START.to_owned(),
                evaluation(4, "slow", 0.25),
                damage.to_owned(),
                evaluation(8, "slow", 0.125),
                line(9, r#""run_ended","status":"finished""#),
            ],
        );
        let row = read(&folder);
        assert_eq!((row.state, row.step), (RunState::Ended(End::Finished), 9));
        assert_eq!((row.evaluation.unwrap().step, row.fault), (8, None));
        assert_eq!(RunSummary::read(&folder.events_path()).unwrap().step, 9);
    }
}
