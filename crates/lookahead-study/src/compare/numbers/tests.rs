use super::*;

#[test]
fn numbers_have_the_digits_that_their_spread_leaves() {
    let with =
        |mean: f64, sd: Option<f64>| Spread { mean, deviation: sd, ..Spread::of(&[1.0]).unwrap() };
    let decimals = |deviations: &[f64]| decimals(deviations.iter().map(|sd| with(90.0, Some(*sd))));
    assert_eq!(decimals(&[0.21, 0.19]), 2);
    assert_eq!([decimals(&[12.0]), decimals(&[0.0034]), decimals(&[1e-6])], [0, 4, 6]);
    // Without a spread, or with one of rounding, the mean decides.
    assert_eq!([decimals(&[]), decimals(&[0.0, f64::NAN]), decimals(&[1e-14])], [2, 2, 2]);
    assert_eq!(super::decimals([with(0.0123, None)].into_iter()), 5);
    let spread = Spread::of(&[89.2, 89.6, 90.3]);
    assert_eq!(mean_and_deviation(spread, 2), "89.70 ± 0.56");
    assert_eq!(mean_and_deviation(Spread::of(&[89.2]), 1), "89.2");
    assert_eq!(mean_and_deviation(None, 1), "–");
    assert_eq!([signed(0.31, 1), signed(-0.31, 1), signed(-0.01, 1)], ["+0.3", "−0.3", "0.0"]);
    assert_eq!(
        [0.0, 0.012345, -2.71, 123_456.7].map(significant),
        ["0", "0.0123", "−2.71", "123457"]
    );
    assert_eq!([1.234e-7, -1.5e9].map(significant), ["1.23×10^−7", "−1.50×10^9"]);
}
