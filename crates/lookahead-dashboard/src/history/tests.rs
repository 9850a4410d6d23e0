use proptest::prelude::*;

use super::*;

fn of(values: impl IntoIterator<Item = f64>, capacity: usize) -> History {
    let mut history = History::new(capacity);
    for (step, value) in values.into_iter().enumerate() {
        history.push(step as u64, value);
    }
    history
}

/// Every slice contains each point between its ends exactly once, with the extremes, the mean and the
/// ends of its points.
fn check(history: &History, points: &[(u64, f64)], first: u64, last: u64, at_least: usize) {
    let found = history.slice(first, last, at_least);
    let inside = |step: u64| (first..=last).contains(&step);
    let finite: Vec<_> = points.iter().filter(|point| point.1.is_finite()).collect();
    let mut next = match found.first() {
        Some(bucket) => finite.iter().position(|p| p.0 == bucket.first_step).unwrap(),
        None => 0,
    };
    assert!(finite[..next].iter().all(|point| !inside(point.0)), "a point is missing before");
    for bucket in &found {
        let these = &finite[next..next + bucket.count as usize];
        next += these.len();
        let values = || these.iter().map(|point| point.1);
        assert_eq!((bucket.first_step, bucket.first), *these[0]);
        assert_eq!((bucket.last_step, bucket.last), *these[these.len() - 1]);
        assert_eq!(bucket.min, values().fold(f64::INFINITY, f64::min));
        assert_eq!(bucket.max, values().fold(f64::NEG_INFINITY, f64::max));
        let mean = values().sum::<f64>() / these.len() as f64;
        assert!((bucket.mean() - mean).abs() <= 1e-9 * mean.abs().max(1.0));
    }
    assert!(finite[next..].iter().all(|point| !inside(point.0)), "a point is missing after");
    let count = finite.iter().filter(|point| inside(point.0)).count();
    let wanted = at_least.min(count / (history.width as usize)).saturating_sub(1);
    assert!(found.len() >= wanted, "{} buckets of {wanted}", found.len());
    assert!(found.len() <= 4 * at_least + 64, "{} buckets for {at_least}", found.len());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_slice_is_what_the_raw_series_says(
        steps in prop::collection::vec((0_u64..5, prop_oneof![9 => -1e3..1e3_f64, 1 => Just(f64::NAN)]), 0..1500),
        capacity in 2_usize..100,
        ends in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        at_least in 1_usize..80,
    ) {
        let (mut history, mut step, mut points) = (History::new(capacity), 0, Vec::new());
        for (gap, value) in steps {
            step += gap + 1;
            points.push((step, value));
            history.push(step, value);
            assert!(history.levels[0].len() < capacity.max(2));
        }
        let all = step as usize + 2;
        let (a, b) = (ends.0.index(all) as u64, ends.1.index(all) as u64);
        check(&history, &points, a.min(b), a.max(b), at_least);
        check(&history, &points, 0, u64::MAX, at_least);
        let finite = points.iter().filter(|point| point.1.is_finite());
        let max = finite.clone().map(|point| point.1).reduce(f64::max);
        assert_eq!(history.max(), max);
        let lost = points.len() - finite.count();
        assert_eq!(history.non_finite(), lost as u64);
        let in_gap = |step| history.gaps().iter().any(|gap| (gap.from..=gap.to).contains(&step));
        for (step, value) in &points {
            assert_eq!(in_gap(*step), !value.is_finite(), "step {step}");
        }
    }
}

fn bytes(history: &History) -> usize {
    let buckets: usize = history.levels.iter().map(Vec::capacity).sum();
    buckets * size_of::<Bucket>() + history.gaps.capacity() * size_of::<Gap>()
}

#[test]
fn ten_million_points_fit_into_the_same_memory() {
    let mut history = History::default();
    let mut most = 0;
    for step in 0..10_000_000_u64 {
        history.push(step, if step == 1_234_567 { 99.0 } else { 1.0 });
        if step.is_multiple_of(4096) {
            most = most.max(bytes(&history));
        }
    }
    assert!(most <= 8 << 20, "{most}");
    assert!(history.levels[0].len() >= CAPACITY / 2 - 1);
    assert_eq!(history.max(), Some(99.0));
    // Found at every zoom, down to the finest that is kept.
    let mut span = 10_000_000;
    while span > 1000 {
        let first = 1_234_567_u64.saturating_sub(span / 3);
        let found = history.slice(first, first + span, 320);
        let spike = found.iter().find(|bucket| bucket.max == 99.0).expect("the spike");
        assert!(spike.first_step <= 1_234_567 && 1_234_567 <= spike.last_step);
        span /= 2;
    }
}

#[test]
fn non_finite_values_split_and_are_counted() {
    let mut history = of([1.0, f64::NAN, f64::INFINITY, 2.0, 3.0], 8);
    assert_eq!(history.non_finite(), 2);
    assert_eq!(history.gaps(), [Gap { from: 1, to: 2, count: 2 }]);
    let gaps: Vec<bool> = history.slice(0, 9, 9).iter().map(|b| b.gap_before).collect();
    assert_eq!(gaps, [false, true, false]);
    history.push(9, f64::NAN);
    assert!(history.newest().unwrap().is_nan());
    assert_eq!(history.last_step(), Some(4));
}

#[test]
fn a_gap_survives_merging() {
    let history = of((0..100).map(|step| if step == 40 { f64::NAN } else { 1.0 }), 4);
    let gaps = history.slice(0, 100, 100).into_iter().filter(|b| b.gap_before || b.gap_inside);
    assert_eq!(gaps.count(), 1);
}

#[test]
fn no_bucket_reaches_over_a_gap_that_can_be_seen() {
    let history = of((0..1000).map(|n| if (399..600).contains(&n) { f64::NAN } else { 1.0 }), 4096);
    for at_least in [20, 50, 100] {
        let found = history.slice(0, 999, at_least);
        assert!(found.iter().all(|bucket| bucket.last_step < 399 || bucket.first_step >= 600));
        assert_eq!(found.iter().filter(|bucket| bucket.gap_before).count(), 1);
    }
}

#[test]
fn very_many_gaps_stay_bounded_and_keep_their_ends() {
    let history = of((0..9999).map(|step| if step % 2 == 0 { f64::NAN } else { 1.0 }), 64);
    assert!(history.gaps().len() <= GAPS);
    assert_eq!(history.gaps()[0].from, 0);
    assert_eq!(history.gaps().last().unwrap().to, 9998);
}

#[test]
fn a_step_that_goes_back_is_ignored() {
    let mut history = History::new(16);
    history.push(5, 1.0);
    history.push(3, 7.0);
    assert_eq!(history.slice(0, 9, 9).len(), 1);
    assert_eq!(history.newest(), Some(1.0));
}

#[test]
fn values_between_points_lie_on_the_line() {
    for capacity in [4, 1000] {
        let history = of((0..200).map(|step| step as f64 * 2.0), capacity);
        for step in 0..200 {
            assert!((history.interpolate(step).unwrap() - step as f64 * 2.0).abs() < 1e-9);
            assert_eq!(history.step_where(step as f64 * 2.0), Some(step), "{capacity}");
        }
        assert_eq!(history.interpolate(500), Some(398.0));
        assert_eq!(history.step_where(1e9), Some(199));
        assert_eq!(history.step_where(-1.0), None);
    }
    assert_eq!(History::new(4).interpolate(3), None);
}
