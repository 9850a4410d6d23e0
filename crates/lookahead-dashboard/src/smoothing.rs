//! The running mean behind the smoothed loss.

/// How much of the mean stays from one point to the next: it spans about 1 / (1 − 0.98) = 50
/// points, some ten syncs at k = 5, so that one batch no longer shows and a trend still does.
pub(crate) const DECAY: f64 = 0.98;

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

    /// A mean that has seen `value` for ever: how a series goes on after a resume.
    pub(crate) fn settled_at(decay: f64, value: f64) -> Self {
        let weight = 1.0 / (1.0 - decay);
        Ema { decay, sum: value * weight, weight }
    }

    /// The mean after one more point. A non-finite point is left out, since it would stay in
    /// the mean for ever; the mean of no point at all is NaN.
    pub(crate) fn push(&mut self, value: f64) -> f64 {
        if value.is_finite() {
            self.sum = self.sum * self.decay + value;
            self.weight = self.weight * self.decay + 1.0;
        }
        self.sum / self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand with β = 1/2: 4, then (4/2 + 8) / (1/2 + 1) = 10 / 1.5, then
    /// (10/2 + 1) / (1.5/2 + 1) = 6 / 1.75.
    #[test]
    fn the_first_values_are_not_drawn_towards_zero() {
        let mut ema = Ema::new(0.5);
        assert_eq!(ema.push(4.0), 4.0);
        assert_eq!(ema.push(8.0), 10.0 / 1.5);
        assert_eq!(ema.push(1.0), 6.0 / 1.75);
    }

    #[test]
    fn it_is_the_textbook_form_with_bias_correction() {
        let (beta, mut mean) = (DECAY, 0.0);
        let mut ema = Ema::new(beta);
        for n in 1..=500_i32 {
            let value = f64::from(n).sin();
            mean = beta * mean + (1.0 - beta) * value;
            let corrected = mean / (1.0 - beta.powi(n));
            assert!((ema.push(value) - corrected).abs() < 1e-12);
        }
    }

    #[test]
    fn non_finite_points_are_left_out() {
        let mut ema = Ema::new(0.5);
        assert!(ema.push(f64::NAN).is_nan());
        ema.push(4.0);
        assert_eq!(ema.push(f64::INFINITY), 4.0);
        assert_eq!(ema.push(8.0), 10.0 / 1.5);
    }

    #[test]
    fn a_settled_mean_moves_slowly() {
        let mut ema = Ema::settled_at(0.5, 4.0);
        assert_eq!(ema.push(8.0), 6.0);
    }
}
