//! The numbers that a key allows. The checks, the words of help and messages, and the JSON Schema come from here.

/// The largest number in single precision. libtorch takes single precision for what multiplies weights of single
/// precision.
pub const SINGLE: f64 = f32::MAX as f64;

/// The numbers that a key allows, and how many of them a list has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// The least one, and whether it is excluded.
    pub least: Option<(f64, bool)>,
    /// The largest one, and whether it is excluded.
    pub most: Option<(f64, bool)>,
    /// The fewest values of a list.
    pub fewest: usize,
    /// The most values of a list.
    pub longest: Option<usize>,
}

impl Bounds {
    /// Everything.
    pub const ANY: Bounds = Bounds { least: None, most: None, fewest: 0, longest: None };

    /// Whether a number is within the bounds. NaN and infinity are within none.
    pub fn contain(&self, number: f64) -> bool {
        let is_bounded = self.least.is_some() || self.most.is_some();
        (!is_bounded || number.is_finite())
            && self.least.is_none_or(|(least, out)| number > least || (number == least && !out))
            && self.most.is_none_or(|(most, out)| number < most || (number == most && !out))
    }

    /// Whether a list may have this many values.
    pub fn fit(&self, values: usize) -> bool {
        values >= self.fewest && self.longest.is_none_or(|longest| values <= longest)
    }

    /// In words, after "Use". Empty if they are [`ANY`](Self::ANY).
    pub(super) fn words(&self, is_whole: bool, is_list: bool) -> String {
        let number = |value: f64| match value {
            _ if is_whole => format!("{value:.0}"),
            SINGLE => "3.4e38".to_owned(),
            _ => format_number(value),
        };
        let range = match (self.least, self.most) {
            (None, None) => String::new(),
            (Some((least, false)), None) => format!("{} or more", number(least)),
            (Some((least, true)), None) => format!("above {}", number(least)),
            (None, Some((most, false))) => format!("up to {}", number(most)),
            (None, Some((most, true))) => format!("below {}", number(most)),
            (Some((least, false)), Some((most, false))) => {
                format!("{} to {}", number(least), number(most))
            }
            (Some((least, true)), Some((most, false))) => {
                format!("above {}, up to {}", number(least), number(most))
            }
            (Some((least, out)), Some((most, true))) => {
                let above = if out { "above " } else { "" };
                format!("{above}{} to below {}", number(least), number(most))
            }
        };
        if !is_list {
            return range;
        }
        let count = match (self.fewest, self.longest) {
            (0, None) => String::new(),
            (fewest, None) => format!("{fewest} or more "),
            (fewest, Some(longest)) if fewest == longest => format!("{fewest} "),
            (fewest, Some(longest)) => format!("{fewest} to {longest} "),
        };
        if !range.is_empty() {
            format!("{count}numbers, each {range}")
        } else if count.is_empty() {
            String::new()
        } else {
            format!("{count}numbers")
        }
    }
}

/// A number for a sentence: 1e30 is not written out in its 31 digits.
pub(crate) fn format_number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() || (1e-4..1e7).contains(&value.abs()) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

#[cfg(test)]
mod tests;
