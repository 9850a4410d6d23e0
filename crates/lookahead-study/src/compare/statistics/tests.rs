use proptest::prelude::*;

use super::*;

fn near(a: f64, b: f64, within: f64) {
    assert!((a - b).abs() <= within, "{a} is not {b}");
}

/// ```python
/// import statistics as s; v = [91.2, 90.4, 92.0, 91.7, 90.9]
/// s.mean(v), s.stdev(v), s.stdev(v) / 5**0.5, s.median(v), s.variance(v)
/// # 91.24, 0.6348228099241557, 0.28390139133157556, 91.2, 0.403
/// ```
#[test]
fn a_spread_is_that_of_pythons_statistics() {
    let values = [91.2, 90.4, 92.0, 91.7, 90.9];
    let spread = Spread::of(&values).unwrap();
    near(spread.mean, 91.24, 1e-12);
    near(spread.deviation.unwrap(), 0.6348228099241557, 1e-12);
    near(spread.standard_error().unwrap(), 0.28390139133157556, 1e-12);
    near(variance(&values).unwrap(), 0.403, 1e-12);
    assert_eq!((spread.n, spread.median, spread.min, spread.max), (5, 91.2, 90.4, 92.0));
    assert_eq!(Spread::of(&[1.0, 2.0, 4.0, 9.0]).unwrap().median, 3.0);
}

#[test]
fn there_is_no_spread_of_nothing_and_no_deviation_of_one() {
    assert_eq!(Spread::of(&[]), None);
    assert_eq!(Spread::of(&[1.0, f64::NAN]), None);
    let one = Spread::of(&[2.5]).unwrap();
    assert_eq!((one.mean, one.deviation, one.standard_error()), (2.5, None, None));
    assert_eq!(variance(&[1.0]), None);
}

/// From any table of Student's distribution, for example NIST's handbook, 1.3.6.7.2.
#[test]
fn quantiles_are_those_of_the_tables() {
    let table = [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042)];
    for (degrees, quantile) in table.into_iter().chain([(100, 1.984), (1_000_000, 1.960)]) {
        near(student_quantile(degrees).unwrap(), quantile, 5.1e-4);
    }
}

/// Differences 0.5, 0.25, 1.0, −0.25, 0.75: mean 0.45, standard deviation √0.23125, so that
/// Student's interval is 0.45 ± 2.776445 · √(0.23125 / 5) = 0.45 ± 0.597096.
#[test]
fn paired_differences_are_those_by_hand() {
    let pairs = [(1.0, 0.5), (2.25, 2.0), (4.0, 3.0), (0.75, 1.0), (1.75, 1.0), (5.0, 5.0)];
    let paired = Paired::of(&pairs[..5], Better::Higher).unwrap();
    near(paired.mean, 0.45, 1e-12);
    let (low, high) = paired.student.unwrap();
    near(low, 0.45 - 0.597096, 1e-5);
    near(high, 0.45 + 0.597096, 1e-5);
    assert_eq!((paired.wins, paired.ties, paired.losses), (4, 0, 1));
    assert_eq!(paired.interval(), paired.student);
    assert_eq!(paired.verdict(), Verdict::Undecided);
    let lower = Paired::of(&pairs, Better::Lower).unwrap();
    assert_eq!((lower.wins, lower.ties, lower.losses), (1, 1, 4));
}

#[test]
fn a_verdict_needs_seeds_and_an_interval_off_zero() {
    let by = |shift: f64, n: usize| -> Vec<(f64, f64)> {
        (0..n).map(|seed| (shift + seed as f64 * 0.01, 0.0)).collect()
    };
    let verdict = |shift, n, better| Paired::of(&by(shift, n), better).unwrap().verdict();
    assert_eq!(verdict(1.0, 5, Better::Higher), Verdict::Better);
    assert_eq!(verdict(1.0, 5, Better::Lower), Verdict::Worse);
    assert_eq!(verdict(-1.0, 5, Better::Higher), Verdict::Worse);
    assert_eq!(verdict(-1.0, 5, Better::Lower), Verdict::Better);
    assert_eq!(verdict(-0.02, 5, Better::Lower), Verdict::Undecided);
    assert_eq!(verdict(1.0, 2, Better::Higher), Verdict::Undecided);
    assert_eq!(verdict(1.0, 1, Better::Higher), Verdict::Undecided);
    assert_eq!(Paired::of(&[], Better::Higher), None);
}

/// All 4⁴ resamples of four numbers, counted out, have these percentiles.
#[test]
fn the_bootstrap_draws_as_counting_does() {
    let values = [0.0, 1.0, 3.0, 7.0];
    let mut means: Vec<f64> = (0..256_usize)
        .map(|code| (0..4).map(|at| values[code >> (2 * at) & 3]).sum::<f64>() / 4.0)
        .collect();
    means.sort_by(f64::total_cmp);
    let exact = (quantile(&means, 0.025), quantile(&means, 0.975));
    // `numpy.percentile` of the same, 2.5 and 97.5.
    assert_eq!(exact, (0.5, 5.5));
    let (low, high) = bootstrap(&values).unwrap();
    // The distribution has steps of 0.25, and a percentile may be beside one.
    near(low, exact.0, 0.26);
    near(high, exact.1, 0.26);
    assert_eq!(bootstrap(&values), bootstrap(&values));
    assert_eq!(bootstrap(&[f64::NAN]), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_interval_holds_the_mean_and_moves_with_the_numbers(
        values in prop::collection::vec(-100.0..100.0_f64, 1..12), shift in -50.0..50.0_f64,
    ) {
        let (low, high) = bootstrap(&values).unwrap();
        let mean = mean(&values);
        prop_assert!(low <= mean + 1e-9 && mean <= high + 1e-9, "{low} {mean} {high}");
        let moved: Vec<f64> = values.iter().map(|value| value + shift).collect();
        let (moved_low, moved_high) = bootstrap(&moved).unwrap();
        prop_assert!((moved_low - low - shift).abs() < 1e-9);
        prop_assert!((moved_high - high - shift).abs() < 1e-9);
    }
}
