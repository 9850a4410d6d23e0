//! The losses of both sides, before anything is timed: what is not the same is not compared.

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// How the losses of a contender stand to those of the plain loop with Lookahead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// The workload.
    pub workload: String,
    /// The contender.
    pub contender: String,
    /// Steps compared.
    pub steps: usize,
    /// The greatest relative difference of a step's losses.
    pub greatest: f64,
    /// The relative difference of the losses at φ on the test set after these steps, between two
    /// syncs, if the contender knows it.
    pub at_slow: Option<f64>,
}

/// Steps whose losses are compared: four syncs, and three steps of the fifth cycle at k 5.
pub const STEPS: u64 = 23;

/// How far losses may differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    first: f64,
    most: f64,
}

impl Tolerance {
    /// For single precision: the sums of a loss differ by some 1e-6, and each step adds to that.
    pub const SINGLE: Tolerance = Tolerance { first: 1e-4, most: 3e-3 };
    /// For the optimizer alone, whose steps are small: AdamW's change the mean square by some 3e-5.
    pub const ALONE: Tolerance = Tolerance { first: 1e-7, most: 1e-6 };
    /// For rules whose operations come in another order on the other side. Most weights round alike, for the steps are
    /// equally long everywhere, so each step may differ by 1 % of its length.
    pub const RULES: Tolerance = Tolerance { first: 3e-7, most: 3e-6 };
    /// If parts are computed in bfloat16, which has three significant digits.
    pub const HALF: Tolerance = Tolerance { first: 1e-2, most: 5e-2 };

    /// At a step, counted from 0.
    fn at(self, step: usize) -> f64 {
        (self.first * 1.17f64.powi(step as i32)).min(self.most)
    }
}

fn difference(a: f64, b: f64) -> f64 {
    (a - b).abs() / a.abs().max(b.abs()).max(f64::MIN_POSITIVE)
}

/// The greatest relative difference of losses, step by step.
///
/// # Errors
/// If their numbers differ, one is NaN or infinite, or they differ by more than is allowed.
pub fn compare(ours: &[f64], theirs: &[f64], allowed: Tolerance) -> anyhow::Result<f64> {
    if ours.len() != theirs.len() {
        bail!("There are {} losses on one side and {} on the other.", ours.len(), theirs.len());
    }
    let mut greatest = 0.0f64;
    for (step, (&a, &b)) in ours.iter().zip(theirs).enumerate() {
        let found = difference(a, b);
        // NaN is refused too.
        if !(a.is_finite() && b.is_finite() && found <= allowed.at(step)) {
            bail!(
                "The losses differ at step {}: {a} and {b}, by {found:.1e}, where {:.1e} is allowed.",
                step + 1,
                allowed.at(step)
            );
        }
        greatest = greatest.max(found);
    }
    Ok(greatest)
}

/// The relative difference of two losses at φ.
///
/// # Errors
/// If it is more than allowed.
pub fn compare_at_slow(ours: f64, theirs: f64, allowed: Tolerance) -> anyhow::Result<f64> {
    compare(&[ours], &[theirs], Tolerance { first: allowed.most, ..allowed })
        .context("The losses at φ on the test set differ.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_allowed_and_another_course_is_not() {
        let ours: Vec<f64> = (0..20).map(|i| 2.3 - 0.01 * f64::from(i)).collect();
        let near: Vec<f64> = ours.iter().map(|loss| loss * (1.0 + 5e-5)).collect();
        let greatest = compare(&ours, &near, Tolerance::SINGLE).unwrap();
        assert!((4e-5..6e-5).contains(&greatest), "{greatest}");
        // A first sync that does nothing shows from the sixth loss on.
        let mut other = ours.clone();
        other.iter_mut().skip(5).for_each(|loss| *loss *= 0.99);
        let said = compare(&ours, &other, Tolerance::SINGLE).unwrap_err().to_string();
        assert!(said.starts_with("The losses differ at step 6: 2.2"), "{said}");
        assert!(compare(&ours, &ours[1..], Tolerance::SINGLE).is_err());
        assert!(compare(&[f64::NAN], &[f64::NAN], Tolerance::SINGLE).is_err());
    }

    #[test]
    fn later_steps_may_differ_by_more() {
        let allowed = Tolerance::SINGLE;
        assert!(allowed.at(0) < allowed.at(10) && allowed.at(10) < allowed.at(50));
        assert_eq!(allowed.at(100), allowed.most);
        assert!(compare_at_slow(1.0, 1.002, allowed).is_ok());
        assert!(compare_at_slow(1.0, 1.004, allowed).is_err());
    }
}
