use super::*;

#[test]
fn each_part_gets_its_own_time_and_the_rest_gets_none() {
    let mut clock = PhaseTimer::default();
    let began = clock.began;
    let at = |milliseconds| began + Duration::from_millis(milliseconds);
    clock.end_at(Phase::Data, at(100));
    clock.end_at(Phase::ForwardBackward, at(300));
    clock.end_at(Phase::InnerStep, at(350));
    // Writing the log.
    clock.phase_began = at(450);
    clock.end_at(Phase::Data, at(500));
    clock.end_at(Phase::Sync, at(600));
    clock.end_at(Phase::Probe, at(650));
    clock.end_at(Phase::Evaluation, at(660));
    clock.end_at(Phase::Checkpoint, at(665));
    assert_eq!(clock.report_at(at(5000)), None, "no step was taken");
    clock.step_taken();
    assert_eq!(clock.report_at(at(999)), None, "too early");
    clock.leave_out(Duration::from_millis(500));
    assert_eq!(clock.report_at(at(1499)), None, "a pause does not count");
    let found = clock.report_at(at(1500)).unwrap();
    let parts = [
        found.seconds,
        found.data,
        found.forward_backward,
        found.inner_step,
        found.sync,
        found.probe,
        found.evaluation,
        found.checkpoint,
    ];
    let milliseconds = parts.map(|seconds| (seconds * 1000.0).round());
    assert_eq!(milliseconds, [1000.0, 150.0, 200.0, 50.0, 100.0, 50.0, 10.0, 5.0]);
    assert_eq!(found.steps, 1);
    clock.step_taken();
    assert_eq!(clock.report_at(at(2499)), None);
    let next = clock.report_at(at(2500)).unwrap();
    assert_eq!((next.steps, next.seconds, next.data), (1, 1.0, 0.0));
}
