use super::*;

fn schedule(kind: LearningRateKind) -> LearningRateSchedule {
    LearningRateSchedule::new(kind)
}

/// All 20 steps of a training with the learning rate 0.1.
#[track_caller]
fn follows(schedule: LearningRateSchedule, torch: [f64; 20]) {
    let curve = schedule.over(0.1, 20).unwrap();
    for (step, expected) in torch.into_iter().enumerate() {
        let found = curve.at(step as u64);
        let close = (found - expected).abs() <= 2e-14 + 1e-12 * expected;
        assert!(close, "step {step}: {found}, torch has {expected}");
    }
}

// The numbers are `optimizer.param_groups[0]["lr"]` at each step in torch 2.13, with SGD of lr 0.1.

/// `LinearLR(start_factor=1, end_factor=0.2, total_iters=20)`
#[test]
fn linear_is_torch_s() {
    let own = LearningRateSchedule { min_lr: Some(0.02), ..schedule(LearningRateKind::Linear) };
    let torch = [
        0.1,
        0.096,
        0.09200000000000001,
        0.08800000000000001,
        0.084,
        0.08,
        0.076,
        0.072,
        0.06799999999999999,
        0.06399999999999999,
        0.05999999999999999,
        0.055999999999999994,
        0.052,
        0.047999999999999994,
        0.04399999999999999,
        0.03999999999999999,
        0.03599999999999999,
        0.03199999999999999,
        0.02799999999999999,
        0.02399999999999999,
    ];
    follows(own, torch);
}

/// `PolynomialLR(total_iters=20, power=1.7)`
#[test]
fn polynomial_is_torch_s() {
    let own = LearningRateSchedule { power: Some(1.7), ..schedule(LearningRateKind::Polynomial) };
    let torch = [
        0.1,
        0.09164950612180127,
        0.0836011527916834,
        0.07585988390251269,
        0.06843101439943605,
        0.06132028261327601,
        0.05453391388693144,
        0.0480786988960678,
        0.041962091424865774,
        0.03619233241671616,
        0.030778610333622915,
        0.02573127305216894,
        0.021062115269347807,
        0.0167847808549321,
        0.012915348607498035,
        0.009473228540689993,
        0.006482626386771051,
        0.003975164821130814,
        0.0019952623149688807,
        0.0006141140130578968,
    ];
    follows(own, torch);
}

/// `CosineAnnealingLR(T_max=20, eta_min=0.003)`
#[test]
fn cosine_is_torch_s() {
    let own = LearningRateSchedule { min_lr: Some(0.003), ..schedule(LearningRateKind::Cosine) };
    let torch = [
        0.1,
        0.09940288451886418,
        0.09762624104031496,
        0.09471381642313585,
        0.09073732422718497,
        0.08579467888754758,
        0.08000758473618497,
        0.07351853923736804,
        0.06648732422718497,
        0.05908707155445121,
        0.05150000000000001,
        0.043912928445548824,
        0.03651267577281506,
        0.029481460762631986,
        0.022992415263815062,
        0.01720532111245245,
        0.012262675772815056,
        0.008286183576864163,
        0.005373758959685055,
        0.003597115481135824,
    ];
    follows(own, torch);
}

/// `OneCycleLR(max_lr=0.1, total_steps=20)`
#[test]
fn one_cycle_is_torch_s() {
    let torch = [
        0.0040000000000000036,
        0.013167184270002533,
        0.037167184270002526,
        0.06683281572999747,
        0.09083281572999748,
        0.1,
        0.09874640062350874,
        0.09504846320134738,
        0.089091617757105,
        0.0811745653949763,
        0.07169430017913009,
        0.06112620219362893,
        0.0500002,
        0.03887419780637107,
        0.028306099820869922,
        0.0188258346050237,
        0.010908782242895003,
        0.004951936798652629,
        0.0012539993764912555,
        4e-07,
    ];
    follows(schedule(LearningRateKind::OneCycle), torch);
}

/// `OneCycleLR(max_lr=0.1, total_steps=20, pct_start=0.45, div_factor=10, final_div_factor=100,
/// anneal_strategy="linear")`
#[test]
fn a_linear_one_cycle_is_torch_s() {
    let own = LearningRateSchedule {
        pct_start: Some(0.45),
        div_factor: Some(10.0),
        final_div_factor: Some(100.0),
        anneal: Some(Anneal::Linear),
        ..schedule(LearningRateKind::OneCycle)
    };
    let torch = [
        0.01,
        0.02125,
        0.0325,
        0.043750000000000004,
        0.05500000000000001,
        0.06625,
        0.0775,
        0.08875000000000001,
        0.1,
        0.09091818181818183,
        0.08183636363636364,
        0.07275454545454546,
        0.06367272727272727,
        0.0545909090909091,
        0.045509090909090916,
        0.03642727272727274,
        0.027345454545454548,
        0.018263636363636357,
        0.009181818181818194,
        0.00010000000000000286,
    ];
    follows(own, torch);
}

/// `MultiStepLR([3, 7, 15], gamma=0.2)`
#[test]
fn milestones_are_torch_s() {
    let own = LearningRateSchedule {
        milestones: Some(vec![3, 7, 15]),
        factor: Some(0.2),
        ..schedule(LearningRateKind::Steps)
    };
    let torch = [
        0.1,
        0.1,
        0.1,
        0.020000000000000004,
        0.020000000000000004,
        0.020000000000000004,
        0.020000000000000004,
        0.004000000000000001,
        0.004000000000000001,
        0.004000000000000001,
        0.004000000000000001,
        0.004000000000000001,
        0.004000000000000001,
        0.004000000000000001,
        0.004000000000000001,
        0.0008000000000000003,
        0.0008000000000000003,
        0.0008000000000000003,
        0.0008000000000000003,
        0.0008000000000000003,
    ];
    follows(own, torch);
}

