use super::*;

/// The library refuses by its own table, and `--set` drops keys by this one.
#[test]
fn the_kinds_have_the_keys_that_they_have_in_the_library() {
    for name in KEYS[0].choices {
        let kind = of_kind(name).kind;
        assert_eq!(kind.name(), *name);
        let own: Vec<&str> =
            KEYS.iter().filter(|key| key.kinds.contains(name)).map(|key| key.name).collect();
        assert_eq!(own, kind.keys(), "{name}");
    }
}

#[test]
fn what_is_wrong_names_the_key() {
    let refused = |mut schedule: ScheduleConfig| resolve(&mut schedule, 0.1).unwrap_err();
    let steps = ScheduleConfig::new(ScheduleKind::Steps);
    let issue = refused(ScheduleConfig { milestones: Some(vec![60, 60]), ..steps.clone() });
    assert_eq!(issue.key, "schedule.milestones");
    assert!(issue.message.contains("`schedule.milestones` is [60, 60]"), "{issue:?}");
    let issue = refused(steps.clone());
    assert!(issue.message.contains("has no epoch"), "{issue:?}");
    let issue = refused(ScheduleConfig { milestones: Some(vec![1]), power: Some(2.0), ..steps });
    assert_eq!(
        (&*issue.key, &*issue.message),
        (
            "schedule.power",
            "`schedule.power` belongs to polynomial only. Remove it, or choose a kind that has it."
        )
    );
    let wsd = ScheduleConfig::new(ScheduleKind::Wsd);
    let issue = refused(ScheduleConfig { decay_fraction: Some(1.5), ..wsd });
    assert_eq!(issue.message, "`schedule.decay_fraction` is 1.5. Use a number above 0, up to 1.");
}
