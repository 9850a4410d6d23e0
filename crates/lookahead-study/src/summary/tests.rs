use lookahead_run::EventLog;
use lookahead_run::event::{Changed, Record, Resumed, Status, Step};
use serde_json::{Map, json};

use super::*;
use crate::compare::testing::Made;

fn step(loss: f64, phase: u64) -> Event {
    Event::Step(Step { epoch: 0, loss, learning_rate: 0.1, samples_per_second: 1.0, phase })
}

fn evaluation(weights: Weights, accuracy: f64) -> Event {
    let (split, loss) = (Split::Validation, 1.0 - accuracy);
    let new = Evaluation::new(weights, split);
    Event::Evaluation(Evaluation { loss, accuracy, samples: 1, ..new })
}

/// A run of 40 steps in cycles of 5, then what is appended.
fn read(more: impl Fn(&RunInfo) -> Vec<(u64, Event)>) -> Summary {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"lookahead": {"k": 5, "alpha": 0.5}});
    let path = Made::new(config, 0, 0.9, 0.8).write(folder.path(), "run");
    let info = Summary::read(&path).unwrap().info;
    let mut log = EventLog::open(&path.join("events.jsonl")).unwrap();
    for (step, event) in more(&info) {
        log.append(&Record { time: 1000.0, step, event }).unwrap();
    }
    Summary::read(&path).unwrap()
}

/// The best model is the one that is tested, so its evaluation on validation data counts.
#[test]
fn after_early_stopping_the_best_model_counts() {
    let ended =
        |best_step| Event::RunEnded(RunEnded { best_step, ..RunEnded::new(Status::Finished) });
    let more = |best_step| {
        let (slow, end) = (Weights::Slow, ended(best_step));
        vec![(44, evaluation(slow, 0.95)), (48, evaluation(slow, 0.5)), (48, end)]
    };
    let validation = |best_step| {
        let run = read(|_| more(best_step));
        run.last_of_final(Split::Validation).unwrap().accuracy
    };
    assert_eq!([validation(None), validation(Some(44))], [0.5, 0.95]);
}

#[test]
fn a_run_is_read_with_its_phases() {
    let run = read(|_| vec![]);
    assert_eq!((run.steps, run.losses.len(), run.phases.len()), (40, 40, 40));
    assert_eq!(run.phases[..7], [1, 2, 3, 4, 5, 1, 2]);
    assert_eq!((run.probes.len(), run.evaluations.len()), (8, 5));
    assert!(run.ended.is_some() && !run.changed);
    assert_eq!(run.last_of_final(Split::Test).unwrap().accuracy, 0.8);
}

#[test]
fn what_a_resumed_run_left_behind_is_dropped() {
    let run = read(|info| {
        let (checkpoint, changes) = ("step-00000023".to_owned(), Map::new());
        let resumed = Resumed { checkpoint, changes, info: info.clone() };
        vec![(23, Event::Resumed(resumed)), (24, step(7.0, 4)), (26, step(8.0, 1))]
    });
    assert_eq!((run.steps, run.losses.len()), (26, 26));
    assert_eq!((run.losses[23], run.losses[25]), (7.0, 8.0));
    assert!(run.losses[24].is_nan());
    assert_eq!(run.phases[22..], [3, 4, 0, 1]);
    // Those of steps 10 and 20, and four syncs.
    assert_eq!((run.evaluations.len(), run.probes.len()), (2, 4));
    assert!(run.ended.is_none() && !run.changed);
}

#[test]
fn settings_that_changed_during_training_are_noticed() {
    let changes = || json!({"optimizer.lr": 0.5}).as_object().unwrap().clone();
    assert!(read(|_| vec![(40, Event::Changed(Changed { changes: changes() }))]).changed);
    let resumed = |info: &RunInfo| Resumed {
        checkpoint: "step-00000040".to_owned(),
        changes: changes(),
        info: info.clone(),
    };
    assert!(read(|info| vec![(40, Event::Resumed(resumed(info)))]).changed);
}

#[test]
fn slow_weights_are_final_if_there_are_any() {
    let fast = |_: &RunInfo| vec![(40, evaluation(Weights::Fast, 0.1))];
    assert_eq!(read(fast).final_weights(), Some(Weights::Slow));
    let mut run = read(fast);
    run.evaluations.retain(|(_, found)| found.weights == Weights::Fast);
    assert_eq!(run.final_weights(), Some(Weights::Fast));
    assert_eq!(run.last_of_final(Split::Validation).unwrap().accuracy, 0.1);
    run.evaluations.clear();
    assert_eq!(run.final_weights(), None);
    assert!(run.last_of_final(Split::Validation).is_none());
}

/// A step far beyond the last is a damaged line, and takes no memory for the steps between.
#[test]
fn a_leap_of_steps_is_left_out() {
    let run = read(|_| vec![(u64::MAX, step(1.0, 1)), (41, step(1.0, 70_000))]);
    assert_eq!(run.losses.len(), 41);
    assert_eq!(run.phases[40], u16::MAX);
}
