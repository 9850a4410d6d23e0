//! A loss far above the recent ones.
//!
//! Losses differ from batch to batch, and more so for small batches. So a loss is compared with the median of the recent
//! ones, and its distance with their median absolute deviation, MAD: neither notices a single outlier. A tail of the
//! losses of batches is longer than that of a normal distribution, and once a training set is nearly learned the
//! MAD is tiny. So a spike must also be a rise by a part of the loss of guessing or, if that is not known, of the first losses.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Losses that must be there before another one is judged.
pub const FEWEST: usize = 20;
/// Losses that are the first ones.
const FIRST: usize = 5;
/// A spike is a rise by more than this part of the loss of guessing, or of the first losses.
pub const LEAST_RISE: f64 = 0.25;

/// Compares losses with those before them.
#[derive(Debug)]
pub struct SpikeDetector {
    window: usize,
    deviations: f64,
    /// The loss of guessing, if it is known.
    chance: Option<f64>,
    seen: SeenLosses,
}

/// What the detector keeps of the losses: a checkpoint holds it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeenLosses {
    /// The last ones, NaN and infinity left out.
    recent: VecDeque<f64>,
    /// The median of the first ones.
    first: Option<f64>,
    /// Losses since the last spike; none if there was no spike or a whole window of others came since.
    since_spike: Option<usize>,
}

/// A loss that is a spike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spike {
    /// The loss.
    pub loss: f64,
    /// The median of those before it.
    pub median: f64,
    /// The largest loss that would not be a spike.
    pub limit: f64,
    /// Whether the loss before it was not one.
    pub is_first: bool,
    /// Whether there was none within the last `window` losses.
    pub is_news: bool,
}

impl SpikeDetector {
    /// Compares each loss with the last `window`, and allows this many `deviations`. `chance` is the loss of guessing.
    pub fn new(window: usize, deviations: f64, chance: Option<f64>) -> Self {
        SpikeDetector { window, deviations, chance, seen: SeenLosses::default() }
    }

    /// What it keeps of the losses.
    pub fn seen(&self) -> &SeenLosses {
        &self.seen
    }

    /// Continues with the losses of a checkpoint.
    pub fn restore(&mut self, seen: SeenLosses) {
        self.seen = seen;
    }

    /// Forgets the losses since `then`. What has been noted is not noted again.
    pub fn roll_back(&mut self, then: &SeenLosses) {
        self.seen = SeenLosses { since_spike: self.seen.since_spike, ..then.clone() };
    }

    /// Judges the next loss; `None` if it is no spike, or NaN or infinity.
    pub fn judge(&mut self, loss: f64) -> Option<Spike> {
        if !loss.is_finite() {
            return None;
        }
        let seen = &mut self.seen;
        let spike = if seen.recent.len() < FEWEST {
            None
        } else {
            let median = median(seen.recent.iter().copied());
            let scale = self.chance.or(seen.first).unwrap_or(median).abs();
            let deviation = self::median(seen.recent.iter().map(|loss| (loss - median).abs()));
            let limit = median + (self.deviations * deviation).max(LEAST_RISE * scale);
            let (is_first, is_news) = (seen.since_spike != Some(0), seen.since_spike.is_none());
            (loss > limit).then_some(Spike { loss, median, limit, is_first, is_news })
        };
        let others = seen.since_spike.map(|others| others + 1).filter(|of| *of < self.window);
        seen.since_spike = if spike.is_some() { Some(0) } else { others };
        seen.recent.push_back(loss);
        if seen.recent.len() == FIRST && seen.first.is_none() {
            seen.first = Some(self::median(seen.recent.iter().copied()));
        }
        while seen.recent.len() > self.window {
            seen.recent.pop_front();
        }
        spike
    }
}

/// The median of finite numbers, the upper one of an even count; there must be one.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests;
