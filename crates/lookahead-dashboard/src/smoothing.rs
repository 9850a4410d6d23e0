//! The running mean behind a smoothed line.
//!
//! It is computed when a picture is drawn, from the buckets that the picture shows and those just
//! before them, so that it can be changed at any moment, and costs what the picture is wide.

use crate::history::Bucket;

/// How much of the mean stays from one point to the next, from none to very much: β spans about
/// 1 / (1 − β) points.
pub(crate) const DECAYS: [f64; 7] = [0.0, 0.8, 0.9, 0.98, 0.995, 0.999, 0.9998];
/// Which of them is the first choice: 50 points, some ten syncs at k = 5, so that one batch no longer
/// shows and a trend still does.
pub(crate) const DEFAULT: usize = 3;

/// Points before a picture that its first mean still feels: what lies further back has e⁻⁷ of the
/// weight.
pub(crate) fn warm_up(decay: f64) -> u64 {
    if decay > 0.0 { (7.0 / (1.0 - decay)).ceil() as u64 } else { 0 }
}

/// An exponential moving average whose first values are not drawn towards zero.
///
/// After n points x₁ … xₙ its value is Σ βⁿ⁻ⁱ xᵢ / Σ βⁿ⁻ⁱ, which is Adam's bias correction (Kingma
/// and Ba, 2015, section 3): dividing (1 − β) Σ βⁿ⁻ⁱ xᵢ by 1 − βⁿ.
#[derive(Debug, Clone)]
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
mod tests {
    use super::*;

    fn push(ema: &mut Ema, value: f64) -> f64 {
        ema.push(&Bucket::of(0, value))
    }

    /// By hand with β = 1/2: 4, then (4/2 + 8) / (1/2 + 1) = 10 / 1.5, then
    /// (10/2 + 1) / (1.5/2 + 1) = 6 / 1.75.
    #[test]
    fn the_first_values_are_not_drawn_towards_zero() {
        let mut ema = Ema::new(0.5);
        assert_eq!(push(&mut ema, 4.0), 4.0);
        assert_eq!(push(&mut ema, 8.0), 10.0 / 1.5);
        assert_eq!(push(&mut ema, 1.0), 6.0 / 1.75);
    }

    #[test]
    fn it_is_the_textbook_form_with_bias_correction() {
        for beta in DECAYS {
            let (mut ema, mut mean) = (Ema::new(beta), 0.0);
            for n in 1..=500_i32 {
                let value = f64::from(n).sin();
                mean = beta * mean + (1.0 - beta) * value;
                let corrected = mean / (1.0 - beta.powi(n));
                assert!((push(&mut ema, value) - corrected).abs() < 1e-10, "{beta}");
            }
        }
    }

    #[test]
    fn a_bucket_of_equal_points_counts_as_its_points() {
        for beta in DECAYS {
            let (mut one_by_one, mut at_once) = (Ema::new(beta), Ema::new(beta));
            for (value, count) in [(3.0, 1), (5.0, 7), (-2.0, 30)] {
                let mut bucket = Bucket::of(0, value);
                let mut last = push(&mut one_by_one, value);
                for _ in 1..count {
                    bucket.absorb(&Bucket::of(0, value));
                    last = push(&mut one_by_one, value);
                }
                assert!((at_once.push(&bucket) - last).abs() < 1e-12, "{beta}");
            }
        }
    }

    #[test]
    fn after_the_warm_up_what_came_before_hardly_counts() {
        for beta in &DECAYS[1..] {
            let mut ema = Ema::new(*beta);
            push(&mut ema, 1e3);
            let last = (0..warm_up(*beta)).map(|_| push(&mut ema, 0.0)).last().unwrap();
            assert!(last < 1.0 * 1e3 * 1e-3, "{beta}: {last}");
        }
    }
}
