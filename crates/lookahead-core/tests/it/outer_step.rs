//! The outer step: α above 1, α outside or inside the velocity, restarts of the velocity.

use crate::common::{Net, assert_at, assert_resumes, assert_same_bits, close, descend, ones};
use lookahead_core::{
    AlphaPlacement, Builder, Error, FromConfig, InnerOptimizer, Lookahead, MomentumPolicy,
    Schedule, SyncPath, fused,
};
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Tensor};

type SgdBuilder = Builder<FromConfig<fused::Sgd>>;

fn momentum(alpha: f64, momentum: f64) -> SgdBuilder {
    let builder = Lookahead::builder(fused::Sgd::default()).alpha(alpha);
    builder.outer_momentum(momentum).outer_nesterov(true)
}

const PLACEMENTS: [AlphaPlacement; 2] = [AlphaPlacement::Outside, AlphaPlacement::Inside];

/// SGD with learning rate 0.1 and a gradient of 1, from 1, k 2, α 0.8, μ 0.75: θ after each step, syncs included.
/// torch.optim.SGD(lr=.8, momentum=.75, nesterov=True) on φ with the gradient φ − θ gives the same.
#[test]
fn snoo_takes_its_golden_steps() {
    let golden = [0.9, 0.72, 0.62, 0.35, 0.25, -0.0875, -0.1875, -0.575625];
    for path in [SyncPath::Auto, SyncPath::Foreach] {
        for placement in PLACEMENTS {
            let (vs, w) = ones(1);
            let builder = momentum(0.8, 0.75).k(2).alpha_placement(placement).sync_path(path);
            let mut opt = builder.build(&vs, 0.1).unwrap();
            for expected in golden {
                descend(&mut opt, &w, 1);
                assert_at(&w, expected);
            }
        }
    }
}

/// d is 0.2 in each cycle, and α is 0.8, 0.4 and 0.2. Outside: v is .2, .35, .4625, and φ loses .28, .185, .109375.
/// Inside: v is .16, .2, .19, and φ loses .28, .23, .1825.
#[test]
fn where_alpha_changes_its_placement_matters() {
    let halved = Schedule::Step { factor: 0.5, every: 2 };
    for (placement, golden) in [
        (AlphaPlacement::Outside, [0.72, 0.535, 0.425625]),
        (AlphaPlacement::Inside, [0.72, 0.49, 0.3075]),
    ] {
        let (vs, w) = ones(1);
        let builder = momentum(1.6, 0.75).k(2).alpha_schedule(halved).alpha_placement(placement);
        let mut opt = builder.build(&vs, 0.1).unwrap();
        for expected in golden {
            descend(&mut opt, &w, 2);
            assert_at(&w, expected);
        }
    }
}

/// tch's own SGD on φ, with the gradient φ − θ, is the outer step.
#[test]
fn at_a_constant_alpha_the_outer_step_is_tchs_sgd() {
    for nesterov in [false, true] {
        for placement in PLACEMENTS {
            let net = Net::new(3, Device::Cpu);
            let reference = Net::new(3, Device::Cpu);
            let builder = momentum(1.1, 0.6).outer_nesterov(nesterov).alpha_placement(placement);
            let mut opt = builder.k(3).build(&net.vs, 0.05).unwrap();
            let mut inner = nn::Sgd::default().build(&reference.vs, 0.05).unwrap();
            let fast = inner.trainable_variables();
            let outer_vs = nn::VarStore::new(Device::Cpu);
            let slow: Vec<Tensor> = fast
                .iter()
                .enumerate()
                .map(|(i, w)| outer_vs.root().var_copy(&format!("w{i}"), &w.detach()))
                .collect();
            let mut outer = nn::sgd(0.6, 0.0, 0.0, nesterov).build(&outer_vs, 1.1).unwrap();
            for step in 1..=12 {
                opt.backward_step(&net.loss(step, false)).unwrap();
                inner.backward_step(&reference.loss(step, false));
                if step % 3 == 0 {
                    let pairs = || slow.iter().zip(&fast);
                    // Its gradient is φ − θ.
                    let loss: Tensor = pairs()
                        .map(|(s, f)| (s - f.detach()).square().sum(Kind::Float) * 0.5)
                        .sum();
                    outer.backward_step(&loss);
                    let _guard = tch::no_grad_guard();
                    pairs().for_each(|(s, f)| f.shallow_clone().copy_(s));
                }
            }
            for (ours, theirs) in opt.trainable_variables().iter().zip(&fast) {
                assert!(ours.allclose(theirs, 1e-5, 1e-6, false), "{nesterov}, {placement:?}");
            }
        }
    }
}

