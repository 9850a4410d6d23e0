//! Quartiles, and what a ratio is held against.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Median and quartiles of what the rounds came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The first quartile.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The third quartile.
    pub high: f64,
    /// How many rounds there were.
    pub rounds: usize,
}

impl Spread {
    /// Of some values, interpolated between the nearest two; `None` of none.
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = |fraction: f64| {
            let place = fraction * last as f64;
            let below = sorted[place.floor() as usize];
            below + place.fract() * (sorted[place.ceil() as usize] - below)
        };
        Some(Spread { low: at(0.25), median: at(0.5), high: at(0.75), rounds: sorted.len() })
    }
}

/// Which way a ratio is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// The second one's value divided by the first one's: how many times as fast the first is.
    Faster,
    /// The first one's value divided by the second one's: how much of it the first takes.
    Takes,
}

impl Meaning {
    /// The ratios within each round.
    pub fn ratios(self, first: &[f64], second: &[f64]) -> Vec<f64> {
        let pairs = first.iter().zip(second);
        pairs
            .map(|(first, second)| match self {
                Meaning::Faster => second / first,
                Meaning::Takes => first / second,
            })
            .collect()
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Meaning::Faster => "times as fast",
            Meaning::Takes => "takes, of it",
        }
    }
}

/// What a ratio is held against.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Aim {
    /// The bound: a minimum if the ratio is [`Meaning::Faster`], else a maximum.
    pub bound: f64,
    /// Whether a quartile that reaches it is enough.
    pub within_spread: bool,
}

impl Aim {
    /// A bound for the median.
    pub const fn median(bound: f64) -> Aim {
        Aim { bound, within_spread: false }
    }

    /// Whether it is reached.
    pub fn is_reached(self, ratio: Spread, meaning: Meaning) -> bool {
        match (meaning, self.within_spread) {
            (Meaning::Faster, false) => ratio.median >= self.bound,
            (Meaning::Faster, true) => ratio.high >= self.bound,
            (Meaning::Takes, false) => ratio.median <= self.bound,
            (Meaning::Takes, true) => ratio.low <= self.bound,
        }
    }

    /// In words.
    pub fn words(self, meaning: Meaning) -> String {
        let sign = if meaning == Meaning::Faster { '≥' } else { '≤' };
        let within = if self.within_spread { " within the spread" } else { "" };
        format!("{sign} {}{within}", Short(self.bound))
    }
}

/// A ratio in three or four digits.
#[derive(Debug, Clone, Copy)]
pub struct Short(pub f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = match self.0.abs() {
            a if a < 2.0 => 3,
            a if a < 20.0 => 2,
            _ => 1,
        };
        write!(f, "{:.decimals$}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_those_that_numpy_gives() {
        assert_eq!(Spread::of(&[]), None);
        let one = Spread::of(&[3.0]).unwrap();
        assert_eq!(one, Spread { low: 3.0, median: 3.0, high: 3.0, rounds: 1 });
        let four = Spread::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(four, Spread { low: 1.75, median: 2.5, high: 3.25, rounds: 4 });
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let (first, second) = ([1.0, 2.0], [2.0, 1.0]);
        assert_eq!(Meaning::Faster.ratios(&first, &second), [2.0, 0.5]);
        assert_eq!(Meaning::Takes.ratios(&first, &second), [0.5, 2.0]);
    }

    #[test]
    fn an_aim_holds_for_the_median_or_for_the_quartile_on_its_side() {
        let ratio = Spread { low: 0.9, median: 0.98, high: 1.02, rounds: 5 };
        let near = |bound| Aim { bound, within_spread: true };
        assert!(!Aim::median(1.0).is_reached(ratio, Meaning::Faster));
        assert!(near(1.0).is_reached(ratio, Meaning::Faster));
        assert!(!near(1.03).is_reached(ratio, Meaning::Faster));
        assert!(Aim::median(0.98).is_reached(ratio, Meaning::Takes));
        assert!(!Aim::median(0.97).is_reached(ratio, Meaning::Takes));
        assert!(near(0.9).is_reached(ratio, Meaning::Takes));
        assert!(!near(0.89).is_reached(ratio, Meaning::Takes));
        assert_eq!(near(1.0).words(Meaning::Faster), "≥ 1.000 within the spread");
        assert_eq!(Aim::median(2.5).words(Meaning::Takes), "≤ 2.50");
    }
}
