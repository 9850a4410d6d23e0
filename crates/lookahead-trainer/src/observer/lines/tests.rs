use super::*;
use lookahead_run::event::RunEnded;

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
        assert_eq!(found, ["step 7/0  epoch 2  loss 0.5000  lr 1.000e-1  9 samples/s"]);
        let found = lines.of(&end(19));
        assert!(found[0].starts_with("step 19/0  epoch 2"), "{found:?}");
        assert_eq!(found[1..], ["Stopped at step 19"]);
    }
    let mut lines = Lines::new(Some(Duration::ZERO));
    assert_eq!((7..20).flat_map(|number| lines.of(&step(number))).count(), 13);
    assert_eq!(lines.of(&end(19)), ["Stopped at step 19"], "the last has had its line");
}
