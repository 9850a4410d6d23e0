//! The sync.

use super::optimizers::optimizers;
use super::{KINDS, Problem, assert_close, gpu, on, random, top};
use crate::common::bits;
use lookahead_core::InnerOptimizer;
use lookahead_sys::ops::{self, Op};
use lookahead_sys::sync::{Pair, Rule, Term, adaptive_slow_step_size, sync};
use lookahead_sys::tensor::fingerprints;
use tch::{Device, Kind, Tensor};

const PLAIN: Rule = Rule {
    momentum: 0.0,
    nesterov: false,
    alpha_inside: false,
    restart: true,
    differences: false,
    foreach: false,
};

#[test]
fn a_sync_is_the_cpus() {
    let Some(gpu) = gpu() else { return };
    tch::manual_seed(1);
    let momentum = Rule { momentum: 0.9, ..PLAIN };
    let rules = [
        PLAIN,
        Rule { restart: false, ..PLAIN },
        momentum,
        Rule { restart: false, ..momentum },
        Rule { nesterov: true, ..momentum },
        Rule { nesterov: true, alpha_inside: true, ..momentum },
    ];
    let rules = rules
        .into_iter()
        .map(|rule| (rule, false))
        .chain([(PLAIN, true), (Rule { differences: true, ..momentum }, true)]);
    let rules: Vec<(Rule, bool)> = rules.collect();
    for (fast_kind, slow_kind, tolerance) in KINDS {
        for &(rule, by_mean) in &rules {
            for alpha in [0.1, 0.5, 0.8, 1.0] {
                let what = format!("{fast_kind:?}, {rule:?}, α {alpha}, by mean {by_mean}");
                let start = random(slow_kind);
                let zeros: Vec<Tensor> = start.iter().map(Tensor::zeros_like).collect();
                let devices = [Device::Cpu, gpu];
                let slow = devices.map(|device| on(device, &start));
                let velocity = devices.map(|device| on(device, &zeros));
                for _ in 0..2 {
                    let moved = random(fast_kind);
                    let fast = devices.map(|device| on(device, &moved));
                    let mean = devices.map(|device| on(device, &start));
                    let mut apart = [0.0; 2];
                    for side in 0..2 {
                        let pairs = (0..moved.len()).map(|i| Pair {
                            slow: &slow[side][i],
                            fast: &fast[side][i],
                            velocity: (rule.momentum > 0.0).then_some(&velocity[side][i]),
                            mean: by_mean.then_some(&mean[side][i]),
                            alpha,
                        });
                        apart[side] = sync(pairs, rule).unwrap();
                    }
                    assert!((apart[0] - apart[1]).abs() <= apart[0] * 1e-3, "{apart:?}: {what}");
                    assert_eq!(apart[0] > 0.0, by_mean, "{what}");
                    for (i, moved) in moved.iter().enumerate() {
                        let what = format!("{what}, tensor {i}");
                        let (of, like) = (&slow[1][i], &slow[0][i]);
                        assert_close(of, like, (tolerance, tolerance), &what);
                        let (of, like) = (&velocity[1][i], &velocity[0][i]);
                        assert_close(of, like, (tolerance, tolerance), &what);
                        // θ is φ, rounded; without a restart it is unchanged.
                        let expected = if rule.restart { &slow[1][i] } else { moved };
                        let same = bits(&fast[1][i]) == bits(&expected.to_kind(fast_kind));
                        assert!(same, "θ: {what}");
                    }
                }
            }
        }
    }
}

/// The ATen operations of a sync of `count` tensors, without those that only allocate.
fn ops_of_a_sync(device: Device, count: usize, (fast_kind, slow_kind): (Kind, Kind)) -> Vec<Op> {
    let make = |kind| -> Vec<Tensor> {
        (0..count).map(|i| Tensor::ones([1 + i as i64 % 7], (kind, device))).collect()
    };
    let (slow, fast) = (make(slow_kind), make(fast_kind));
    let pairs = || slow.iter().zip(&fast);
    let pairs =
        pairs().map(|(slow, fast)| Pair { slow, fast, velocity: None, mean: None, alpha: 0.5 });
    let (synced, ops) = ops::record(|| sync(pairs, PLAIN));
    synced.unwrap();
    let memory = ["aten::empty_like", "aten::empty_strided", "aten::empty"];
    ops.into_iter().filter(|op| !memory.contains(&op.name.as_str())).collect()
}

