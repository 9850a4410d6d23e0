use super::*;

fn labels(values: &[f64], log: bool, most: usize) -> Vec<String> {
    let axis = Axis::new(values.iter().copied(), log, 0.0, most);
    axis.ticks.into_iter().filter_map(|tick| tick.label).collect()
}

#[test]
fn even_ticks_are_round_numbers() {
    assert_eq!(labels(&[0.0, 10.0], false, 5), ["0", "2", "4", "6", "8", "10"]);
    assert_eq!(labels(&[0.13, 0.87], false, 4), ["0.2", "0.4", "0.6", "0.8"]);
    assert_eq!(labels(&[-1.0, 1.0], false, 4), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
    assert_eq!(labels(&[0.0, 60_000.0], false, 3), ["0", "20,000", "40,000", "60,000"]);
    assert_eq!(labels(&[2000.0, 4000.0], false, 2), ["2000", "3000", "4000"]);
    assert_eq!(
        labels(&[0.0, 2.5e7], false, 5),
        ["0", "0.5×10⁷", "1.0×10⁷", "1.5×10⁷", "2.0×10⁷", "2.5×10⁷"]
    );
    assert_eq!(labels(&[1e-9, 3e-9], false, 2), ["1×10⁻⁹", "2×10⁻⁹", "3×10⁻⁹"]);
    assert_eq!(labels(&[1_000_000.0, 1_000_000.5], false, 2)[1], "1,000,000.5");
}

#[test]
fn log_ticks_are_decades() {
    assert_eq!(labels(&[0.001, 10.0], true, 6), ["0.001", "0.01", "0.1", "1", "10"]);
    assert_eq!(labels(&[1e-8, 1.0], true, 5), ["10⁻⁸", "10⁻⁶", "10⁻⁴", "10⁻²", "10⁰"]);
    assert_eq!(labels(&[1.0, 1e5], true, 9).last().unwrap(), "100,000");
    let axis = Axis::new([0.01, 1.0].into_iter(), true, 0.0, 5);
    assert_eq!(axis.ticks.iter().filter(|tick| tick.label.is_none()).count(), 16);
    assert!((axis.part(0.1).unwrap() - 0.5).abs() < 1e-12);
}

#[test]
fn short_log_axes_have_labels_too() {
    assert_eq!(labels(&[0.2, 3.0], true, 6), ["0.2", "0.5", "1.0", "2.0"]);
    assert_eq!(labels(&[1.1, 1.9], true, 5), ["1.2", "1.4", "1.6", "1.8"]);
    assert_eq!(labels(&[2e-7, 8e-7], true, 6), ["2×10⁻⁷", "3×10⁻⁷", "5×10⁻⁷", "7×10⁻⁷"]);
    for value in [5e-324, 1e-310, 0.3, 1.0, 7e307, f64::MAX] {
        let count = labels(&[value], true, 5).len();
        assert!((2..=6).contains(&count), "{value} {count}");
    }
}

#[test]
fn values_keep_their_order_and_stay_on_the_axis() {
    let wild = [0.0, -0.0, 5e-324, 1e-310, -1e-300, 1.0, 1.0 + 1e-15, -3.5, 1e300, f64::MAX];
    for low in wild {
        for high in wild.into_iter().chain([f64::MIN, f64::NAN, f64::INFINITY]) {
            for log in [false, true] {
                let axis = Axis::new([low, high].into_iter(), log, 0.05, 6);
                assert!(axis.high > axis.low, "{low} {high} {log} {axis:?}");
                assert!(axis.low.is_finite() && axis.high.is_finite());
                assert!(!axis.ticks.is_empty(), "{low} {high} {log}");
                for tick in &axis.ticks {
                    assert!((0.0..=1.0).contains(&tick.part), "{low} {high} {tick:?}");
                    let label = tick.label.as_deref().unwrap_or("");
                    assert!(label.chars().count() < 24, "{low} {high} {label}");
                }
                let parts = [axis.part(low), axis.part(high)];
                if let [Some(from), Some(to)] = parts {
                    assert!(low > high || from <= to, "{low} {high} {log}");
                }
            }
        }
    }
    let axis = Axis::new([1.0, 3.0].into_iter(), false, 0.0, 5);
    assert_eq!(
        [axis.part(2.0), axis.part(9.0), axis.part(-9.0)],
        [Some(0.5), Some(1.0), Some(0.0)]
    );
    assert_eq!(axis.part(f64::NAN), None);
    let axis = Axis::new([1.0, 3.0].into_iter(), true, 0.0, 5);
    assert_eq!([axis.part(-1.0), axis.part(f64::NAN)], [None, None]);
}

#[test]
fn names_are_in_the_middle_of_their_parts() {
    let names = ["a", "b", "", "d"].map(str::to_owned);
    let axis = Axis::named(&names, 9);
    let ticks: Vec<_> = axis.ticks.iter().map(|tick| (tick.part, tick.label.as_deref())).collect();
    assert_eq!(ticks, [(0.125, Some("a")), (0.375, Some("b")), (0.625, None), (0.875, Some("d"))]);
    let axis = Axis::named(&names, 2);
    assert_eq!(axis.ticks.iter().filter(|tick| tick.label.is_some()).count(), 1);
    assert!(Axis::named(&[], 0).ticks.is_empty());
}

#[test]
fn equal_values_are_in_the_middle() {
    for value in [0.0, 0.25, -7.0, 1e-310, 1e299] {
        let axis = Axis::new([value, value].into_iter(), false, 0.05, 5);
        assert!((axis.part(value).unwrap() - 0.5).abs() < 1e-6, "{value}");
    }
}

#[test]
fn an_axis_near_zero_starts_there() {
    let bottom = |values: [f64; 2]| Axis::new(values.into_iter(), false, 0.05, 5).low;
    assert_eq!(bottom([0.01, 2.0]), 0.0);
    assert!(bottom([1.0, 2.0]) > 0.9);
    assert!(bottom([-0.01, 2.0]) < -0.01);
}
