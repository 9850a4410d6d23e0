use super::*;

/// What a resume would refuse is not saved.
#[test]
fn all_that_a_resume_needs_finite_is_checked() {
    for (file, name, words) in [
        (MODEL, "w", "The final model's `w`"),
        (TRAINING, "fast/w", "The fast weights' `w`"),
        (TRAINING, "optimizer/slow/w", "The slow weights' `w`"),
        (TRAINING, "optimizer/velocity/w", "The optimizer's `velocity/w`"),
        (TRAINING, "optimizer/inner/adam/exp_avg_sq/w", "`inner/adam/exp_avg_sq/w`"),
    ] {
        let found = must_be_finite(file, name);
        assert!(found.as_ref().is_some_and(|found| found.contains(words)), "{name}: {found:?}");
    }
    // Bytes, not numbers.
    assert_eq!(must_be_finite(TRAINING, "generator/cpu"), None);
}
