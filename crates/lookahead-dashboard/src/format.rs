//! How the dashboard writes numbers: as the whole program does, and in its axes and columns.

use lookahead_run::event::MetricInfo;
pub(crate) use lookahead_run::format::{
    NONE, bytes, cost, count, duration, loss, percent, rate, significant,
};

/// A metric's name where there is little room.
pub(crate) fn short(metric: &MetricInfo) -> String {
    if metric.name == "accuracy" { "acc.".into() } else { metric.label() }
}

/// A difference of losses, always with its sign.
pub(crate) fn difference(value: f64) -> String {
    let sign = if value < 0.0 { "−" } else { "+" };
    format!("{sign}{}", loss(value.abs()))
}

/// Seconds as `0:01:03`, so that a column of them lines up.
pub(crate) fn clock(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
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
