use super::*;
use lookahead_run::event::{MetricInfo, RunEnded, Weights};

fn step(number: u64) -> Record {
    let step =
        event::Step { epoch: 2, loss: 0.5, learning_rate: 0.1, samples_per_second: 9.0, phase: 1 };
    Record::now(number, Event::Step(step))
}

#[test]
fn not_every_evaluation_of_very_short_epochs_has_a_line() {
    let evaluation = |split| {
        let (weights, loss, accuracy, samples, seconds) = (Weights::Slow, 6e-5, 0.5, 9, 0.1);
        let found =
            Evaluation { loss, accuracy, samples, seconds, ..Evaluation::new(weights, split) };
        Record::now(7, Event::Evaluation(found))
    };
    let mut lines = Lines::new(Some(Duration::from_secs(3600)));
    let found: Vec<_> = (0..1000).flat_map(|_| lines.of(&evaluation(Split::Validation))).collect();
    assert_eq!(found.len(), AT_ONCE as usize);
    assert!(found[0].contains("loss 6.0e-5"), "{}", found[0]);
    // The result always has one.
    assert_eq!(lines.of(&evaluation(Split::Test)).len(), 1);
    let mut lines = Lines::new(Some(Duration::ZERO));
    lines.credit.0 = 0;
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(lines.of(&evaluation(Split::Validation)).len(), 1, "with time come lines");
}

fn end(step: u64) -> Record {
    Record::now(step, Event::RunEnded(RunEnded::new(Status::Stopped)))
}

#[test]
fn the_first_and_the_last_step_have_a_line() {
    for every in [None, Some(Duration::from_secs(3600))] {
        let mut lines = Lines::new(every);
        let found: Vec<String> = (7..20).flat_map(|number| lines.of(&step(number))).collect();
        assert_eq!(found, ["step 7  epoch 2  loss 0.5000  lr 0.1  9.0 samples/s"]);
        let found = lines.of(&end(19));
        assert!(found[0].starts_with("step 19  epoch 2"), "{found:?}");
        assert_eq!(found[1..], ["Stopped at step 19"]);
    }
    let mut lines = Lines::new(Some(Duration::ZERO));
    assert_eq!((7..20).flat_map(|number| lines.of(&step(number))).count(), 13);
    assert_eq!(lines.of(&end(19)), ["Stopped at step 19"], "the last has had its line");
    assert!(lines.of(&step(1_234_567))[0].starts_with("step 1,234,567  epoch 2"));
    assert_eq!(lines.of(&end(1_234_567)), ["Stopped at step 1,234,567"]);
}

/// Of lines that were left out, the end has those of the last evaluation and of the last checkpoint, and the number of
/// the others.
#[test]
fn the_last_lines_that_were_left_out_come_at_the_end() {
    let mut lines = Lines::new(Some(Duration::from_secs(3600)));
    lines.credit.0 = 1;
    let mut printed = Vec::new();
    for number in 1..=5 {
        for weights in [Weights::Fast, Weights::Slow] {
            let found = Evaluation::new(weights, Split::Validation);
            printed.extend(lines.of(&Record::now(number, Event::Evaluation(found))));
        }
        let (name, bytes) = (format!("step-{number:08}"), 9);
        let saved = event::Checkpoint { name, bytes, seconds: 0.0, write_seconds: 0.0 };
        printed.extend(lines.of(&Record::now(number, Event::Checkpoint(saved))));
    }
    assert_eq!(printed.len(), 1);
    let found = lines.of(&end(5));
    assert_eq!(
        found[0],
        "(11 lines about evaluations and checkpoints left out; events.jsonl has them.)"
    );
    let [fast, slow, saved, stopped] = &found[1..] else { panic!("{found:?}") };
    assert!(fast.starts_with("step 5  validation fast"), "{fast}");
    assert!(slow.starts_with("step 5  validation slow"), "{slow}");
    assert_eq!([saved, stopped], ["step 5  saved step-00000005", "Stopped at step 5"]);
}

/// The line of an evaluation has the metrics that the log names.
#[test]
fn an_evaluation_has_the_metrics_of_its_task() {
    let found = Evaluation {
        loss: 0.5,
        accuracy: 0.25,
        metrics: [("r2".to_owned(), 0.125), ("macro_f1".to_owned(), 0.5)].into(),
        ..Evaluation::new(Weights::Slow, Split::Test)
    };
    let of = |task: TaskInfo, found: &Evaluation| {
        let record = Record::now(7, Event::Evaluation(found.clone()));
        line(&record, &task).unwrap().split_once(": ").unwrap().1.to_owned()
    };
    let named =
        |name: &str, percent| MetricInfo { name: name.into(), percent, ..MetricInfo::loss() };
    let own =
        TaskInfo::new(event::Task::Regression, vec![named("r2", false), named("macro_f1", true)]);
    assert_eq!(of(own, &found), "loss 0.5000, r2 0.1250, macro F1 50.00 %");
    // Logs of earlier versions name no metrics.
    let earlier = Evaluation { metrics: Default::default(), ..found };
    assert_eq!(of(TaskInfo::default(), &earlier), "loss 0.5000, accuracy 25.00 %");
    let text = of(event::Task::Language.into(), &earlier);
    assert_eq!(text, "loss 0.5000, perplexity 1.6487, accuracy 25.00 %");
    assert_eq!(of(event::Task::Quadratic.into(), &earlier), "loss 0.5000");
}

/// A run may skip many steps for the same reason.
#[test]
fn a_warning_that_repeats_the_last_has_one_line_and_a_count_at_the_end() {
    let mut lines = Lines::new(Some(Duration::from_secs(3600)));
    let mut printed = Vec::new();
    let mut happens = |record: Record| {
        printed.extend(lines.of(&record));
        lines.remember(&record);
    };
    let warning = |message: &str| {
        Record::now(1, Event::Warning(event::Warning { message: message.to_owned() }))
    };
    for message in ["NaN.", "NaN.", "NaN.", "Full.", "NaN.", "NaN.", "Full."] {
        happens(warning(message));
        happens(step(1));
    }
    happens(end(1));
    happens(warning("NaN."));
    printed.retain(|line| !line.starts_with("step"));
    let expected = [
        "Warning: NaN.",
        "Warning: Full.",
        "Warning: NaN.",
        "Warning: Full.",
        "Warning: NaN. (3 more times; events.jsonl has each.)",
        "Stopped at step 1",
        "Warning: NaN.",
    ];
    assert_eq!(printed, expected);
    // The same after the dashboard has closed.
    assert_eq!(lines.take_important(), expected);
}

/// Names come from the program that logs, or from a log of anyone, and must not move the terminal's cursor.
#[test]
fn names_of_numbers_are_printed_safely() {
    let scalars = Scalars::new([("\u{1b}[2Jlr\u{202e}", 0.5)]);
    assert_eq!(numbers(&scalars), "\\u{1b}[2Jlr\\u{202e} 0.5000");
}
