use super::*;

#[test]
fn cosine_starts_at_lr_passes_the_middle_and_ends_at_the_least() {
    let (kind, min_lr) = (ScheduleKind::Cosine, Some(0.02));
    let schedule = ScheduleConfig { kind, min_lr, ..ScheduleConfig::default() };
    let at = |step| schedule.learning_rate(0.1, At { step, total: 100, epoch: 0 });
    assert!((at(0) - 0.1).abs() < 1e-12);
    assert!((at(50) - 0.06).abs() < 1e-12);
    assert!((at(25) - (0.02 + 0.08 * 0.5 * (1.0 + 0.5f64.sqrt()))).abs() < 1e-12);
    assert!((at(100) - 0.02).abs() < 1e-12);
}

#[test]
fn constant_is_constant() {
    let schedule = ScheduleConfig::default();
    assert_eq!(schedule.learning_rate(0.1, At { step: 7, total: 100, epoch: 0 }), 0.1);
}

#[test]
fn it_is_divided_at_milestones() {
    let mut schedule = ScheduleConfig {
        kind: ScheduleKind::Steps,
        milestones: Some(vec![60, 120, 160]),
        factor: Some(0.2),
        ..ScheduleConfig::default()
    };
    schedule.resolve(0.1).unwrap();
    let at = |epoch| schedule.learning_rate(0.1, At { step: epoch * 10, total: 2000, epoch });
    for (epoch, expected) in
        [(0, 0.1), (59, 0.1), (60, 0.02), (119, 0.02), (120, 0.004), (199, 0.0008)]
    {
        assert!((at(epoch) - expected).abs() < 1e-12, "{epoch}: {}", at(epoch));
    }
    schedule.milestones = Some(vec![60, 60]);
    let message = schedule.resolve(0.1).unwrap_err().message;
    assert!(message.contains("`schedule.milestones` is [60, 60]"), "{message}");
    schedule.milestones = None;
    let message = schedule.resolve(0.1).unwrap_err().message;
    assert!(message.contains("has no epoch"), "{message}");
}

#[test]
fn it_grows_in_equal_parts_at_the_start() {
    let schedule = ScheduleConfig { warmup_steps: 4, ..ScheduleConfig::default() };
    let at = |step| schedule.learning_rate(1.0, At { step, total: 100, epoch: 0 });
    assert_eq!([0, 1, 2, 3, 4].map(at), [0.25, 0.5, 0.75, 1.0, 1.0]);
}
