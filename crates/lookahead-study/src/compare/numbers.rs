//! Numbers as tables and figures print them.

#[cfg(test)]
mod tests;

use super::statistics::Spread;

/// The text of a table if there is no number.
pub(super) const NOTHING: &str = "–";
const MINUS: char = '−';

/// As many decimals as show two digits of the median standard deviation; without one, four digits of the
/// means.
pub(super) fn decimals(spreads: impl Iterator<Item = Spread>) -> usize {
    let (mut all, mut means) = (Vec::new(), Vec::new());
    for spread in spreads {
        means.push(spread.mean.abs());
        // The rounding error of a sum of equal numbers is not a spread.
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
