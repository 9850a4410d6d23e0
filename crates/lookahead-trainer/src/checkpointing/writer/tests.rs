use super::*;

/// What a resume refuses because it is not finite is not saved in the first place.
#[test]
fn all_that_a_resume_wants_finite_is_looked_at() {
    for (file, name, words) in [
        (MODEL, "w", "The final model's `w`"),
        (TRAINING, "fast/w", "θ's `w`"),
        (TRAINING, "optimizer/slow/w", "φ's `w`"),
        (TRAINING, "optimizer/velocity/w", "The optimizer's `velocity/w`"),
        (TRAINING, "optimizer/inner/adam/exp_avg_sq/w", "`inner/adam/exp_avg_sq/w`"),
    ] {
        let found = must_be_finite(file, name);
        assert!(found.as_ref().is_some_and(|found| found.contains(words)), "{name}: {found:?}");
    }
    // Bytes, which are no numbers.
    assert_eq!(must_be_finite(TRAINING, "generator/cpu"), None);
}
