use super::*;

fn columns(values: &[f64]) -> Columns {
    values.iter().map(|value| Some(Column::of(*value))).collect()
}

#[test]
fn a_huge_first_loss_does_not_flatten_the_curve() {
    let mut values = vec![1.0; 200];
    values[0] = 1e6;
    values[50] = 0.5;
    values[51] = 0.5;
    values[52] = 0.5;
    let bounds = scale(&[(&columns(&values), false)], false);
    assert!(bounds.top < 2.0, "{bounds:?}");
    assert!(bounds.bottom <= 0.5);
}

#[test]
fn extremes_are_inside_if_requested_unless_they_are_wild() {
    let training = columns(&[1.0, 2.0, 1.5]);
    let with = |probes: Vec<f64>| scale(&[(&training, false), (&columns(&probes), true)], false);
    let bounds = with(vec![3.5]);
    assert!(bounds.top >= 3.5, "{bounds:?}");
    let bounds = with([vec![3.5; 99], vec![1e9]].concat());
    assert!((3.5..10.0).contains(&bounds.top), "{bounds:?}");
    // With dropout the probes may all lie far below the training loss.
    let bounds = with(vec![0.01; 50]);
    assert!(bounds.bottom <= 0.01 && bounds.top >= 2.0, "{bounds:?}");
}

#[test]
fn flat_and_empty_data_have_some_height() {
    for values in [&[][..], &[0.0], &[0.7], &[-3.0, -3.0], &[1e300], &[-1e308, 1e308], &[1e-310]] {
        for log in [false, true] {
            let bounds = scale(&[(&columns(values), true)], log);
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
    let bounds = scale(&[(&columns(&[1e-3, 1e-2, 0.1, 1.0, 10.0, 0.0, -1.0]), true)], true);
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
    assert_eq!(Scale { log: true, bottom: 0.2, top: 5.0 }.ticks(4), [0.2, 0.5, 1.0, 2.0, 5.0]);
}

#[test]
fn ticks_are_round_and_inside() {
    let ticks = Scale { log: false, bottom: 0.13, top: 2.71 }.ticks(5);
    assert_eq!(ticks, [1.0, 2.0]);
    let ticks = Scale { log: false, bottom: 0.0, top: 2.0 }.ticks(5);
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
