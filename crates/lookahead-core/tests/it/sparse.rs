//! Sparse gradients of an embedding: right with SGD, refused by name otherwise.

use lookahead_core::{Error, InnerOptimizer, Lookahead, MomentumPolicy, TchOptimizer, fused};
use tch::nn::{self, Module, OptimizerConfig};
use tch::{Device, Kind, Tensor};

/// A table of five rows and a layer, the same for sparse and dense gradients.
struct Net {
    vs: nn::VarStore,
    table: nn::Embedding,
    out: nn::Linear,
}

impl Net {
    fn new(sparse: bool) -> Net {
        tch::manual_seed(4);
        let vs = nn::VarStore::new(Device::Cpu);
        let config = nn::EmbeddingConfig { sparse, ..Default::default() };
        let table = nn::embedding(&vs.root() / "table", 5, 3, config);
        let out = nn::linear(&vs.root() / "out", 3, 2, Default::default());
        Net { vs, table, out }
    }

    /// Row 1 is looked up twice.
    fn loss(&self, step: i64) -> Tensor {
        let rows = self.table.forward(&Tensor::from_slice(&[1, 3, 1, step % 5]));
        (self.out.forward(&rows) - 1.0).square().sum(Kind::Float)
    }
}

type Built<'a> = &'a dyn Fn(&nn::VarStore) -> Lookahead;

fn weights_after(build: Built, sparse: bool) -> Tensor {
    let net = Net::new(sparse);
    let mut opt = build(&net.vs);
    for step in 0..7 {
        opt.backward_step_clip_norm(&net.loss(step), 0.5).unwrap();
        let is_sparse = net.table.ws.grad().is_sparse();
        assert_eq!(is_sparse, sparse, "the gradient keeps its layout");
    }
    net.table.ws.detach().copy()
}

/// Clipped by a norm in which a row that is listed twice counts once.
#[test]
fn sgd_steps_as_with_dense_gradients() {
    let plain =
        |vs: &nn::VarStore| Lookahead::builder(fused::Sgd::default()).k(3).build(vs, 0.1).unwrap();
    let momentum = |vs: &nn::VarStore| {
        Lookahead::builder(fused::sgd(0.9, 0.0, 0.0, false)).k(3).build(vs, 0.1).unwrap()
    };
    let nesterov = |vs: &nn::VarStore| {
        let builder = Lookahead::builder(fused::sgd(0.9, 0.0, 0.0, true)).k(3);
        builder.outer_momentum(0.5).outer_nesterov(true).build(vs, 0.1).unwrap()
    };
    let pulled = |vs: &nn::VarStore| {
        let builder = Lookahead::builder(fused::sgd(0.9, 0.0, 0.0, false)).k(3);
        builder.momentum_policy(MomentumPolicy::Pullback).build(vs, 0.1).unwrap()
    };
    let theirs = |vs: &nn::VarStore| {
        let builder = Lookahead::builder(nn::sgd(0.9, 0.0, 0.0, false)).k(3);
        builder.momentum_policy(MomentumPolicy::Pullback).build(vs, 0.1).unwrap()
    };
    let all: [(&str, Built); 5] = [
        ("plain", &plain),
        ("momentum", &momentum),
        ("nesterov", &nesterov),
        ("pulled back", &pulled),
        ("tch's own", &theirs),
    ];
    for (name, build) in all {
        let (sparse, dense) = (weights_after(build, true), weights_after(build, false));
        assert!(sparse.allclose(&dense, 1e-5, 1e-6, false), "{name}");
    }
}

