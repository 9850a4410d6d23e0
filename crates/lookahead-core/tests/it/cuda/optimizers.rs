//! The fused optimizers.

use super::{Problem, assert_close, gpu, top};
use lookahead_core::{InnerOptimizer, TchOptimizer, fused};
use lookahead_sys::ops;
use tch::nn::{self, OptimizerConfig};
use tch::{Kind, Tensor};

pub(super) type Build = Box<dyn Fn(&nn::VarStore) -> TchOptimizer>;

fn build<C: OptimizerConfig + Copy + 'static>(config: C, learning_rate: f64) -> Build {
    Box::new(move |vs| TchOptimizer::new(config, vs, learning_rate).unwrap())
}

/// tch's optimizers, and the fused ones that replace them.
pub(super) fn optimizers() -> Vec<(&'static str, Build, Build)> {
    let sgd = |momentum, dampening, wd, nesterov| {
        let theirs = build(nn::sgd(momentum, dampening, wd, nesterov), 0.05);
        (theirs, build(fused::sgd(momentum, dampening, wd, nesterov), 0.05))
    };
    let adam = |amsgrad| {
        let theirs = build(nn::Adam::default().wd(0.01).amsgrad(amsgrad), 0.05);
        (theirs, build(fused::Adam::default().wd(0.01).amsgrad(amsgrad), 0.05))
    };
    let adamw = |amsgrad| {
        let theirs = build(nn::AdamW::default().amsgrad(amsgrad), 0.05);
        (theirs, build(fused::AdamW::default().amsgrad(amsgrad), 0.05))
    };
    let rms_prop = |momentum, centered| {
        let theirs = build(nn::rms_prop(0.95, 1e-8, 0.01, momentum, centered), 0.01);
        (theirs, build(fused::rms_prop(0.95, 1e-8, 0.01, momentum, centered), 0.01))
    };
    let all = [
        ("sgd", sgd(0.0, 0.0, 0.0, false)),
        ("momentum", sgd(0.9, 0.0, 0.01, false)),
        ("dampened", sgd(0.8, 0.3, 0.0, false)),
        ("nesterov", sgd(0.9, 0.0, 0.0, true)),
        ("adam", adam(false)),
        ("amsgrad", adam(true)),
        ("adamw", adamw(false)),
        ("adamw amsgrad", adamw(true)),
        ("rmsprop", rms_prop(0.0, false)),
        ("rmsprop momentum", rms_prop(0.9, false)),
        ("centered", rms_prop(0.9, true)),
    ];
    all.into_iter().map(|(name, (theirs, ours))| (name, theirs, ours)).collect()
}

fn take_steps(opt: &mut TchOptimizer, problem: &Problem, steps: std::ops::Range<i64>) {
    for step in steps {
        opt.zero_grad().unwrap();
        problem.loss(step).backward();
        opt.step().unwrap();
    }
}

/// In every element type the weights and moments are as close to those of tch's own in double precision as the type
/// allows.
#[test]
fn fused_steps_are_those_of_tchs_own() {
    let Some(gpu) = gpu() else { return };
    let tolerances = [
        (Kind::Double, 1e-12),
        (Kind::Float, 1e-5),
        (Kind::Half, 1e-2),
        // Eight binary digits: each step rounds a weight by up to 0.4 %.
        (Kind::BFloat16, 5e-2),
    ];
    for (name, theirs, ours) in optimizers() {
        let expected = Problem::new(gpu, Kind::Double);
        let mut reference = theirs(&expected.vs);
        take_steps(&mut reference, &expected, 0..6);
        for (kind, tolerance) in tolerances {
            let found = Problem::new(gpu, kind);
            let mut opt = ours(&found.vs);
            take_steps(&mut opt, &found, 0..6);
            for (i, (found, expected)) in found.weights.iter().zip(&expected.weights).enumerate() {
                let what = format!("{name}, {kind:?}, tensor {i}");
                assert_close(found, expected, (tolerance, tolerance), &what);
                let (a, b) = (opt.moments(i).unwrap(), reference.moments(i).unwrap());
                assert_eq!(a.len(), b.len(), "{what}");
                for (a, b) in a.iter().zip(&b) {
                    assert_eq!(a.name, b.name, "{what}");
                    let what = format!("{what}: {}", a.name);
                    // The kernel computes 1 − β₂ = 0.001 in single precision, where the last bit of β₂ is
                    // 6e-8: on an H200 the second moment is off by 1.5e-5.
                    let squares = kind == Kind::Float && a.name.contains("exp_avg_sq");
                    let tolerance = if squares { 6e-5 } else { tolerance };
                    assert_close(&a.tensor, &b.tensor, (tolerance, 0.0), &what);
                }
            }
        }
    }
}

/// A step is one kernel call per group, or the foreach calls of one tensor.
#[test]
fn fused_steps_need_no_more_operations_for_many_tensors() {
    let Some(gpu) = gpu() else { return };
    let ops_of_a_step = |ours: &Build, count: i64| {
        let vs = nn::VarStore::new(gpu);
        let weights: Vec<Tensor> =
            (0..count).map(|i| vs.root().ones(&format!("w{i}"), &[1 + i % 7])).collect();
        let mut opt = ours(&vs);
        let mut recorded = Vec::new();
        // The first step makes the moments.
        for _ in 0..2 {
            opt.zero_grad().unwrap();
            let sums: Vec<Tensor> = weights.iter().map(|w| w.square().sum(Kind::Float)).collect();
            Tensor::stack(&sums, 0).sum(Kind::Float).backward();
            let (stepped, ops) = ops::record(|| opt.step());
            stepped.unwrap();
            recorded = ops;
        }
        recorded
    };
    for (name, _, ours) in optimizers() {
        let few = ops_of_a_step(&ours, 3);
        let many = ops_of_a_step(&ours, 300);
        assert_eq!(top(&many), top(&few), "{name}");
        let kernel = match name {
            "sgd" | "momentum" | "dampened" | "nesterov" => "aten::_fused_sgd_",
            "adam" | "amsgrad" => "aten::_fused_adam_",
            "adamw" | "adamw amsgrad" => "aten::_fused_adamw_",
            _ => "aten::_foreach_addcmul_",
        };
        assert!(top(&many).contains(&kernel), "{name}: {:?}", top(&many));
    }
}
