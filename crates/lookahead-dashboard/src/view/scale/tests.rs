use super::*;
use crate::view::columns::Column;

fn columns(values: &[f64]) -> Columns {
    values.iter().map(|value| Some(Column::of(*value))).collect()
}

fn scale(lines: &[&Columns], options: ScaleOptions) -> Scale {
    options.scale(usual(lines, lines, options.log, options.was_cut()))
}

fn of(values: &[f64], log: bool) -> Scale {
    scale(&[&columns(values)], ScaleOptions { log, ..ScaleOptions::default() })
}

#[test]
fn a_huge_first_loss_does_not_flatten_the_curve() {
    let mut values: Vec<f64> = (0..200).map(|step| 1.0 + f64::from(step % 7) / 10.0).collect();
    values[0] = 1e6;
    let bounds = of(&values, false);
    assert!(bounds.bottom <= 1.0 && (1.6..2.0).contains(&bounds.top), "{bounds:?}");
    assert!(bounds.is_cut() && bounds.all.1 == 1e6, "{bounds:?}");
    let all = ScaleOptions { all: true, ..ScaleOptions::default() };
    let bounds = scale(&[&columns(&values)], all);
    assert!(!bounds.is_cut() && bounds.top >= 1e6, "{bounds:?}");
}

/// With dropout the probes may all be far below the training loss.
#[test]
fn every_measured_line_is_inside() {
    let (training, probes) = (columns(&[1.0, 2.0, 1.5]), columns(&[0.01; 50]));
    let bounds = scale(&[&training, &probes], ScaleOptions::default());
    assert!(bounds.bottom <= 0.01 && bounds.top >= 2.0, "{bounds:?}");
}

#[test]
fn a_scale_that_still_fits_is_kept() {
    let next = |top: f64, before: Scale| {
        let columns = columns(&[1.0, top]);
        let options = ScaleOptions { before: Some(before), ..ScaleOptions::default() };
        scale(&[&columns], options)
    };
    let ends = |scale: Scale| (scale.bottom, scale.top);
    let first = of(&[1.0, 10.0], false);
    for top in [9.0, 7.5, 10.0] {
        assert_eq!(ends(next(top, first)), ends(first), "{top}");
    }
    assert!(next(3.0, first).top < 5.0 && next(20.0, first).top >= 20.0);
    // One of another kind is not.
    assert!(!next(9.0, Scale { log: true, ..first }).log);
}

#[test]
fn flat_and_empty_data_have_some_height() {
    for values in [&[][..], &[0.0], &[0.7], &[-3.0, -3.0], &[1e300], &[-1e308, 1e308], &[1e-310]] {
        for log in [false, true] {
            let bounds = of(values, log);
            assert!(bounds.top > bounds.bottom, "{values:?} {bounds:?}");
            assert!(bounds.top.is_finite() && bounds.bottom.is_finite());
            for value in values {
                assert!(bounds.row(*value, 40) < 40);
            }
            let ticks = bounds.ticks(5);
            assert!(!ticks.is_empty() && ticks.len() <= 12, "{values:?} {log} {ticks:?}");
        }
    }
}

#[test]
fn a_log_axis_gives_each_decade_as_much_room() {
    let bounds = of(&[1e-3, 1e-2, 0.1, 1.0, 10.0, 0.0, -1.0], true);
    assert_eq!((bounds.bottom, bounds.top), (1e-3, 10.0));
    assert_eq!(
        [10.0, 1.0, 0.1, 0.01, 1e-3, 0.0].map(|v| bounds.row(v, 41)),
        [0, 10, 20, 30, 40, 40]
    );
    let ticks = bounds.ticks(4);
    assert!(
        ticks.iter().zip([1e-3, 1e-2, 0.1, 1.0, 10.0]).all(|(a, b)| (a / b - 1.0).abs() < 1e-9)
    );
    assert_eq!(ticks.len(), 5);
    // Within less than two decades 1, 2 and 5 are named.
    assert_eq!(Scale::of(true, 0.2, 5.0).ticks(4), [0.2, 0.5, 1.0, 2.0, 5.0]);
}

#[test]
fn ticks_are_round_and_inside() {
    let ticks = Scale::of(false, 0.13, 2.71).ticks(5);
    assert_eq!(ticks, [1.0, 2.0]);
    let ticks = Scale::of(false, 0.0, 2.0).ticks(5);
    assert_eq!(ticks, [0.0, 0.5, 1.0, 1.5, 2.0]);
}

#[test]
fn times_have_labels_at_round_seconds_minutes_and_hours() {
    for (value, round) in
        [(0.3, 0.5), (7.0, 10.0), (40.0, 60.0), (2000.0, 3600.0), (1e6, 1_728_000.0)]
    {
        assert_eq!(round_time(value), round, "{value}");
    }
}
