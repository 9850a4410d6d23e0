use super::*;

const LIMIT: Duration = Duration::from_secs(1);

/// How often a step of `looks` looks is reported.
fn reports(shared: &Shared, waiting: &mut Waiting, looks: usize) -> usize {
    (0..looks).filter(|_| waiting.look(shared, TICK, LIMIT).is_some()).count()
}

#[test]
fn a_step_that_does_not_end_is_reported_once() {
    let (shared, mut waiting) = (Shared::default(), Waiting::default());
    assert_eq!(reports(&shared, &mut waiting, 4), 0, "as long as the limit");
    assert_eq!(reports(&shared, &mut waiting, 1), 1);
    assert_eq!(reports(&shared, &mut waiting, 100), 0);
    shared.step.store(1, Relaxed);
    assert_eq!(reports(&shared, &mut waiting, 100), 1, "the next one too");
}

#[test]
fn rests_and_a_stopped_process_do_not_count() {
    let clock = StepClock::default();
    let mut waiting = Waiting::default();
    let rest = clock.rest();
    assert_eq!(reports(&clock.shared, &mut waiting, 100), 0);
    drop(rest);
    assert_eq!(waiting.look(&clock.shared, Duration::from_secs(3600), LIMIT), None);
}

#[test]
fn the_usual_time_is_known_after_some_steps() {
    let mut clock = StepClock::default();
    for step in 1..=FEWEST as u64 {
        clock.step_done(step);
        assert_eq!(clock.shared.usual.load(Relaxed), 0);
    }
    clock.step_done(FEWEST as u64 + 1);
    assert!(clock.shared.usual.load(Relaxed) > 0);
}

#[test]
fn each_part_of_an_evaluation_is_watched_and_not_the_whole() {
    let clock = StepClock::default();
    let mut waiting = Waiting::default();
    let rest = clock.rest();
    let long = (0..100).map(|_| {
        clock.part_begins(8);
        reports(&clock.shared, &mut waiting, 4)
    });
    assert_eq!(long.sum::<usize>(), 0, "as long as it needs");
    assert_eq!(reports(&clock.shared, &mut waiting, 100), 1, "the last batch does not end");
    clock.part_begins(8);
    drop(rest);
    let rest = clock.rest();
    assert_eq!(reports(&clock.shared, &mut waiting, 100), 0, "no evaluation");
    drop(rest);
}
