use tch::{Device, Kind, nn, nn::Module};

use super::*;
use crate::{Lookahead, fused};

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

/// A network of two layers in f64 and Lookahead around an optimizer.
struct Task {
    net: nn::Sequential,
    vs: nn::VarStore,
    opt: Lookahead<crate::TchOptimizer>,
}

impl Task {
    fn new() -> Self {
        tch::manual_seed(7);
        let mut vs = nn::VarStore::new(Device::Cpu);
        let root = vs.root();
        let net = nn::seq()
            .add(nn::linear(&root / "a", 5, 8, Default::default()))
            .add_fn(Tensor::tanh)
            .add(nn::linear(&root / "b", 8, 1, Default::default()));
        vs.double();
        let opt = Lookahead::builder(fused::AdamW::default()).k(3).build(&vs, 0.01).unwrap();
        Task { net, vs, opt }
    }

    fn loss(&self, rows: &Tensor) -> Tensor {
        (self.net.forward(rows) - 1.0).square().mean(Kind::Double)
    }

    fn distance(&self, other: &Task) -> f64 {
        let ours = self.vs.trainable_variables();
        let theirs = other.vs.trainable_variables();
        let apart = |(a, b): (&Tensor, &Tensor)| (a - b).abs().max().double_value(&[]);
        ours.iter().zip(&theirs).map(apart).fold(0.0, f64::max)
    }
}

#[test]
fn micro_batches_are_the_large_batch() {
    for sizes in [vec![6, 6, 6, 6], vec![10, 7, 1, 6], vec![23, 1]] {
        let (mut whole, mut parts) = (Task::new(), Task::new());
        let mut step = Accumulation::new(24);
        for _ in 0..30 {
            let rows = Tensor::randn([24, 5], DOUBLE);
            let loss = whole.loss(&rows);
            whole.opt.backward_step(&loss).unwrap();
            let mut complete = false;
            for part in rows.split_with_sizes(&sizes[..], 0) {
                assert!(!complete);
                let loss = parts.loss(&part);
                complete = step.backward(&mut parts.opt, &loss, part.size()[0] as u64).unwrap();
            }
            assert!(complete);
            parts.opt.step().unwrap();
            let mean = step.loss().unwrap().double_value(&[]);
            assert!((mean - loss.double_value(&[])).abs() < 1e-14);
        }
        let apart = whole.distance(&parts);
        assert!(apart < 1e-12, "{sizes:?}: {apart}");
    }
}

#[test]
fn one_micro_batch_is_a_backward_pass_to_the_bit() {
    let (mut plain, mut parts) = (Task::new(), Task::new());
    let mut step = Accumulation::new(8);
    for _ in 0..5 {
        let rows = Tensor::randn([8, 5], DOUBLE);
        let loss = plain.loss(&rows);
        plain.opt.backward_step(&loss).unwrap();
        let loss = parts.loss(&rows);
        assert!(step.backward(&mut parts.opt, &loss, 8).unwrap());
        parts.opt.step().unwrap();
    }
    assert_eq!(plain.distance(&parts), 0.0);
}

#[test]
fn samples_that_do_not_fit_are_refused() {
    let mut task = Task::new();
    let rows = Tensor::randn([8, 5], DOUBLE);
    let mut step = Accumulation::new(10);
    let loss = || task.net.forward(&rows).mean(Kind::Double);
    let (first, second, third) = (loss(), loss(), loss());
    assert!(!step.backward(&mut task.opt, &first, 8).unwrap());
    for samples in [0, 3] {
        let refused = step.backward(&mut task.opt, &second, samples).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("`samples` is {samples}, and it must be at least 1")));
    }
    assert!(step.backward(&mut task.opt, &second, 2).unwrap());
    // The next one begins another step, and a restart too.
    assert!(!step.backward(&mut task.opt, &third, 8).unwrap());
    step.restart();
    assert!(step.loss().is_none() && !step.is_complete());
}
