use super::*;

fn points(values: impl IntoIterator<Item = f64>) -> Vec<(f64, f64)> {
    values.into_iter().map(|value| (value, value)).collect()
}

fn of(values: Vec<(f64, f64)>, log: bool) -> UsualRange {
    usual_range(std::slice::from_ref(&values), &values, log, None).unwrap()
}

/// A loss that starts at 1e4 and falls to a few tenths within a twentieth of the run.
fn descent() -> Vec<(f64, f64)> {
    points((0..400).map(|step| match step {
        0..20 => 1e4 * 0.6_f64.powi(step),
        _ => 0.25 + 0.05 * f64::from(step).sin(),
    }))
}

#[test]
fn the_first_steps_do_not_flatten_the_rest() {
    let range = of(descent(), false);
    let (low, high) = range.ends;
    assert!(low < 0.21 && 0.29 < high && 0.1 > 0.7 * (high - low), "{range:?}");
    assert!(range.is_cut() && range.all.1 == 1e4, "{range:?}");
}

#[test]
fn a_descent_that_leaves_room_for_the_rest_is_shown_whole() {
    let range = of(points((0..400).map(|step| 0.3 + 2.0 * (-f64::from(step) / 80.0).exp())), false);
    assert!(!range.is_cut(), "{range:?}");
}

#[test]
fn a_running_mean_does_not_decide() {
    let mean = points((0..400).map(|step| 0.25 + 1e4 * 0.98_f64.powi(step)));
    let measured = descent();
    let drawn = [measured.clone(), mean].concat();
    let range = usual_range(&[measured], &drawn, false, None).unwrap();
    assert!(range.ends.1 < 0.4, "{range:?}");
}

#[test]
fn every_series_counts_with_its_own_usual_values() {
    let (high, low) = (points(vec![1.0; 100]), points((0..100).map(|_| 0.01)));
    let drawn = [high.clone(), low.clone()].concat();
    let range = usual_range(&[high, low], &drawn, false, None).unwrap();
    assert_eq!(range.ends, (0.01, 1.0));
}

#[test]
fn few_values_are_all_usual() {
    let range = of(points([40.0, 1.0, 1.1, 0.9]), false);
    assert_eq!(range.ends, (0.9, 40.0));
}

#[test]
fn an_axis_does_not_change_back_and_forth() {
    // The usual values fill 0.4 of the height, just more or just less.
    for top in [0.95 / 0.41, 0.95 / 0.39] {
        let mut values = points((0..1000).map(|step| f64::from(step) / 1000.0));
        values.push((top, top));
        let cut = |before| usual_range(&[values.clone()], &values, false, before).unwrap().is_cut();
        assert!(cut(Some(true)) && !cut(Some(false)), "{top}");
    }
}

#[test]
fn odd_values_have_a_range_or_none() {
    assert_eq!(usual_range(&[], &[], false, None), None);
    assert_eq!(usual_range(&[], &points([f64::NAN, f64::INFINITY]), false, None), None);
    assert_eq!(usual_range(&[], &points([0.0, -1.0]), true, None), None);
    for log in [false, true] {
        let (low, high) = of(points([0.7]), log).ends;
        assert!((low - 0.7).abs() < 1e-9 && low == high, "{low} {high}");
        assert!(!of(points(vec![1.0; 50]), log).is_cut());
        // A flat line with one spike is flat, and cut.
        let mut spike = points(vec![1.0; 50]);
        spike[7] = (1.0, 50.0);
        let range = of(spike, log);
        assert!(range.is_cut() && range.ends == (1.0, 1.0), "{range:?}");
    }
    assert_eq!(of(points(vec![0.0; 50]), false).ends, (0.0, 0.0));
    assert_eq!(of(points([-1e308, 1e308]), false).ends, (-1e300, 1e300));
    assert_eq!(of(vec![(-1.0, 1.0), (0.0, 10.0)], true).ends, (1.0, 10.0));
    assert_eq!(of(vec![(1.0, f64::INFINITY), (f64::NAN, 2.0)], false).ends, (1.0, 2.0));
}
