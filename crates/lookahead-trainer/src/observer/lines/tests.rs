use super::*;
use lookahead_run::event::RunEnded;

fn step(number: u64) -> Record {
    let step =
        event::Step { epoch: 2, loss: 0.5, learning_rate: 0.1, samples_per_second: 9.0, phase: 1 };
    Record::now(number, Event::Step(step))
}

#[test]
fn evaluations_of_a_run_whose_epochs_are_over_in_no_time_come_now_and_then() {
    let evaluation = |split| {
        let (weights, loss, accuracy, samples, seconds) = (Weights::Slow, 6e-5, 0.5, 9, 0.1);
        let found =
            Evaluation { weights, split, loss, accuracy, samples, seconds, model_step: None };
        Record::now(7, Event::Evaluation(found))
    };
    let mut lines = Lines::new(Some(Duration::from_secs(3600)));
    let said: Vec<_> = (0..1000).flat_map(|_| lines.of(&evaluation(Split::Validation))).collect();
    assert_eq!(said.len(), AT_ONCE as usize);
    assert!(said[0].contains("loss 6.0e-5"), "{}", said[0]);
    // The result is always told.
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
        let said: Vec<String> = (7..20).flat_map(|number| lines.of(&step(number))).collect();
        assert_eq!(said, ["step 7/0  epoch 2  loss 0.5000  lr 1.000e-1  9 samples/s"]);
        let said = lines.of(&end(19));
        assert!(said[0].starts_with("step 19/0  epoch 2"), "{said:?}");
        assert_eq!(said[1..], ["Stopped at step 19"]);
    }
    let mut lines = Lines::new(Some(Duration::ZERO));
    assert_eq!((7..20).flat_map(|number| lines.of(&step(number))).count(), 13);
    assert_eq!(lines.of(&end(19)), ["Stopped at step 19"], "the last has had its line");
}
