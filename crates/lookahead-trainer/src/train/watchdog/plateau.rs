//! A loss that no longer falls.

use serde::{Deserialize, Serialize};

/// A mean that is lower by less than this part of the lowest so far is no improvement.
pub const LEAST_FALL: f64 = 0.001;

/// Compares the mean losses of blocks of steps.
#[derive(Debug)]
pub struct PlateauDetector {
    steps: u64,
    seen: SeenMeans,
}

/// What the detector keeps of the losses: a checkpoint holds it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeenMeans {
    /// Sum and number of the losses of the present block, NaN and infinity left out.
    sum: f64,
    count: u64,
    /// The lowest mean so far.
    lowest: Option<f64>,
    /// Whether the last block was not lower.
    is_flat: bool,
}

/// A block of steps whose mean loss is not below the lowest so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plateau {
    /// Its mean.
    pub mean: f64,
    /// The lowest mean of the blocks before it.
    pub lowest: f64,
    /// Whether the block before it was an improvement.
    pub is_first: bool,
}

impl PlateauDetector {
    /// Compares the means of blocks of this many `steps`.
    pub fn new(steps: u64) -> Self {
        PlateauDetector { steps, seen: SeenMeans::default() }
    }

    /// What it keeps of the losses.
    pub fn seen(&self) -> &SeenMeans {
        &self.seen
    }

    /// Continues with the losses of a checkpoint.
    pub fn restore(&mut self, seen: SeenMeans) {
        self.seen = seen;
    }

    /// Begins a block, and forgets the blocks since `then`. What has been noted is not noted again.
    pub fn roll_back(&mut self, then: &SeenMeans) {
        let (lowest, is_flat) = (then.lowest, self.seen.is_flat);
        self.seen = SeenMeans { lowest, is_flat, ..SeenMeans::default() };
    }

    /// Adds the next loss, and judges the block that ends with it.
    pub fn judge(&mut self, loss: f64) -> Option<Plateau> {
        if !loss.is_finite() {
            return None;
        }
        let seen = &mut self.seen;
        (seen.sum, seen.count) = (seen.sum + loss, seen.count + 1);
        if seen.count < self.steps {
            return None;
        }
        let mean = seen.sum / seen.count as f64;
        (seen.sum, seen.count) = (0.0, 0);
        let flat = seen.lowest.filter(|lowest| mean > lowest - LEAST_FALL * lowest.abs());
        let plateau = flat.map(|lowest| Plateau { mean, lowest, is_first: !seen.is_flat });
        seen.is_flat = plateau.is_some();
        seen.lowest = Some(seen.lowest.map_or(mean, |lowest| lowest.min(mean)));
        plateau
    }
}

#[cfg(test)]
mod tests;
