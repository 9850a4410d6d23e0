//! This project's contenders of the optimizer alone: inner steps, wrappers around them, and syncs.

use anyhow::bail;
use lookahead_core::optimizers::{Adagrad, Adan, CautiousAdam, Lion, Muon, NAdam, RAdam};
use lookahead_core::{
    Composite, EmaNesterov, Error, Extrapolation, InnerOptimizer, Lookahead, MasterWeights,
    NonFinite, Parameter, Primal, PrimalAveraging, Result as CoreResult, RuleOptimizer,
    TailAverage, TailMean, TchOptimizer, Variables, fused,
};
use tch::{Device, Kind, Tensor, nn};

use crate::contender::Contender;
use crate::nothing::Nothing;
use crate::workload::{matrices, shapes};

/// So small that the weights hardly move, however many steps are timed.
const LEARNING_RATE: f64 = 1e-5;

/// In the place of an inner optimizer's name: syncs that don't look for NaN before.
pub(crate) const UNCHECKED: &str = "unchecked";
/// In the place of an inner optimizer's name: one whose steps do nothing.
pub(crate) const NOTHING: &str = "nothing";
/// In the place of a contender's name: one tensor added to another.
pub(crate) const ADD: &str = "add_";
/// In the place of a contender's name: the sum of two tensors written to a third.
pub(crate) const SUM: &str = "sum into a third";
/// In the place of a contender's name: a Lookahead that syncs after each step, which looks for NaN.
pub(crate) const LOOKING: &str = "Lookahead, k 1";
/// In the place of a contender's name: the same without the look.
pub(crate) const NOT_LOOKING: &str = "Lookahead, k 1, unchecked";
/// The contender that is an inner optimizer without a wrapper, or a Lookahead.
pub(crate) const LIBRARY: &str = "library";

/// A contender of this name; `size` is the number of parameters and that of the tensors that hold them.
///
/// # Errors
/// If there is none, or no such inner optimizer.
pub(crate) fn prepare(
    contender: &str,
    inner: &str,
    size: (i64, i64),
    sync: bool,
) -> anyhow::Result<Box<dyn Contender>> {
    Ok(match (sync, contender) {
        (true, _) => Box::new(Syncs::new(size, inner == UNCHECKED)?),
        (false, ADD) => Box::new(Add::new(size.0, false)),
        (false, SUM) => Box::new(Add::new(size.0, true)),
        (false, wrapper) => Box::new(Steps::new(wrapper, inner, size)?),
    })
}

/// Weights in memory of their own: from −1 to 1 in each tensor, or matrices of full rank.
fn weights(inner: &str, (parameters, tensors): (i64, i64)) -> nn::VarStore {
    let vs = nn::VarStore::new(Device::Cpu);
    let options = (Kind::Float, Device::Cpu);
    let _guard = tch::no_grad_guard();
    if inner == "muon" {
        let (count, side) = matrices(parameters, tensors);
        let values = Tensor::arange(side * side, (Kind::Double, Device::Cpu)).square().cos();
        for i in 0..count {
            let mut weight = vs.root().zeros(&format!("weight{i}"), &[side, side]);
            weight.copy_(&values.view([side, side]));
        }
        return vs;
    }
    for (i, size) in shapes(parameters, tensors).into_iter().enumerate() {
        let mut weight = vs.root().zeros(&format!("weight{i}"), &[size]);
        weight.copy_(&Tensor::linspace(-1.0, 1.0, size, options));
    }
    vs
}

/// The mean square of all weights, in the place of a loss.
fn mean_square(weights: &[Tensor]) -> anyhow::Result<f64> {
    let (mut sum, mut count) = (0.0, 0);
    for weight in weights {
        sum += f64::try_from(weight.detach().square().sum(Kind::Double))?;
        count += weight.numel();
    }
    Ok(sum / count as f64)
}

type Inner = Box<dyn InnerOptimizer>;