/// Of rows 1 (twice) and 3.
#[test]
fn the_norm_and_the_clip_are_those_of_the_dense_gradient() {
    let gradient = |sparse| {
        let net = Net::new(sparse);
        let mut opt = Lookahead::builder(fused::Sgd::default()).build(&net.vs, 0.1).unwrap();
        net.loss(1).backward();
        let before = opt.gradient_norm().unwrap().unwrap();
        assert_eq!(opt.clip_grad_norm(0.25).unwrap(), before);
        let after = opt.gradient_norm().unwrap().unwrap();
        assert!((after - 0.25).abs() < 1e-5, "{after}");
        (before, net.table.ws.grad().to_dense(None, false))
    };
    let ((sparse, clipped), (dense, expected)) = (gradient(true), gradient(false));
    assert!((sparse / dense - 1.0).abs() < 1e-6, "{sparse}, not {dense}");
    assert!(clipped.allclose(&expected, 1e-5, 1e-7, false));
}

/// From its saved momentum buffers.
#[test]
fn a_training_with_sparse_gradients_resumes() {
    for theirs in [false, true] {
        let build = |vs: &nn::VarStore| -> Lookahead {
            if theirs {
                Lookahead::builder(nn::sgd(0.9, 0.0, 0.0, false)).build(vs, 0.1).unwrap()
            } else {
                Lookahead::builder(fused::sgd(0.9, 0.0, 0.0, false)).build(vs, 0.1).unwrap()
            }
        };
        let net = Net::new(true);
        let mut opt = build(&net.vs);
        for step in 0..3 {
            opt.backward_step(&net.loss(step)).unwrap();
        }
        let state = opt.state().unwrap();
        let mut other = Net::new(true);
        other.vs.copy(&net.vs).unwrap();
        let mut resumed = build(&other.vs);
        resumed.load_state(&state).unwrap();
        for step in 3..7 {
            opt.backward_step(&net.loss(step)).unwrap();
            resumed.backward_step(&other.loss(step)).unwrap();
        }
        assert!(net.table.ws.allclose(&other.table.ws, 1e-6, 1e-6, false), "tch's own: {theirs}");
    }
}

#[test]
fn other_optimizers_name_the_variable() {
    let refused = |outcome: Result<bool, Error>, optimizer: &str| {
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains("`table.weight`") && message.contains(optimizer), "{message}");
    };
    let check = |inner: TchOptimizer, net: &Net, optimizer: &str| {
        let mut opt = Lookahead::around(inner).build().unwrap();
        refused(opt.backward_step(&net.loss(0)), optimizer);
        assert_eq!(opt.steps(), 0);
    };
    let net = Net::new(true);
    let vs = &net.vs;
    check(TchOptimizer::new(fused::Adam::default(), vs, 0.1).unwrap(), &net, "adam does not");
    check(TchOptimizer::new(fused::AdamW::default(), vs, 0.1).unwrap(), &net, "adamw does not");
    check(TchOptimizer::new(fused::RmsProp::default(), vs, 0.1).unwrap(), &net, "rmsprop does not");
    check(TchOptimizer::new(nn::Adam::default(), vs, 0.1).unwrap(), &net, "adam does not");
    check(TchOptimizer::new(nn::RmsProp::default(), vs, 0.1).unwrap(), &net, "rmsprop does not");
    let decayed = fused::sgd(0.9, 0.0, 0.1, false);
    check(TchOptimizer::new(decayed, vs, 0.1).unwrap(), &net, "sgd with weight decay does not");

    let adam = nn::Adam::default().build(vs, 0.1).unwrap();
    let mut wrapped = Lookahead::wrap(adam, vs).unwrap().build().unwrap();
    refused(wrapped.backward_step(&net.loss(0)), "the wrapped optimizer does not");
}

/// Not even variables that come before it.
#[test]
fn a_refused_step_has_moved_nothing() {
    let net = Net::new(true);
    let before = net.out.ws.detach().copy();
    let mut adam = TchOptimizer::new(fused::Adam::default(), &net.vs, 0.1).unwrap();
    net.loss(0).backward();
    assert!(
        matches!(adam.step(), Err(Error::SparseGradient { name, .. }) if name == "table.weight")
    );
    assert_eq!(net.out.ws.detach(), before);
}
