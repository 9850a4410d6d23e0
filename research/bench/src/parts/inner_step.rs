//! What an inner step costs: the fused optimizers against tch's own, and what Lookahead adds.
//!
//! Each contender has a model of its own, whose gradients stay the same. Between two of its steps
//! the other one's memory has gone through the caches, as the forward and the backward pass do
//! in a training.

use lookahead_core::{InnerOptimizer, Lookahead, TchOptimizer, fused};
use tch::nn::{self, OptimizerConfig};

use super::models::{evenly, resnet18, variables};
use super::{Comparisons, Target};

/// So small that the weights hardly move, however many steps are timed.
const LEARNING_RATE: f64 = 1e-7;

pub(super) fn compare(comparisons: &mut Comparisons) {
    let models = [
        ("ResNet-18", resnet18()),
        ("1 M in 5,000 tensors", evenly(1_000_000, 5_000)),
        ("0.1 M in 60 tensors", evenly(100_000, 60)),
    ];
    for (model, shapes) in &models {
        fused_against_tch(comparisons, model, shapes);
    }
    for (model, shapes) in &models[..2] {
        lookahead_against_its_inner_optimizer(comparisons, model, shapes);
    }
}

fn fused_against_tch(comparisons: &mut Comparisons, model: &str, shapes: &[Vec<i64>]) {
    let sgd = (nn::sgd(0.9, 0.0, 0.0, false), fused::sgd(0.9, 0.0, 0.0, false));
    let adam = (nn::Adam::default(), fused::Adam::default());
    let adamw = (nn::AdamW::default(), fused::AdamW::default());
    let rmsprop = (nn::RmsProp::default(), fused::RmsProp::default());
    let what = |name| format!("{name}, {model}");
    steps(comparisons, &what("SGD with momentum"), Target::FasterBy(1.35), sgd, shapes);
    steps(comparisons, &what("Adam"), Target::Faster, adam, shapes);
    steps(comparisons, &what("AdamW"), Target::FasterBy(2.2), adamw, shapes);
    steps(comparisons, &what("RMSprop"), Target::Faster, rmsprop, shapes);
}

fn steps(
    comparisons: &mut Comparisons,
    what: &str,
    target: Target,
    (tch, fused): (impl OptimizerConfig, impl OptimizerConfig),
    shapes: &[Vec<i64>],
) {
    let names = ("fused", "tch's");
    comparisons.compare(what, names, target, || (steps_of(fused, shapes), steps_of(tch, shapes)));
}

/// Steps of an optimizer on a model of its own.
fn steps_of(config: impl OptimizerConfig, shapes: &[Vec<i64>]) -> impl FnMut() {
    let mut optimizer = config.build(&variables(shapes), LEARNING_RATE).unwrap();
    move || optimizer.step()
}

/// With default policies, around the fused SGD, whose steps are the shortest of all: around
/// others it adds less.
fn lookahead_against_its_inner_optimizer(
    comparisons: &mut Comparisons,
    model: &str,
    shapes: &[Vec<i64>],
) {
    const STEPS: u64 = 5;
    let sgd = fused::sgd(0.9, 0.0, 0.0, false);
    // Between syncs there is the bookkeeping alone.
    for (what, k) in [("five steps", STEPS), ("five steps, no sync", u64::MAX)] {
        let what = format!("{what}, {model}");
        comparisons.compare(&what, ("Lookahead", "SGD alone"), Target::Takes, || {
            let vs = variables(shapes);
            let mut lookahead = Lookahead::builder(sgd).k(k).build(&vs, LEARNING_RATE).unwrap();
            let vs = variables(shapes);
            let mut alone = TchOptimizer::new(sgd, &vs, LEARNING_RATE).unwrap();
            let with = move || {
                for _ in 0..STEPS {
                    lookahead.inner_step().unwrap();
                    lookahead.sync_if_due().unwrap();
                }
            };
            (with, move || (0..STEPS).for_each(|_| alone.step().unwrap()))
        });
    }
}