#[test]
fn the_number_of_operations_is_that_of_one_tensor() {
    let Some(gpu) = gpu() else { return };
    let two = ["aten::_foreach_lerp_", "aten::_foreach_copy_"];
    // θ is cast first.
    let three = ["aten::_foreach_copy_", "aten::_foreach_lerp_", "aten::_foreach_copy_"];
    for (fast_kind, slow_kind, _) in KINDS {
        let expected = if fast_kind == slow_kind { &two[..] } else { &three[..] };
        for count in [1, 10, 1000] {
            let ops = ops_of_a_sync(gpu, count, (fast_kind, slow_kind));
            assert_eq!(top(&ops), expected, "{fast_kind:?}, {count} tensors");
            // No operation fell back to one call per tensor.
            let called: Vec<&Op> = ops.iter().filter(|op| op.depth > 0).collect();
            assert!(called.len() < 10, "{fast_kind:?}, {count} tensors: {called:?}");
        }
    }
}

/// Foreach and fused kernels don't move version counters themselves, and a graph of the values before must not run on
/// those after.
#[test]
fn writes_are_counted() {
    let Some(gpu) = gpu() else { return };
    for momentum in [0.0, 0.9] {
        let slow = Tensor::from_slice(&[1.0f32]).to_device(gpu);
        let fast = Tensor::from_slice(&[2.0f32]).to_device(gpu).set_requires_grad(true);
        let velocity = slow.zeros_like();
        let velocity = (momentum > 0.0).then_some(&velocity);
        let before = fingerprints([&slow, &fast]).unwrap();
        let loss = (&fast * &fast).sum(Kind::Float);
        let pair = Pair { slow: &slow, fast: &fast, velocity, mean: None, alpha: 0.5 };
        sync([pair], Rule { momentum, ..PLAIN }).unwrap();
        let after = fingerprints([&slow, &fast]).unwrap();
        assert_ne!(before[0], after[0], "φ, momentum {momentum}");
        assert_ne!(before[1], after[1], "θ, momentum {momentum}");
        assert!(loss.f_backward().is_err(), "θ, momentum {momentum}");
    }
    for (name, _, ours) in optimizers() {
        let problem = Problem::new(gpu, Kind::Float);
        let mut opt = ours(&problem.vs);
        problem.loss(2).backward();
        let stale = problem.weights[0].square().sum(Kind::Float);
        opt.step().unwrap();
        assert!(stale.f_backward().is_err(), "{name}");
    }
}

#[test]
fn the_adaptive_step_is_the_cpus() {
    let Some(gpu) = gpu() else { return };
    for (fast_kind, slow_kind, tolerance) in KINDS {
        tch::manual_seed(4);
        let (slow, fast) = (random(slow_kind), random(fast_kind));
        let alpha_on = |device| {
            let slow = on(device, &slow);
            let fast: Vec<Tensor> =
                on(device, &fast).into_iter().map(|t| t.set_requires_grad(true)).collect();
            for fast in &fast {
                fast.square().sum(Kind::Float).backward();
            }
            let second: Vec<Tensor> = fast.iter().map(|t| t.detach().square() + 0.5).collect();
            let term = |i: usize| Term {
                slow: &slow[i],
                fast: &fast[i],
                mean: None,
                second_moment: &second[i],
                scale: 1.5,
            };
            adaptive_slow_step_size((0..slow.len()).map(term), false).unwrap()
        };
        let (found, expected) = (alpha_on(gpu), alpha_on(Device::Cpu));
        // Sums over all elements have another order.
        let apart = (found - expected).abs();
        assert!(apart <= 100.0 * tolerance, "{fast_kind:?}: {found}, not {expected}");
    }
}
