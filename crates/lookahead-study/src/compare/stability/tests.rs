use lookahead_run::event::Probe;

use super::*;
use crate::compare::testing::summary;

fn near(a: Option<f64>, b: f64) {
    assert!((a.unwrap() - b).abs() < 1e-9, "{a:?} is not {b}");
}

/// Last epoch 1, 2, 4, 9: mean 4, squares 9 + 4 + 0 + 25 = 38, variance 38 / 3. Gains of the last
/// third 1, 3: mean 2, deviation √2; fast 5, 9: √8; slow 4, 6: √2.
#[test]
fn stability_is_that_by_hand() {
    let mut run = summary();
    run.losses = vec![100.0, 50.0, 1.0, 2.0, 4.0, 9.0];
    (run.info.steps_per_epoch, run.steps) = (4, 6);
    let probe = |fast_loss, slow_loss| Probe { sync: 0, fast_loss, slow_loss, seconds: 0.0 };
    run.probes = vec![
        (2, probe(80.0, 1.0)),
        (4, probe(70.0, 1.0)),
        (5, probe(5.0, 4.0)),
        (6, probe(9.0, 6.0)),
    ];
    let found = Stability::of(&run);
    near(found.loss_variance, 38.0 / 3.0);
    near(found.gain, 2.0);
    near(found.gain_deviation, 2.0_f64.sqrt());
    near(found.fast_deviation, 8.0_f64.sqrt());
    near(found.slow_deviation, 2.0_f64.sqrt());
}

#[test]
fn too_little_gives_nothing() {
    let mut run = summary();
    assert_eq!(Stability::of(&run), Stability::default());
    run.losses = vec![1.0, f32::NAN];
    run.info.steps_per_epoch = 0;
    assert_eq!(Stability::of(&run), Stability::default());
    run.info.steps_per_epoch = u64::MAX;
    assert_eq!(Stability::of(&run), Stability::default());
}