/// The other settings of the outer momentum have no part in it.
#[test]
fn without_momentum_it_is_plain_lookahead_to_the_bit() {
    let run = |builder: SgdBuilder| {
        let net = Net::new(4, Device::Cpu);
        let mut opt = builder.k(3).build(&net.vs, 0.1).unwrap();
        for i in 0..10 {
            opt.backward_step(&net.loss(i, true)).unwrap();
        }
        opt.finish().unwrap();
        net.weights()
    };
    for alpha in [0.3, 0.7, 1.0] {
        let plain = run(Lookahead::builder(fused::Sgd::default()).alpha(alpha));
        for placement in PLACEMENTS {
            let without = momentum(alpha, 0.0).restart_every(1).extrapolate(true);
            let without = run(without.alpha_placement(placement));
            assert_same_bits(&plain, &without, &format!("α {alpha}, {placement:?}"));
        }
    }
}

/// Without a memory a sync moves φ by α (1 + μ) d in Nesterov's form, which is plain interpolation with that step,
/// and by α d in the other.
#[test]
fn restarted_at_each_sync_the_velocity_has_no_memory() {
    let run = |builder: SgdBuilder| {
        let net = Net::new(4, Device::Cpu);
        let mut opt = builder.k(3).build(&net.vs, 0.1).unwrap();
        for i in 0..11 {
            opt.backward_step(&net.loss(i, false)).unwrap();
        }
        opt.finish().unwrap();
        opt.trainable_variables()
    };
    for (nesterov, factor) in [(false, 1.0), (true, 1.75)] {
        for placement in PLACEMENTS {
            let restarted = momentum(0.4, 0.75).outer_nesterov(nesterov).restart_every(1);
            let restarted = run(restarted.alpha_placement(placement));
            let plain = run(Lookahead::builder(fused::Sgd::default()).alpha(0.4 * factor));
            for (restarted, plain) in restarted.iter().zip(&plain) {
                assert!(restarted.allclose(plain, 1e-5, 1e-6, false), "{nesterov}, {placement:?}");
            }
        }
    }
}

/// Every third sync: v is 1, 1½, 1¾, and from there on the same again; α ½.
#[test]
fn the_velocity_restarts_on_time_and_a_resumed_one_too() {
    let build = |vs: &nn::VarStore| {
        let builder = momentum(0.5, 0.5).outer_nesterov(false).k(1);
        builder.restart_every(3).build(vs, 1.0).unwrap()
    };
    let (vs, w) = ones(1);
    let mut opt = build(&vs);
    let mut expected = 1.0;
    for (i, v) in [1.0, 1.5, 1.75, 1.0, 1.5, 1.75, 1.0].into_iter().enumerate() {
        // A new optimizer continues from the state of each.
        let state = opt.state().unwrap();
        assert_eq!(state.tensors["velocity/w"].double_value(&[0]) == 0.0, i % 3 == 0);
        opt = build(&vs);
        opt.load_state(&state).unwrap();
        descend(&mut opt, &w, 1);
        expected -= 0.5 * v;
        assert_at(&w, expected);
    }
}

/// At every phase of several cycles.
#[test]
fn every_outer_step_resumes_to_the_bit() {
    let adam = || Lookahead::builder(fused::AdamW::default()).k(3);
    let pull = MomentumPolicy::Pullback;
    assert_resumes(
        |net| {
            let builder = adam().alpha(1.5).extrapolate(true).momentum_policy(pull);
            builder.build(&net.vs, 0.05).unwrap()
        },
        1..7,
        "extrapolating",
    );
    for placement in PLACEMENTS {
        assert_resumes(
            |net| {
                let builder = adam().alpha(1.1).outer_momentum(0.6).outer_nesterov(true);
                let builder = builder.alpha_placement(placement).restart_every(2);
                let to = Schedule::Power { to: 0.5, power: 3.0, steps: 14 };
                builder.alpha_schedule(to).build(&net.vs, 0.05).unwrap()
            },
            1..14,
            "outer momentum",
        );
    }
}

/// The last steps of a run are not lost: φ makes the whole outer step, with the velocity.
#[test]
fn the_last_sync_inside_a_cycle_is_a_step_of_the_outer_momentum() {
    let build = |vs: &nn::VarStore, k| momentum(0.8, 0.75).k(k).build(vs, 0.1).unwrap();
    let (vs, w) = ones(1);
    let mut opt = build(&vs, 4);
    descend(&mut opt, &w, 6);
    assert_eq!((opt.syncs(), opt.phase()), (1, 2));
    assert!(opt.finish().unwrap());
    // d is .4, then .2: φ loses .8 · 1.75 · .4 = .56, then, with v .5, .8 (.375 + .2) = .46.
    assert_at(&w, -0.02);
    assert_eq!(opt.syncs(), 2);
    assert!(!opt.finish().unwrap(), "just after a sync there is nothing to do");
    assert_at(&w, -0.02);
}

