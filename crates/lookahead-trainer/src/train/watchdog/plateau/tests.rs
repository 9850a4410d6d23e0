use super::*;

#[test]
fn a_plateau_is_found_at_the_end_of_the_second_block_at_the_latest() {
    for start in 0..10 {
        let mut detector = PlateauDetector::new(10);
        let falls = |step: u64| 3.0 * 0.97f64.powi(step as i32);
        assert!((0..100 + start).all(|step| detector.judge(falls(step)).is_none()));
        let found = (0..20).position(|_| detector.judge(0.5).is_some());
        assert!(found.is_some(), "started {start} steps into a block");
    }
}

#[test]
fn it_is_the_first_until_the_mean_falls_again() {
    let mut detector = PlateauDetector::new(2);
    let mut judge = |loss| {
        detector.judge(loss);
        detector.judge(loss).map(|plateau| plateau.is_first)
    };
    let losses = [2.0, 1.0, 1.0, 1.0, 0.9995, 0.5, 0.5];
    let found = losses.map(&mut judge);
    let flat = [None, None, Some(true), Some(false), Some(false), None, Some(true)];
    assert_eq!(found, flat, "a fall by less than a thousandth is none");
}

#[test]
fn a_restored_detector_judges_as_the_one_that_was_saved() {
    let mut saved = PlateauDetector::new(7);
    for step in 0..17 {
        saved.judge(1.0 / f64::from(step + 1));
    }
    let mut restored = PlateauDetector::new(7);
    let text = serde_json::to_string(saved.seen()).unwrap();
    restored.restore(serde_json::from_str(&text).unwrap());
    for _ in 0..30 {
        assert_eq!(saved.judge(0.2), restored.judge(0.2));
    }
}
