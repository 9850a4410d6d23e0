//! The running mean behind a smoothed line.
//!
//! It is computed when a picture is drawn, from the buckets of the picture and those just before
//! them, so that the smoothing can change at any moment.

use crate::history::{Bucket, History};

/// The choices of β, the fraction of the mean kept from one point to the next: a mean spans about
/// 1 / (1 − β) points.
pub(crate) const DECAYS: [f64; 7] = [0.0, 0.8, 0.9, 0.98, 0.995, 0.999, 0.9998];
/// The index of the default: 50 points, some ten syncs at k = 5, which hides single batches and shows
/// trends.
pub(crate) const DEFAULT: usize = 3;

/// The index of the choice nearest to `decay`.
pub(crate) fn nearest(decay: f64) -> usize {
    let distance = |index: &usize| (DECAYS[*index] - decay).abs();
    (0..DECAYS.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
}

/// Points before a picture that still affect its first mean: earlier ones have e⁻⁷ of the weight.
pub(crate) fn warm_up(decay: f64) -> u64 {
    if decay > 0.0 { (7.0 / (1.0 - decay)).ceil() as u64 } else { 0 }
}

/// The running mean of a series at a step.
pub(crate) fn mean_at(history: &History, step: u64, decay: f64) -> Option<f64> {
    let mut ema = Ema::new(decay);
    let buckets = history.slice_after(step, step, 1, warm_up(decay));
    buckets.iter().filter(|b| b.first_step <= step).map(|bucket| ema.push(bucket)).last()
}

/// The newest running mean of a series; the newest value itself if that is NaN or infinite, so that it
/// shows.
pub(crate) fn newest_mean(history: &History, decay: f64) -> Option<f64> {
    let newest = history.newest()?;
    if newest.is_finite() { mean_at(history, history.last_step()?, decay) } else { Some(newest) }
}

/// An exponential moving average without bias towards zero.
///
/// After n points x₁ … xₙ its value is Σ βⁿ⁻ⁱ xᵢ / Σ βⁿ⁻ⁱ, which is Adam's bias correction (Kingma
/// and Ba, 2015, section 3): dividing (1 − β) Σ βⁿ⁻ⁱ xᵢ by 1 − βⁿ.
#[derive(Debug)]
pub(crate) struct Ema {
    decay: f64,
    sum: f64,
    weight: f64,
}

impl Ema {
    pub(crate) fn new(decay: f64) -> Self {
        Ema { decay, sum: 0.0, weight: 0.0 }
    }

    /// The mean after one more bucket, as if each of its n points had the bucket's mean: Σ βⁱ for i
    /// from 0 to n − 1 is (1 − βⁿ) / (1 − β). Exact for a bucket of one point.
    pub(crate) fn push(&mut self, bucket: &Bucket) -> f64 {
        let kept = self.decay.powi(i32::try_from(bucket.count).unwrap_or(i32::MAX));
        let points = (1.0 - kept) / (1.0 - self.decay);
        self.sum = self.sum * kept + bucket.mean() * points;
        self.weight = self.weight * kept + points;
        self.sum / self.weight
    }
}

#[cfg(test)]
mod tests;