fn inner_optimizer(name: &str, vs: impl Into<Variables>) -> CoreResult<Inner> {
    let variables = vs.into();
    let rate = LEARNING_RATE;
    Ok(match name {
        "sgd" => {
            Box::new(TchOptimizer::new(fused::sgd(0.9, 0.0, 0.0, false), variables, rate)?) as Inner
        }
        "adamw" => Box::new(TchOptimizer::new(fused::AdamW::default(), variables, rate)?),
        "adam" => Box::new(TchOptimizer::new(fused::Adam::default(), variables, rate)?),
        "rmsprop" => Box::new(TchOptimizer::new(fused::RmsProp::default(), variables, rate)?),
        "adagrad" => Box::new(RuleOptimizer::new(Adagrad::default(), variables, rate)?),
        "adan" => Box::new(RuleOptimizer::new(Adan::default(), variables, rate)?),
        "cautious_adam" => Box::new(RuleOptimizer::new(CautiousAdam::default(), variables, rate)?),
        "lion" => Box::new(RuleOptimizer::new(Lion::default(), variables, rate)?),
        "cautious_lion" => {
            let cautious = Lion { cautious: true, ..Lion::default() };
            Box::new(RuleOptimizer::new(cautious, variables, rate)?)
        }
        "muon" => Box::new(RuleOptimizer::new(Muon::default(), variables, rate)?),
        "nadam" => Box::new(RuleOptimizer::new(NAdam::default(), variables, rate)?),
        "radam" => Box::new(RuleOptimizer::new(RAdam::default(), variables, rate)?),
        other => {
            let (key, found) = ("inner", other.to_owned());
            return Err(Error::Setting {
                key,
                found,
                allowed: "an inner optimizer of the benchmark",
            });
        }
    })
}

/// An inner optimizer with a wrapper around it, if the contender's name is that of one.
fn wrapped(contender: &str, inner: Inner) -> anyhow::Result<Inner> {
    Ok(match contender {
        LIBRARY => inner,
        "Lookahead" => Box::new(Lookahead::around(inner).k(5).alpha(0.5).build()?),
        LOOKING | NOT_LOOKING => {
            let look =
                if contender == LOOKING { NonFinite::default() } else { NonFinite::Unchecked };
            Box::new(Lookahead::around(inner).k(1).alpha(0.5).non_finite(look).build()?)
        }
        "PrimalAveraging" => Box::new(PrimalAveraging::new(inner, Primal::default())?),
        "EmaNesterov" => Box::new(EmaNesterov::new(inner, Extrapolation::default())?),
        "TailAverage" => Box::new(TailAverage::new(inner, TailMean::exponential(0.99))?),
        other => bail!("There is no contender {other} here."),
    })
}

/// Steps of an inner optimizer, or of a wrapper around it; the gradients stay the same.
struct Steps {
    optimizer: Inner,
    weights: Vec<Tensor>,
}

impl Steps {
    fn new(contender: &str, inner: &str, size: (i64, i64)) -> anyhow::Result<Self> {
        let mut vs = weights(inner, size);
        let optimizer: Inner = match contender {
            "MasterWeights" => {
                vs.bfloat16();
                let masters = |masters: &nn::VarStore| inner_optimizer(inner, masters);
                Box::new(MasterWeights::new(&vs, masters)?)
            }
            "Composite" => {
                let is_even = |p: &Parameter| p.name.ends_with(['0', '2', '4', '6', '8']);
                let (even, odd) = Variables::new(&vs).partition(is_even);
                let builder = Composite::builder(&vs).part("even", inner_optimizer(inner, even)?);
                Box::new(builder.part("odd", inner_optimizer(inner, odd)?).build()?)
            }
            wrapper if inner == NOTHING => {
                wrapped(wrapper, Box::new(Nothing::new(&vs.trainable_variables())))?
            }
            wrapper => wrapped(wrapper, inner_optimizer(inner, &vs)?)?,
        };
        let weights = vs.trainable_variables();
        // The gradient of half the sum of squares is the weight itself, in memory of its own.
        for weight in &weights {
            (weight.square().sum(Kind::Float) * 0.5).f_backward()?;
        }
        Ok(Steps { optimizer, weights })
    }
}

impl Contender for Steps {
    fn step(&mut self) -> anyhow::Result<()> {
        Ok(self.optimizer.step()?)
    }

    fn losses(&mut self, steps: u64) -> anyhow::Result<Vec<f64>> {
        (0..steps).map(|_| self.step().and_then(|()| mean_square(&self.weights))).collect()
    }
}

