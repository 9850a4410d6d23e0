//! What a sync costs, an evaluation at the slow weights, and the norms of a probe.
//!
//! With `LOOKAHEAD_BENCH_LARGE=1` also a sync of 10⁹ parameters, which takes 9 GB of memory and two
//! minutes.
//!
//! A sync is bound by memory: 10 M parameters are 40 MB for each set of weights, which no cache
//! holds. What it is measured against is the cheapest thing that can be done to two tensors of that
//! size, `phi.add_(theta)`: it moves 12 bytes for each parameter and the sync 16, so by the bytes
//! alone the sync takes 1.33 times as long. The check for NaN and infinity reads θ once more: 20 bytes, 1.67 times.

use lookahead_core::{Lookahead, NonFinite};
use lookahead_sys::sync::{Pair, Rule};
use tch::{Device, Kind, Tensor};

use super::models::{evenly, resnet18, variables};
use super::{Comparisons, Target};
use crate::nothing::Nothing;

pub(super) fn compare(comparisons: &mut Comparisons) {
    against_add(comparisons);
    against_calls_per_tensor(comparisons);
    evaluation(comparisons);
    norms(comparisons);
    if std::env::var_os("LOOKAHEAD_BENCH_LARGE").is_some() {
        large(comparisons);
    }
}

fn against_add(comparisons: &mut Comparisons) {
    const COUNT: i64 = 10_000_000;
    let mut compare = |what: &str, name, target, set_up: &dyn Fn() -> Box<dyn FnMut()>| {
        let what = format!("10 M in {what}");
        comparisons.compare(&what, (name, "add_ on 1 tensor"), target, || (set_up(), add(COUNT)));
    };
    let limit = Target::TakesAtMost(1.45);
    for tensors in [1, 60] {
        let what = if tensors == 1 { "1 tensor" } else { "60 tensors" };
        compare(what, "sync", limit, &|| {
            Weights::new(COUNT, tensors, Kind::Float).into_sync(Momentum::None)
        });
    }
    compare("60 tensors, whole step unchecked", "Lookahead", limit, &|| {
        Box::new(lookahead(COUNT, 60, NonFinite::Unchecked))
    });
    compare("60 tensors, whole step", "Lookahead", Target::Takes, &|| {
        Box::new(lookahead(COUNT, 60, NonFinite::Error))
    });
    compare("60 tensors, outer momentum", "sync", Target::Takes, &|| {
        Weights::new(COUNT, 60, Kind::Float).into_sync(Momentum::Nesterov)
    });
    for (what, kind) in
        [("60 tensors, θ in bfloat16", Kind::BFloat16), ("60 tensors, θ in half", Kind::Half)]
    {
        compare(what, "sync", Target::Takes, &|| {
            Weights::new(COUNT, 60, kind).into_sync(Momentum::None)
        });
    }
}

/// What Lookahead is without a kernel of its own, as most of its implementations do it.
fn against_calls_per_tensor(comparisons: &mut Comparisons) {
    for (parameters, tensors, least) in [(10_000_000, 60, 1.2), (1_000_000, 10_000, 6.0)] {
        let size = format!("{} M in {tensors} tensors", parameters / 1_000_000);
        let calls = || {
            let Weights { mut slow, mut fast, .. } = Weights::new(parameters, tensors, Kind::Float);
            move || {
                let _guard = tch::no_grad_guard();
                for (slow, fast) in slow.iter_mut().zip(&mut fast) {
                    let _ = slow.lerp_(fast, 0.5);
                    fast.copy_(slow);
                }
            }
        };
        let names = |first| (first, "lerp_ and copy_ per tensor");
        let faster = Target::FasterBy(least);
        comparisons.compare(&size, names("sync"), faster, || {
            (Weights::new(parameters, tensors, Kind::Float).into_sync(Momentum::None), calls())
        });
        let what = format!("{size}, whole step unchecked");
        comparisons.compare(&what, names("Lookahead"), faster, || {
            (lookahead(parameters, tensors, NonFinite::Unchecked), calls())
        });
        // The calls check nothing, and this does.
        let what = format!("{size}, whole step");
        comparisons.compare(&what, names("Lookahead"), Target::Faster, || {
            (lookahead(parameters, tensors, NonFinite::Error), calls())
        });
    }
}