/// From 1, SGD with learning rate 0.1 reaches 0.8 in two steps; α 1.5 goes to 0.7.
#[test]
fn above_one_a_sync_extrapolates() {
    for path in [SyncPath::Auto, SyncPath::Foreach] {
        let (vs, w) = ones(1);
        let builder = Lookahead::builder(fused::Sgd::default()).k(2).alpha(1.5).sync_path(path);
        let mut opt = builder.extrapolate(true).build(&vs, 0.1).unwrap();
        for expected in [0.9, 0.7, 0.6, 0.4] {
            descend(&mut opt, &w, 1);
            assert_at(&w, expected);
        }
        assert_eq!(opt.alpha_used(), Some(1.5));
        let state = opt.state().unwrap();
        let plain = Lookahead::builder(fused::Sgd::default()).k(2);
        let refused = plain.build(&vs, 0.1).unwrap().load_state(&state).unwrap_err().to_string();
        assert!(refused.contains("`alpha` is 1.5") && refused.contains("extrapolate"), "{refused}");
    }
}

/// A nested Lookahead restarts where the extrapolating outer level put θ.
#[test]
fn an_inner_level_follows_an_extrapolation() {
    let (vs, w) = ones(1);
    let inner = Lookahead::builder(fused::Sgd::default()).k(1).alpha(1.0).build(&vs, 0.1).unwrap();
    let mut opt = Lookahead::around(inner).k(2).alpha(2.0).extrapolate(true).build().unwrap();
    for expected in [0.9, 0.6, 0.5, 0.2] {
        opt.backward_step(&w.sum(Kind::Float)).unwrap();
        assert_at(&w, expected);
    }
}

#[test]
fn what_may_exceed_one_and_how_far() {
    let (vs, _w) = ones(1);
    let plain = || Lookahead::builder(fused::Sgd::default());
    let refused = plain().alpha(1.5).build(&vs, 0.1).unwrap_err().to_string();
    assert!(refused.contains("`alpha` is 1.5") && refused.contains("`extrapolate`"), "{refused}");
    for alpha in [0.0, -1.0, 100.5, f64::INFINITY, f64::NAN] {
        for builder in [plain().extrapolate(true), momentum(0.5, 0.5)] {
            let refused = builder.alpha(alpha).build(&vs, 0.1).unwrap_err().to_string();
            assert!(refused.contains("at most 100"), "{refused}");
        }
    }
    let to = |to| Schedule::Linear { to, steps: 10 };
    assert!(plain().alpha_schedule(to(1.5)).build(&vs, 0.1).is_err());
    let mut opt = momentum(1.5, 0.5).alpha_schedule(to(2.0)).build(&vs, 0.1).unwrap();
    assert!(close(opt.alpha(), 1.5));
    for _ in 0..10 {
        opt.step().unwrap();
    }
    assert!(close(opt.alpha(), 2.0));
    opt.set_alpha(1.2).unwrap();
    assert!(matches!(opt.set_alpha(101.0), Err(Error::Setting { key: "alpha", .. })));
}

/// They would otherwise become negative, and their roots NaN.
#[test]
fn moments_are_pulled_with_at_most_one() {
    let adam = || Lookahead::builder(fused::adam(0.9, 0.5, 0.0));
    for builder in [adam().extrapolate(true), adam().outer_momentum(0.5)] {
        let net = Net::new(5, Device::Cpu);
        let builder = builder.k(2).alpha(3.0).momentum_policy(MomentumPolicy::Pullback);
        let mut opt = builder.build(&net.vs, 1e-3).unwrap();
        for i in 0..10 {
            // The second moments shrink from one cycle to the next.
            let scale = 10f64.powi(-i as i32);
            opt.backward_step(&(net.loss(i, false) * scale)).unwrap();
        }
        let moments = opt.inner_mut().moments(0).unwrap();
        let second = moments.iter().find(|moment| moment.name == "exp_avg_sq").unwrap();
        assert!(second.tensor.min().double_value(&[]) >= 0.0);
        assert!(bool::try_from(opt.trainable_variables()[0].isfinite().all()).unwrap());
    }
}
