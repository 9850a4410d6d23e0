use super::*;

#[test]
fn a_pause_does_not_count() {
    let mut clock = Clock::default();
    clock.start(100.0);
    assert_eq!(clock.elapsed(110.0), 10.0);
    clock.stop(110.0);
    assert_eq!(clock.elapsed(500.0), 10.0);
    clock.start(500.0);
    assert_eq!(clock.elapsed(505.0), 15.0);
}

#[test]
fn what_follows_the_last_step_of_a_process_does_not_count() {
    let mut clock = Clock::default();
    clock.start(0.0);
    for step in 1..=100 {
        clock.step(step, step as f64);
    }
    clock.resume(1000.0);
    assert_eq!(clock.elapsed(1003.0), 103.0);
}

#[test]
fn time_left_comes_from_the_time_spent_training() {
    let mut clock = Clock::default();
    clock.start(0.0);
    clock.step(1, 2.0);
    assert_eq!(clock.left(100), None);
    for step in 2..=20 {
        clock.step(step, step as f64 * 2.0);
    }
    assert!((clock.left(100).unwrap() - 160.0).abs() < 1e-9);
    clock.stop(40.0);
    clock.start(4000.0);
    clock.step(21, 4002.0);
    assert!((clock.left(100).unwrap() - 158.0).abs() < 1e-9);
    assert_eq!(clock.left(5), Some(0.0));
}

/// Steps of a second with suspensions, one of them from before the last step on, as a log reports them:
/// just before the next step.
#[test]
fn a_suspension_does_not_count() {
    let mut clock = Clock::default();
    clock.start(0.0);
    let mut time = 0.0;
    for step in 1..=100 {
        time += 1.0;
        if step % 20 == 0 {
            time += 1000.0;
            clock.happened(time);
            clock.suspended(time - 1000.0 - if step == 40 { 0.5 } else { 0.0 }, time);
        }
        clock.happened(time);
        clock.step(step, time);
    }
    assert_eq!(clock.elapsed(time), 99.5);
    assert!((clock.left(200).unwrap() - 100.0).abs() < 2.0, "{:?}", clock.left(200));
    clock.stop(time);
    // Neither in a pause nor before the start is there anything to leave out.
    clock.suspended(time, time + 500.0);
    clock.start(time + 600.0);
    clock.suspended(time, time + 601.0);
    assert_eq!(clock.elapsed(time + 602.0), 100.5);
}

#[test]
fn a_clock_that_is_set_back_in_a_run_continues_from_what_was_counted() {
    let mut clock = Clock::default();
    clock.start(1000.0);
    for step in 1..=20 {
        // Set back by an hour after ten steps, and by a fraction of a second at the fifth.
        let jump = if step > 10 { 3600.0 } else { 0.0 } + if step == 5 { 0.9 } else { 0.0 };
        let time = 1000.0 + step as f64 - jump;
        clock.happened(time);
        clock.step(step, time);
    }
    // A second less than there were steps: how long the tenth took is not known.
    assert!((clock.elapsed(1020.0 - 3600.0) - 19.0).abs() < 1e-9, "{}", clock.elapsed(-2580.0));
    assert!((1..20).all(|step| clock.at(step) <= clock.at(step + 1)));
    assert_eq!(clock.step_at(clock.at(15)), 15);
    assert!((clock.left(40).unwrap() - 20.0).abs() < 2.0, "{:?}", clock.left(40));
}

#[test]
fn a_clock_that_is_set_back_loses_nothing() {
    let mut clock = Clock::default();
    clock.start(100.0);
    clock.stop(90.0);
    assert_eq!(clock.elapsed(90.0), 0.0);
}