/// To φ and back to θ. The copies go to memory that is there already: with fresh memory for each
/// evaluation they take twice as long.
fn evaluation(comparisons: &mut Comparisons) {
    for (what, shapes) in [
        ("evaluation, ResNet-18", resnet18()),
        ("evaluation, 1 M in 5,000 tensors", evenly(1_000_000, 5_000)),
    ] {
        let names = ("with_slow_weights", "copies there and back");
        comparisons.compare(what, names, Target::Takes, || {
            let vs = variables(&shapes);
            let mut weights = vs.trainable_variables();
            let slow: Vec<Tensor> = weights.iter().map(|weight| weight.detach().copy()).collect();
            let mut aside: Vec<Tensor> = slow.iter().map(Tensor::copy).collect();
            let copies = move || {
                let _guard = tch::no_grad_guard();
                for ((weight, slow), aside) in weights.iter_mut().zip(&slow).zip(&mut aside) {
                    aside.copy_(weight);
                    weight.copy_(slow);
                }
                for (weight, aside) in weights.iter_mut().zip(&aside) {
                    weight.copy_(aside);
                }
            };
            let vs = variables(&shapes);
            let mut optimizer =
                Lookahead::builder(tch::nn::Sgd::default()).build(&vs, 0.1).unwrap();
            let swap = move || optimizer.with_slow_weights(|| ()).unwrap();
            (swap, copies)
        });
    }
}

/// What `probe.layers` adds to the norms that every probe measures.
fn norms(comparisons: &mut Comparisons) {
    let names = ("of each variable too", "of all together");
    comparisons.compare("norms of a probe, ResNet-18", names, Target::Takes, || {
        let optimizer = || {
            let vs = variables(&resnet18());
            Lookahead::builder(tch::nn::Sgd::default()).build(&vs, 0.1).unwrap()
        };
        let (mut each, mut all) = (optimizer(), optimizer());
        let together = |optimizer: &mut Lookahead| {
            let _ = (optimizer.distance().unwrap(), optimizer.gradient_norm().unwrap());
        };
        let both = move || {
            together(&mut each);
            drop(each.variable_norms().unwrap());
        };
        (both, move || together(&mut all))
    });
}

/// Whether a parameter costs the same in a large model as in a small one: the same number of
/// parameters is synced on both sides.
fn large(comparisons: &mut Comparisons) {
    let names = ("10⁹ once", "10⁷ a hundred times");
    comparisons.compare("sync of 10⁹ parameters", names, Target::TakesAtMost(1.3), || {
        let large = Weights::new(1_000_000_000, 100, Kind::Float).into_sync(Momentum::None);
        let mut small = Weights::new(10_000_000, 100, Kind::Float).into_sync(Momentum::None);
        (large, move || (0..100).for_each(|_| small()))
    });
}

/// `phi.add_(theta)` over one flat tensor.
fn add(parameters: i64) -> impl FnMut() {
    let mut phi = Tensor::ones([parameters], (Kind::Float, Device::Cpu));
    let theta = Tensor::full([parameters], 1e-3, (Kind::Float, Device::Cpu));
    move || {
        let _ = phi.g_add_(&theta);
    }
}

enum Momentum {
    None,
    Nesterov,
}

/// The two sets of weights. They have values of their own in memory of their own: pages that
/// were never written to are all the same one, and cost nothing to read.
struct Weights {
    slow: Vec<Tensor>,
    fast: Vec<Tensor>,
}

impl Weights {
    fn new(parameters: i64, tensors: i64, fast: Kind) -> Self {
        let shapes = evenly(parameters, tensors);
        let filled = |kind: Kind, value: f64| {
            let all = shapes.iter().map(|shape| Tensor::full(shape, value, (kind, Device::Cpu)));
            all.collect()
        };
        Weights { slow: filled(Kind::Float, 1.0), fast: filled(fast, 0.5) }
    }

    /// The sync itself, without Lookahead's bookkeeping around it.
    fn into_sync(self, momentum: Momentum) -> Box<dyn FnMut()> {
        let velocity: Vec<Tensor> = match momentum {
            Momentum::None => Vec::new(),
            Momentum::Nesterov => self.slow.iter().map(Tensor::zeros_like).collect(),
        };
        // The two sets of weights are equal after the first sync. A smaller momentum would then
        // take the velocity down to denormal numbers, which are slow to compute with.
        let rule = Rule {
            momentum: 0.9999,
            nesterov: true,
            alpha_inside: false,
            restart: true,
            differences: false,
            foreach: false,
        };
        Box::new(move || {
            let pairs = self.slow.iter().zip(&self.fast).enumerate();
            let pairs = pairs.map(|(i, (slow, fast))| {
                let velocity = velocity.get(i);
                Pair { slow, fast, velocity, mean: None, alpha: 0.5 }
            });
            lookahead_sys::sync::sync(pairs, rule).unwrap();
        })
    }
}

/// Steps of a Lookahead that syncs in each of them, around an inner optimizer that does nothing.
/// What it does to keep θ and φ in order is in the time.
pub(super) fn lookahead(
    parameters: i64,
    tensors: i64,
    non_finite: NonFinite,
) -> impl FnMut() + use<> {
    let weights = Weights::new(parameters, tensors, Kind::Float).fast;
    let weights: Vec<_> =
        weights.into_iter().map(|tensor| tensor.set_requires_grad(true)).collect();
    let builder = Lookahead::around(Nothing::new(&weights)).k(1).alpha(0.5);
    let mut optimizer = builder.non_finite(non_finite).build().unwrap();
    move || {
        optimizer.step().unwrap();
    }
}
