//! What a sync does to the inner optimizer's moments. `trajectories.rs` compares their values with an independent
//! reference.

use crate::common::{
    AnyConfig, INNERS, Inner, LEARNING_RATE, Net, POLICIES, assert_resumes, descend, ones, train,
};
use lookahead_core::optimizers::RAdam;
use lookahead_core::{
    Error, InnerOptimizer, Lookahead, MomentumPolicy, NonFinite, RuleOptimizer, State,
    TchOptimizer, fused,
};
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Tensor};

/// SGD with momentum ½ at a constant gradient of 1: m is 1, 1½, 1¾, … toward 2.
fn momentum_after(policy: MomentumPolicy, steps: usize) -> Vec<f64> {
    let (vs, w) = ones(1);
    let mut opt = Lookahead::builder(fused::sgd(0.5, 0.0, 0.0, false))
        .k(2)
        .alpha(0.5)
        .momentum_policy(policy)
        .build(&vs, 0.1)
        .unwrap();
    let mut seen = Vec::new();
    for _ in 0..steps {
        opt.backward_step(&w.sum(Kind::Float)).unwrap();
        let moments = opt.inner_mut().moments(0).unwrap();
        seen.push(moments.first().map_or(f64::NAN, |m| m.tensor.double_value(&[0])));
    }
    seen
}

#[test]
fn maintain_keeps_the_momentum() {
    let seen = momentum_after(MomentumPolicy::Maintain, 4);
    assert_eq!(seen, [1.0, 1.5, 1.75, 1.875]);
}

#[test]
fn reset_clears_it_at_each_sync() {
    let seen = momentum_after(MomentumPolicy::Reset, 5);
    assert_eq!(seen[0], 1.0);
    assert!(seen[1].is_nan() && seen[3].is_nan(), "no buffer after a sync: {seen:?}");
    assert_eq!((seen[2], seen[4]), (1.0, 1.0), "the first gradient again");
}

/// By hand, over four syncs: m̄ is 0; m is 1½ before the first sync, m̄ and m ¾ after it. Then m is 1⅜, 1 11/16,
/// and m̄ = ¾ + ½ (1 11/16 − ¾) = 1 7/32, and so on. If the copy shared memory with m, the factor would be wrong
/// from the second sync on.
#[test]
fn pullback_keeps_a_copy_and_interpolates_with_alpha_over_every_sync() {
    let seen = momentum_after(MomentumPolicy::Pullback, 8);
    let (mut slow, mut fast, mut expected) = (0.0f64, 0.0f64, Vec::new());
    for step in 1..=8 {
        fast = 0.5 * fast + 1.0;
        if step % 2 == 0 {
            slow += 0.5 * (fast - slow);
            fast = slow;
        }
        expected.push(fast);
    }
    assert_eq!(expected[1], 0.75);
    assert_eq!(expected[3], 39.0 / 32.0);
    assert_eq!(seen, expected);
}

/// On both moments; reset also on the step count.
#[test]
fn reset_and_pullback_act_on_adam() {
    let run = |policy| {
        let (vs, w) = ones(1);
        let mut opt = Lookahead::builder(fused::Adam::default())
            .k(2)
            .momentum_policy(policy)
            .build(&vs, 0.1)
            .unwrap();
        for _ in 0..4 {
            opt.backward_step(&(&w - 2.0).square().sum(Kind::Float)).unwrap();
        }
        opt.state().unwrap().part("inner")
    };
    let maintained = run(MomentumPolicy::Maintain);
    let pulled = run(MomentumPolicy::Pullback);
    let reset = run(MomentumPolicy::Reset);
    for moment in ["adam/exp_avg/w", "adam/exp_avg_sq/w"] {
        let at = |state: &State| state.tensors[moment].double_value(&[0]).abs();
        assert!(at(&pulled) < 0.9 * at(&maintained), "{moment}");
        assert!(!reset.tensors.contains_key(moment), "{moment}");
    }
    assert_eq!(maintained.integers["adam/step/w"], 4);
    assert_eq!(pulled.integers["adam/step/w"], 4, "the step count is kept");
    assert!(!reset.integers.contains_key("adam/step/w"));
}

