//! Numbers as tables and figures print them.

use super::statistics::Spread;

/// What a table prints if there is no number.
pub(super) const NOTHING: &str = "–";
const MINUS: char = '−';

/// As many decimals as show two digits of the median standard deviation; without one, four digits of the
/// means.
pub(super) fn decimals(spreads: impl Iterator<Item = Spread>) -> usize {
    let (mut all, mut means) = (Vec::new(), Vec::new());
    for spread in spreads {
        means.push(spread.mean.abs());
        // What is left of a sum of equal numbers is no spread.
        all.extend(spread.deviation.filter(|sd| *sd > spread.mean.abs() * 1e-9));
    }
    let digits =
        |size: f64, count: f64| (count - 1.0 - size.log10().floor()).clamp(0.0, 6.0) as usize;
    all.sort_by(f64::total_cmp);
    match all.get(all.len() / 2) {
        Some(middle) => digits(*middle, 2.0),
        None => means
            .into_iter()
            .reduce(f64::max)
            .filter(|mean| *mean > 0.0)
            .map_or(2, |mean| digits(mean, 4.0)),
    }
}

/// A number with a true minus sign.
pub fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    // A rounded −0.00 is 0.
    let zero = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    if zero { text.replace('-', "") } else { text.replace('-', &MINUS.to_string()) }
}

/// A number with its sign, also if it is positive.
pub fn signed(value: f64, decimals: usize) -> String {
    let text = number(value, decimals);
    let zero = text.chars().all(|c| matches!(c, '0' | '.'));
    if zero || text.starts_with(MINUS) { text } else { format!("+{text}") }
}

/// `89.70 ± 0.56`.
pub fn mean_and_deviation(spread: Option<Spread>, decimals: usize) -> String {
    match spread {
        None => NOTHING.to_owned(),
        Some(Spread { mean, deviation: None, .. }) => number(mean, decimals),
        Some(Spread { mean, deviation: Some(deviation), .. }) => {
            format!("{} ± {}", number(mean, decimals), number(deviation, decimals))
        }
    }
}

/// Three significant digits, whatever the size.
pub fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let order = value.abs().log10().floor() as i32;
    match order {
        -4..=5 => number(value, (2 - order).max(0) as usize),
        _ => {
            let text = format!("{value:.2e}").replace('-', &MINUS.to_string());
            text.replacen('e', "×10^", 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_their_spread_leaves() {
        let with = |mean: f64, sd: Option<f64>| Spread {
            mean,
            deviation: sd,
            ..Spread::of(&[1.0]).unwrap()
        };
        let decimals =
            |deviations: &[f64]| decimals(deviations.iter().map(|sd| with(90.0, Some(*sd))));
        assert_eq!(decimals(&[0.21, 0.19]), 2);
        assert_eq!([decimals(&[12.0]), decimals(&[0.0034]), decimals(&[1e-6])], [0, 4, 6]);
        // Of no spread, or one of rounding, the mean decides.
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
}
