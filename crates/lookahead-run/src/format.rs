//! Numbers and names as the program writes them everywhere: on the dashboard, in progress lines and in answers.

use std::fmt::Write as _;

/// A value that is unknown.
pub const NONE: &str = "–";

/// `1234567` as `1,234,567`.
pub fn count(value: u64) -> String {
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
pub fn loss(value: f64) -> String {
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

/// A fraction from 0 to 1 as `91.23 %`.
pub fn percent(fraction: f64, decimals: usize) -> String {
    if fraction.is_finite() { format!("{:.decimals$} %", fraction * 100.0) } else { loss(fraction) }
}

/// At most `digits` significant digits and no trailing zeros: `0.001`, `3.5e-5`.
pub fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".into() } else { loss(value) };
    }
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    // Rounding first, so that 0.000999999 counts as 0.001.
    let rounded: f64 = scientific.parse().unwrap_or(value);
    if (1e-4..1e6).contains(&rounded.abs()) { format!("{rounded}") } else { format!("{rounded:e}") }
}

/// A rate per second: `12,345`, `87.5`.
pub fn rate(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        NONE.into()
    } else if value >= 100.0 {
        count(value.round() as u64)
    } else {
        format!("{value:.1}")
    }
}

/// Seconds as the two units that matter: `8s`, `1m 03s`, `2h 05m`, `3d 04h`.
pub fn duration(seconds: f64) -> String {
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

/// Seconds that may be very few: `0.39 ms`, or as a [`duration`] from a second on.
pub fn short_duration(seconds: f64) -> String {
    if seconds.abs() < 1.0 {
        return format!("{} ms", significant(seconds * 1000.0, 2));
    }
    duration(seconds)
}

/// Seconds since something happened in their largest unit: `3 minutes ago`.
pub fn ago(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let (number, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{} {unit}{} ago", count(number), if number == 1 { "" } else { "s" })
}

/// Seconds of a short piece of work: `12 ms`, `3.4 s`.
pub fn cost(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}

/// A size on disk: `12.3 MB`.
pub fn bytes(value: u64) -> String {
    let mut size = value as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 1000.0 {
            return if unit == "B" { format!("{value} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1000.0;
    }
    format!("{size:.1} TB")
}

/// Most characters of a name that is shown.
const LONGEST_NAME: usize = 100;

/// A name from a log as it can be shown anywhere: what would break a line, move the cursor, turn the direction of
/// writing around or be invisible is written as its number, so that two names that differ look different.
pub fn safe(name: &str) -> String {
    let mut shown = String::new();
    for (place, letter) in name.chars().enumerate() {
        if place == LONGEST_NAME {
            shown.push('…');
            break;
        }
        if is_unsafe(letter) {
            // Writing to a string can't fail.
            let _ = write!(shown, "{}", letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// As [`safe`], of a whole text: its lines and tabs stay, and it is not shortened.
pub fn safe_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_unsafe(letter) && !matches!(letter, '\n' | '\t') {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            // Marks and overrides of direction, which would reorder what follows.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separators, and what takes no room.
            | '\u{2028}' | '\u{2029}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{ad}'
            | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests;
