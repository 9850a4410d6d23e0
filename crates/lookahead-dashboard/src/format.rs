//! How numbers are written.

use lookahead_run::event::MetricInfo;

/// A value that is unknown.
pub(crate) const NONE: &str = "–";

/// `1234567` as `1,234,567`.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A loss in about six columns: `0.4312`, `12.34`, `1.2e-5`, `NaN`.
pub(crate) fn loss(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "inf" } else { "-inf" }.into()
    } else if size >= 1e5 || (size < 1e-3 && size > 0.0) {
        format!("{value:.1e}")
    } else if size >= 1000.0 {
        format!("{value:.0}")
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else if size >= 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

/// A metric's value: a fraction in percent, anything else as a loss.
pub(crate) fn metric(metric: &MetricInfo, value: f64) -> String {
    if metric.percent { percent(value, 2) } else { loss(value) }
}

/// A metric's name where there is little room.
pub(crate) fn short(metric: &MetricInfo) -> String {
    if metric.name == "accuracy" { "acc.".into() } else { metric.label() }
}

/// A difference of losses, always with its sign.
pub(crate) fn difference(value: f64) -> String {
    let sign = if value < 0.0 { "−" } else { "+" };
    format!("{sign}{}", loss(value.abs()))
}

/// A fraction from 0 to 1 as `91.23 %`.
pub(crate) fn percent(fraction: f64, decimals: usize) -> String {
    if fraction.is_finite() { format!("{:.decimals$} %", fraction * 100.0) } else { loss(fraction) }
}

/// At most `digits` significant digits and no trailing zeros: `0.001`, `3.5e-5`.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".into() } else { loss(value) };
    }
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    // Rounding first, so that 0.000999999 counts as 0.001.
    let rounded: f64 = scientific.parse().unwrap_or(value);
    if (1e-4..1e6).contains(&rounded.abs()) { format!("{rounded}") } else { format!("{rounded:e}") }
}

/// A rate per second: `12,345`, `87.5`.
pub(crate) fn rate(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        NONE.into()
    } else if value >= 100.0 {
        count(value.round() as u64)
    } else {
        format!("{value:.1}")
    }
}

/// Seconds as the two units that matter: `8s`, `1m 03s`, `2h 05m`, `3d 04h`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return NONE.into();
    }
    let seconds = seconds.max(0.0).round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if days > 0 {
        format!("{}d {:02}h", count(days), hours % 24)
    } else if hours > 0 {
        format!("{hours}h {:02}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m {:02}s", seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

/// Seconds of a short piece of work: `12 ms`, `3.4 s`.
pub(crate) fn cost(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}

/// Seconds as `0:01:03`, so that a column of them lines up.
pub(crate) fn clock(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A size on disk: `12.3 MB`.
pub(crate) fn bytes(value: u64) -> String {
    let mut size = value as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 1000.0 {
            return if unit == "B" { format!("{value} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1000.0;
    }
    format!("{size:.1} TB")
}

/// The labels of one axis, all with as many decimals as their spacing needs.
pub(crate) fn axis(values: &[f64]) -> Vec<String> {
    let (Some(first), Some(last)) = (values.first(), values.last()) else { return Vec::new() };
    let spacing = match values.len() {
        1 if *first == 0.0 => 1.0,
        1 => first.abs(),
        count => ((last - first) / (count - 1) as f64).abs(),
    };
    let largest = values.iter().fold(0.0_f64, |max, v| max.max(v.abs()));
    if largest >= 1e5 || (largest > 0.0 && largest < 1e-3) || spacing < 1e-5 {
        // So that they fit beside the axis.
        let decimals = if values.iter().any(|value| *value < 0.0) { 1 } else { 2 };
        return values.iter().map(|value| format!("{value:.decimals$e}")).collect();
    }
    let digits = |value: f64| {
        // Enough to tell it from the nearest number with one digit less, up to six.
        (0..6).find(|d| (value - round_to(value, *d)).abs() <= spacing * 1e-3).unwrap_or(6)
    };
    let decimals = values.iter().map(|value| digits(*value)).max().unwrap_or(0) as usize;
    values.iter().map(|value| format!("{value:.decimals$}")).collect()
}

fn round_to(value: f64, decimals: i32) -> f64 {
    let factor = 10_f64.powi(decimals);
    (value * factor).round() / factor
}

/// A loss with more digits: `0.431184`.
pub(crate) fn exact_loss(value: f64) -> String {
    if value.is_finite() { significant(value, 7) } else { loss(value) }
}

/// Words wrapped into lines of at most `width` characters; a word longer than a line is cut.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let mut letters: Vec<char> = word.chars().collect();
        if used > 0 {
            if used + 1 + letters.len() <= width {
                lines.last_mut().expect("never empty").push(' ');
                used += 1;
            } else {
                lines.push(String::new());
                used = 0;
            }
        }
        while letters.len() > width {
            let rest = letters.split_off(width);
            lines.last_mut().expect("never empty").extend(letters.drain(..));
            lines.push(String::new());
            letters = rest;
        }
        used += letters.len();
        lines.last_mut().expect("never empty").extend(letters);
    }
    lines
}

#[cfg(test)]
mod tests;
