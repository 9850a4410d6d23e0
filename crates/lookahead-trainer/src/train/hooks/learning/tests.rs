use super::*;

fn learning(losses: impl IntoIterator<Item = f64>) -> LearningCheck {
    let mut learning = LearningCheck::new(Some(10f64.ln()), &DataConfig::default(), 40);
    losses.into_iter().for_each(|loss| learning.add(loss));
    learning
}

#[test]
fn a_divergence_is_reported_early_and_learning_never() {
    let high = learning((0..25).map(|i| if i == 0 { 2.4 } else { 500.0 + f64::from(i % 3) }));
    assert!(matches!(high.fault(false), Some(Fault::Diverged { loss, .. }) if loss > 400.0));
    // A bad start that gets better, a spike that has passed, a loss that falls slowly, a few steps.
    let falling = learning((0..25).map(|i| 50.0 - f64::from(i)));
    assert_eq!(falling.fault(false), None);
    let spike = learning((0..60).map(|i| if i < 20 { 80.0 } else { 1.5 }));
    assert_eq!(spike.fault(true), None);
    let slow = learning((0..200).map(|i| 2.35 - 0.0004 * f64::from(i)));
    assert_eq!(slow.fault(true), None);
    assert_eq!(learning([2.4, 90.0, 80.0]).fault(true), None);
}

#[test]
fn a_loss_at_chance_is_reported_once_it_can_be_judged() {
    let dead = || learning((0..80).map(|i| 2.303 + 0.001 * f64::from(i % 5)));
    assert_eq!(dead().fault(false), None);
    assert!(matches!(dead().fault(true), Some(Fault::LearnsNothing { .. })));
    let noisy = LearningCheck { is_noisy: true, ..dead() };
    assert_eq!(noisy.fault(true), None);
    let nothing_to_guess = LearningCheck { chance: None, ..dead() };
    assert_eq!(nothing_to_guess.fault(true), None);
}
