use super::*;

/// Losses like those of a training: they fall, and differ from batch to batch.
fn falling(step: u64) -> f64 {
    let noise = (step.wrapping_mul(2_654_435_761) % 1000) as f64 / 1000.0 - 0.5;
    (2.3 * (-0.01 * step as f64).exp() + 0.05) * (1.0 + 0.3 * noise)
}

fn detector() -> SpikeDetector {
    SpikeDetector::new(50, 20.0, None)
}

#[test]
fn a_training_that_goes_well_has_no_spike() {
    let mut detector = detector();
    assert!((0..5000).all(|step| detector.judge(falling(step)).is_none()));
}

#[test]
fn a_spike_is_found_in_its_own_step_and_is_the_first_until_the_loss_is_back() {
    let mut detector = detector();
    for step in 0..300 {
        detector.judge(falling(step));
    }
    let first = detector.judge(5.0).unwrap();
    assert!(first.is_first && first.median < 0.3 && first.limit < 5.0, "{first:?}");
    assert!(!detector.judge(5.0).unwrap().is_first);
    assert_eq!(detector.judge(falling(302)), None);
    assert!(detector.judge(5.0).unwrap().is_first);
}

#[test]
fn a_spike_is_news_once_a_window_had_none() {
    let mut detector = detector();
    (0..300).for_each(|step| assert_eq!(detector.judge(falling(step)), None));
    assert!(detector.judge(5.0).unwrap().is_news);
    for step in 301..349 {
        assert_eq!(detector.judge(falling(step)), None);
    }
    assert!(!detector.judge(5.0).unwrap().is_news, "48 others came between");
    for step in 350..400 {
        assert_eq!(detector.judge(falling(step)), None);
    }
    assert!(detector.judge(5.0).unwrap().is_news);
}

#[test]
fn a_roll_back_drops_losses_and_no_note() {
    let mut detector = detector();
    (0..30).for_each(|_| assert_eq!(detector.judge(2.0), None));
    let then = detector.seen().clone();
    (0..50).for_each(|_| assert_eq!(detector.judge(0.01), None));
    assert!(detector.judge(2.0).unwrap().is_news);
    detector.roll_back(&then);
    assert_eq!(detector.judge(2.0), None, "as before the losses that are dropped");
    assert!(!detector.judge(9.0).unwrap().is_news);
}

#[test]
fn neither_few_losses_nor_nan_are_judged() {
    let mut detector = detector();
    for _ in 0..FEWEST - 1 {
        assert_eq!(detector.judge(1.0), None);
    }
    assert_eq!(detector.judge(100.0), None, "too few to judge by");
    assert_eq!(detector.judge(f64::NAN), None);
    assert_eq!(detector.judge(f64::INFINITY), None);
    assert_eq!(detector.judge(100.0).map(|spike| spike.median), Some(1.0), "NaN is not among them");
}

#[test]
fn a_rise_that_is_small_beside_the_first_losses_is_no_spike_however_rare() {
    let mut detector = detector();
    for step in 0..100 {
        detector.judge(if step < 30 { 2.0 } else { 0.001 });
    }
    assert_eq!(detector.judge(0.49), None);
    assert!(detector.judge(0.51).is_some());
}

#[test]
fn the_loss_of_guessing_counts_instead_of_the_first_ones() {
    let mut detector = SpikeDetector::new(50, 20.0, Some(2.0));
    (0..50).for_each(|_| assert_eq!(detector.judge(0.001), None));
    assert_eq!(
        detector.judge(0.49),
        None,
        "as after a resume from a checkpoint without the first losses"
    );
    assert!(detector.judge(0.51).is_some());
}

#[test]
fn a_restored_detector_judges_as_the_one_that_was_saved() {
    let mut saved = detector();
    for step in 0..37 {
        saved.judge(falling(step));
    }
    saved.judge(9.0);
    let text = serde_json::to_string(saved.seen()).unwrap();
    let mut restored = detector();
    restored.restore(serde_json::from_str(&text).unwrap());
    for step in 38..200 {
        let loss = if step % 9 == 0 { 3.0 } else { falling(step) };
        assert_eq!(saved.judge(loss), restored.judge(loss), "step {step}");
    }
}