/// The cheapest that can be done to two tensors of that many parameters: `a.add_(b)`, or their sum in a third, whose
/// memory the processor reads before it is overwritten.
struct Add {
    sum: Tensor,
    term: Tensor,
    third: Option<Tensor>,
}

impl Add {
    fn new(parameters: i64, into_third: bool) -> Self {
        let options = (Kind::Float, Device::Cpu);
        // Pages that were never written to are all the same one, and cost nothing to read.
        let [sum, term] = [1.0, 1e-3].map(|value| Tensor::full([parameters], value, options));
        let third = into_third.then(|| Tensor::full([parameters], 1.0, options));
        Add { sum, term, third }
    }
}

impl Contender for Add {
    fn step(&mut self) -> anyhow::Result<()> {
        let _ = match &self.third {
            Some(third) => self.sum.f_add_out(third, &self.term)?,
            None => self.sum.f_add_(&self.term)?,
        };
        Ok(())
    }

    fn losses(&mut self, steps: u64) -> anyhow::Result<Vec<f64>> {
        (0..steps)
            .map(|_| self.step().and_then(|()| mean_square(&[self.sum.shallow_clone()])))
            .collect()
    }
}

/// Syncs alone: of a Lookahead with k 1, as a user builds it, around an optimizer that does nothing.
struct Syncs {
    lookahead: Lookahead<Nothing>,
    weights: Vec<Tensor>,
}

impl Syncs {
    fn new(size: (i64, i64), unchecked: bool) -> anyhow::Result<Self> {
        let weights = weights(NOTHING, size).trainable_variables();
        let inner = Nothing::new(&weights);
        let look = if unchecked { NonFinite::Unchecked } else { NonFinite::default() };
        let lookahead = Lookahead::around(inner).k(1).alpha(0.5).non_finite(look).build()?;
        Ok(Syncs { lookahead, weights })
    }
}

impl Contender for Syncs {
    fn step(&mut self) -> anyhow::Result<()> {
        self.lookahead.step()?;
        Ok(())
    }

    /// Each step halves θ before the sync, or that would change nothing.
    fn losses(&mut self, steps: u64) -> anyhow::Result<Vec<f64>> {
        self.lookahead.inner_mut().factor = 0.5;
        let losses =
            (0..steps).map(|_| self.step().and_then(|()| mean_square(&self.weights))).collect();
        self.lookahead.inner_mut().factor = 1.0;
        losses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (i64, i64) = (600, 6);

    fn losses(contender: &str, inner: &str) -> Vec<f64> {
        prepare(contender, inner, SIZE, false).unwrap().losses(7).unwrap()
    }

    #[test]
    fn every_inner_optimizer_lowers_the_mean_square() {
        for inner in [
            "sgd",
            "adam",
            "adamw",
            "adagrad",
            "adan",
            "cautious_adam",
            "cautious_lion",
            "lion",
            "muon",
            "nadam",
            "radam",
            "rmsprop",
        ] {
            let losses = losses(LIBRARY, inner);
            assert!(losses.is_sorted_by(|a, b| a > b), "{inner}: {losses:?}");
        }
        assert!(prepare(LIBRARY, "sdg", SIZE, false).is_err());
    }

    #[test]
    fn wrappers_step_as_their_inner_optimizer_or_near_it() {
        let alone = losses(LIBRARY, "adamw");
        assert_eq!(losses("Composite", "adamw"), alone);
        assert_eq!(losses("TailAverage", "adamw"), alone);
        for wrapper in ["Lookahead", LOOKING, NOT_LOOKING, "PrimalAveraging", "EmaNesterov"] {
            let wrapped = losses(wrapper, "adamw");
            assert_ne!(wrapped, alone, "{wrapper}");
            assert!(
                wrapped.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-3),
                "{wrapper}: {wrapped:?}"
            );
        }
        assert_eq!(losses(LOOKING, "adamw"), losses(NOT_LOOKING, "adamw"));
        assert!(losses("MasterWeights", "adamw").iter().all(|loss| (loss - alone[0]).abs() < 0.01));
        assert!(losses("EmaNesterov", NOTHING).windows(2).all(|pair| pair[0] == pair[1]));
        assert!(prepare("Lookbehind", "adamw", SIZE, false).is_err());
    }
}
