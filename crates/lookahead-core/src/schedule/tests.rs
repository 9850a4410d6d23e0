use super::*;

#[test]
fn each_curve_at_its_ends_and_between() {
    let cosine = Schedule::Cosine { to: 0.1, steps: 4 };
    let quarter = 0.1 + 0.4 * (1.0 + (PI / 4.0).cos()) / 2.0;
    assert_eq!(cosine.at(0.5, 0), 0.5);
    assert!((cosine.at(0.5, 1) - quarter).abs() < 1e-15);
    assert!((cosine.at(0.5, 2) - 0.3).abs() < 1e-15);
    assert_eq!([4, 5].map(|step| cosine.at(0.5, step)), [0.1, 0.1]);
    // One that takes no steps is at its end at once.
    assert_eq!(Schedule::Linear { to: 0.1, steps: 0 }.at(0.5, 0), 0.1);
    assert_eq!(Schedule::Constant.at(0.5, u64::MAX), 0.5);
}

/// K. Jordan's airbench94: the weight on φ is .95⁵ (t/T)³ after t of T steps, so that α goes from 1 to .226.
#[test]
fn airbenchs_schedule_is_a_power() {
    let total = 1000;
    let last = 1.0 - 0.95f64.powi(5);
    let airbench = Schedule::Power { to: last, power: 3.0, steps: total };
    for step in (0..=total).step_by(5) {
        let part = step as f64 / total as f64;
        let expected = 1.0 - 0.95f64.powi(5) * part.powi(3);
        assert!((airbench.at(1.0, step) - expected).abs() < 2e-16, "step {step}");
    }
    assert_eq!((airbench.at(1.0, 0), airbench.at(1.0, total)), (1.0, last));
    assert!((last - 0.226).abs() < 5e-4);
    let linear = Schedule::Linear { to: 0.1, steps: 7 };
    let power = Schedule::Power { to: 0.1, power: 1.0, steps: 7 };
    for step in 0..10 {
        assert_eq!(power.at(0.9, step), linear.at(0.9, step));
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for to in [0.0, -1.0, 1.1, f64::NAN] {
        assert!(Schedule::Linear { to, steps: 1 }.check_slow_step_size(1.0).is_err(), "{to}");
    }
    for to in [0.5, 0.0, f64::INFINITY, f64::NAN] {
        assert!(Schedule::Cosine { to, steps: 1 }.check_period().is_err(), "{to}");
    }
    Schedule::Cosine { to: 50.0, steps: 1 }.check_period().unwrap();
    Schedule::Linear { to: 1.1, steps: 1 }.check_slow_step_size(100.0).unwrap();
    let growing = Schedule::Step { factor: 2.0, every: 1 };
    assert!(growing.check_slow_step_size(100.0).is_err());
    growing.check_period().unwrap();
    for power in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        let message = Schedule::Power { to: 0.5, power, steps: 1 }.check_slow_step_size(1.0);
        let message = message.unwrap_err().to_string();
        assert!(message.contains(&format!("`power` is {power}")), "{message}");
    }
    let message = Schedule::Step { factor: 0.5, every: 0 }.check_period().unwrap_err();
    assert!(message.to_string().contains("`every` is 0"), "{message}");
}

#[test]
fn a_state_holds_it() {
    for schedule in [
        Schedule::Constant,
        Schedule::Linear { to: 0.25, steps: 7 },
        Schedule::Cosine { to: 0.5, steps: 0 },
        Schedule::Step { factor: 0.5, every: 3 },
        Schedule::Power { to: 0.5, power: 3.0, steps: 9 },
    ] {
        let mut state = State::default();
        schedule.save("curve", &mut state);
        assert_eq!(Schedule::load("curve", &state).unwrap(), schedule);
        let keys = state.integers.keys().chain(state.numbers.keys());
        assert!(keys.into_iter().all(|key| schedule.has_entry("curve", key)));
        #[cfg(feature = "serde")]
        {
            let serde = serde_json::to_string(&schedule).unwrap();
            assert_eq!(serde_json::from_str::<Schedule>(&serde).unwrap(), schedule, "{serde}");
        }
    }
    let mut state = State::default();
    Schedule::Step { factor: 0.5, every: 3 }.save("curve", &mut state);
    state.integers.insert("curve/kind".to_owned(), 9);
    let message = Schedule::load("curve", &state).unwrap_err().to_string();
    assert!(message.contains("`curve/kind` is 9"), "{message}");
}