#[test]
fn wsd_is_constant_and_then_decays_by_its_shape() {
    let at = |shape, step| {
        let own = LearningRateSchedule {
            min_lr: Some(0.1),
            decay_fraction: Some(0.4),
            decay_shape: Some(shape),
            ..schedule(LearningRateKind::Wsd)
        };
        own.with_warmup(2).over(1.1, 40).unwrap().at(step)
    };
    for shape in [DecayShape::Linear, DecayShape::Sqrt, DecayShape::Cosine] {
        assert_eq!([0, 1, 12, 24].map(|step| at(shape, step)), [0.55, 1.1, 1.1, 1.1], "{shape:?}");
        assert!([40, 41, 1000].iter().all(|&step| (at(shape, step) - 0.1).abs() < 1e-15));
    }
    // After a quarter of the 16 steps.
    assert!((at(DecayShape::Linear, 28) - 0.85).abs() < 1e-15);
    assert!((at(DecayShape::Sqrt, 28) - 0.6).abs() < 1e-15);
    let cosine = 0.1 + 0.5 * (1.0 + 0.5f64.sqrt());
    assert!((at(DecayShape::Cosine, 28) - cosine).abs() < 1e-15);
    // A decay over all steps is linear to 0.
    let all = LearningRateSchedule { decay_fraction: Some(1.0), ..schedule(LearningRateKind::Wsd) };
    let (all, linear) = (all.over(0.3, 7), schedule(LearningRateKind::Linear).over(0.3, 7));
    let (all, linear) = (all.unwrap(), linear.unwrap());
    assert!((0..8).all(|step| (all.at(step) - linear.at(step)).abs() < 1e-15));
}

#[test]
fn it_grows_in_equal_parts_at_the_start() {
    let curve = schedule(LearningRateKind::Constant).with_warmup(4).over(1.0, 100).unwrap();
    assert_eq!([0, 1, 2, 3, 4].map(|step| curve.at(step)), [0.25, 0.5, 0.75, 1.0, 1.0]);
    let cosine = schedule(LearningRateKind::Cosine);
    let warm = cosine.clone().with_warmup(4).over(1.0, 8).unwrap();
    assert_eq!(warm.at(1), cosine.over(1.0, 8).unwrap().at(1) / 2.0);
}

#[test]
fn milestones_are_in_epochs_if_their_length_is_given() {
    let own =
        LearningRateSchedule { milestones: Some(vec![1, 3]), ..schedule(LearningRateKind::Steps) };
    let curve = own.over(1.0, 100).unwrap().steps_per_epoch(10);
    let expected = [1.0, 0.1, 0.1, 0.1f64.powi(2)];
    assert_eq!([9, 10, 29, 30].map(|step| curve.at(step)), expected);
}

/// Of no steps, of one, and beyond the last.
#[test]
fn every_curve_is_finite_and_in_range() {
    let kinds = [
        LearningRateKind::Constant,
        LearningRateKind::Cosine,
        LearningRateKind::Linear,
        LearningRateKind::Polynomial,
        LearningRateKind::Wsd,
        LearningRateKind::OneCycle,
    ];
    for kind in kinds {
        for pct_start in [0.0, 0.1, 0.5, 1.0] {
            for total in [0, 1, 2, 10] {
                let mut own = schedule(kind);
                own.pct_start = (kind == LearningRateKind::OneCycle).then_some(pct_start);
                let curve = own.over(0.1, total).unwrap();
                for step in (0..12).chain([u64::MAX]) {
                    let found = curve.at(step);
                    assert!(
                        (0.0..=0.1 + 1e-15).contains(&found),
                        "{kind:?} {total} {step}: {found}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |own: LearningRateSchedule| own.over(0.1, 10).unwrap_err().to_string();
    let cosine = schedule(LearningRateKind::Cosine);
    for least in [-1.0, 0.2, f64::NAN] {
        let message = refused(LearningRateSchedule { min_lr: Some(least), ..cosine.clone() });
        let expected = format!(
            "The learning-rate schedule's `min_lr` is {least}. Use 0 to the learning rate, which is 0.1."
        );
        assert_eq!(message, expected);
    }
    assert!(refused(schedule(LearningRateKind::Steps)).contains("`milestones` is []. Use epochs"));
    let one_cycle = schedule(LearningRateKind::OneCycle);
    for (key, own) in [
        ("pct_start", LearningRateSchedule { pct_start: Some(1.1), ..one_cycle.clone() }),
        ("div_factor", LearningRateSchedule { div_factor: Some(0.0), ..one_cycle.clone() }),
        (
            "final_div_factor",
            LearningRateSchedule { final_div_factor: Some(f64::NAN), ..one_cycle },
        ),
        (
            "power",
            LearningRateSchedule { power: Some(0.0), ..schedule(LearningRateKind::Polynomial) },
        ),
        (
            "decay_fraction",
            LearningRateSchedule { decay_fraction: Some(0.0), ..schedule(LearningRateKind::Wsd) },
        ),
    ] {
        let message = refused(own);
        assert!(message.contains(&format!("`{key}` is ")), "{message}");
    }
    let foreign = LearningRateSchedule { anneal: Some(Anneal::Linear), ..cosine };
    assert!(
        refused(foreign)
            .starts_with("The learning-rate schedule is cosine, which has no `anneal`.")
    );
}