/// amsgrad's maximum stays above the second moment, and a centered RMSprop's variance stays positive.
#[test]
fn pulled_back_moments_stay_in_order() {
    type Build = (&'static str, fn(&nn::VarStore) -> TchOptimizer);
    let builds: [Build; 2] = [
        ("amsgrad", |vs| TchOptimizer::new(fused::Adam::default().amsgrad(true), vs, 0.1).unwrap()),
        ("centered", |vs| {
            TchOptimizer::new(fused::rms_prop(0.9, 1e-8, 0.0, 0.9, true), vs, 0.1).unwrap()
        }),
    ];
    for (name, build) in builds {
        let (vs, w) = ones(64);
        let pull = MomentumPolicy::Pullback;
        let mut opt =
            Lookahead::around(build(&vs)).k(3).alpha(0.3).momentum_policy(pull).build().unwrap();
        for step in 0..30 {
            let x = Tensor::arange(64, (Kind::Float, Device::Cpu)) * (0.3 + 0.1 * f64::from(step));
            opt.backward_step(&(&w * x.sin() * (x.cos() + 1.0)).sum(Kind::Float)).unwrap();
            let moments = opt.inner_mut().moments(0).unwrap();
            let of = |name| &moments.iter().find(|moment| moment.name == name).unwrap().tensor;
            let (low, high) = match name {
                "amsgrad" => (of("exp_avg_sq").copy(), of("max_exp_avg_sq").copy()),
                _ => (of("grad_avg").square(), of("square_avg").copy()),
            };
            let in_order = (&low - &high).le(1e-6).all();
            assert!(bool::try_from(in_order).unwrap(), "{name}, step {step}");
        }
    }
}

#[test]
fn policies_without_moments_are_refused_at_build() {
    let (vs, _w) = ones(1);
    for policy in [MomentumPolicy::Reset, MomentumPolicy::Pullback] {
        let plain = Lookahead::builder(nn::Sgd::default()).momentum_policy(policy);
        let message = plain.build(&vs, 0.1).unwrap_err().to_string();
        assert!(message.contains("keeps no moments") && message.contains("maintain"), "{message}");

        let adam = nn::Adam::default().build(&vs, 0.1).unwrap();
        let wrapped = Lookahead::wrap(adam, &vs).unwrap().momentum_policy(policy);
        let message = wrapped.build().unwrap_err().to_string();
        assert!(message.contains("Lookahead::builder(config)"), "{message}");
    }
    let adam = nn::Adam::default().build(&vs, 0.1).unwrap();
    let wrapped = Lookahead::wrap(adam, &vs).unwrap().non_finite(NonFinite::RollBack);
    assert!(matches!(wrapped.build(), Err(Error::NoMoments { .. })));
    // All others are accepted: each of tch's, a user's own, and a nested Lookahead.
    let net = Net::new(1, Device::Cpu);
    for policy in [MomentumPolicy::Reset, MomentumPolicy::Pullback] {
        for inner in INNERS {
            Lookahead::around(net.lookahead(inner, 2, 0.5))
                .momentum_policy(policy)
                .build()
                .unwrap();
        }
        let radam = RuleOptimizer::new(RAdam::default().beta2(0.99), &net.vs, 0.1).unwrap();
        Lookahead::around(radam).momentum_policy(policy).build().unwrap();
    }
}

/// Like its weights.
#[test]
fn frozen_variables_keep_their_moments() {
    for policy in [MomentumPolicy::Reset, MomentumPolicy::Pullback] {
        let vs = nn::VarStore::new(Device::Cpu);
        let (a, b) = (vs.root().ones("a", &[1]), vs.root().ones("b", &[1]));
        let sgd = fused::sgd(0.9, 0.0, 0.0, false);
        let mut opt = Lookahead::builder(sgd).k(2).momentum_policy(policy).build(&vs, 0.1).unwrap();
        opt.backward_step(&(&a + &b).sum(Kind::Float)).unwrap();
        let _ = b.set_requires_grad(false);
        opt.backward_step(&(&a + &b).sum(Kind::Float)).unwrap();
        let kept = opt.inner_mut().moments(1).unwrap();
        assert_eq!(kept[0].tensor.double_value(&[0]), 1.0, "{policy:?}");
    }
}

/// The outer level pulls back the innermost moments, and the inner level's slow moments restart from them.
#[test]
fn around_a_lookahead_the_policies_reach_the_innermost_moments() {
    let (vs, w) = ones(1);
    let sgd = fused::sgd(0.5, 0.0, 0.0, false);
    let pull = MomentumPolicy::Pullback;
    let inner =
        Lookahead::builder(sgd).k(2).alpha(0.5).momentum_policy(pull).build(&vs, 0.1).unwrap();
    let mut outer = Lookahead::around(inner).k(4).alpha(0.5).momentum_policy(pull).build().unwrap();
    descend(&mut outer, &w, 4);
    // As by hand above, the inner level reaches 39/32; the outer one goes half the way from 0.
    let moment = outer.inner_mut().moments(0).unwrap().remove(0).tensor;
    assert_eq!(moment.double_value(&[0]), 39.0 / 64.0);
    let state = outer.state().unwrap();
    for level in ["slow_moment", "inner/slow_moment"] {
        let key = format!("{level}/momentum_buffer/w");
        assert_eq!(state.tensors[&key].double_value(&[0]), 39.0 / 64.0, "{level}");
    }
}

/// At every phase, with everything that a state can hold.
#[test]
fn every_policy_resumes_bit_for_bit() {
    for inner in INNERS {
        for policy in POLICIES {
            for outer in [0.0, 0.9] {
                let build = |net: &Net| {
                    Lookahead::builder(AnyConfig(inner))
                        .k(3)
                        .alpha(0.5)
                        .momentum_policy(policy)
                        .outer_momentum(outer)
                        .outer_nesterov(true)
                        .build(&net.vs, LEARNING_RATE)
                        .unwrap()
                };
                assert_resumes(build, 1..8, &format!("{inner:?}, {policy:?}, {outer:?}"));
            }
        }
    }
}

/// Without the slow moments or the velocity.
#[test]
fn a_state_without_velocity_or_slow_moments_is_refused() {
    let net = Net::new(3, Device::Cpu);
    let mut opt = Lookahead::builder(AnyConfig(Inner::Adam))
        .k(2)
        .momentum_policy(MomentumPolicy::Pullback)
        .outer_momentum(0.5)
        .build(&net.vs, LEARNING_RATE)
        .unwrap();
    train(&net, &mut opt, 0..3);
    // Missing slow moments would count as 0.
    for (part, words) in
        [("velocity/", "no entry `velocity/"), ("slow_moment/", "no entry `slow_moment/exp_avg")]
    {
        let mut without = opt.state().unwrap();
        without.tensors.retain(|key, _| !key.starts_with(part));
        let message = opt.load_state(&without).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    let state = opt.state().unwrap();
    let message = net.lookahead(Inner::Adam, 2, 0.5).load_state(&state).unwrap_err().to_string();
    assert!(message.contains("does not know"), "{message}");
    opt.load_state(&state).unwrap();
}
