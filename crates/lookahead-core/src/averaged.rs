//! An inner optimizer with an average beside it: what primal averaging, EMA-Nesterov and a tail average share.
//!
//! ```text
//! the gradient is computed at the model's weights
//! the inner optimizer steps                        at the model's weights, or at a point of its own
//! the rule averages, and moves the model           `AveragingRule`
//! ```

mod evaluation;
mod inner_point;
mod invariants;
mod nested;
mod partial;
mod restart;
mod saving;

use std::collections::BTreeSet;

use tch::Tensor;

use crate::averaging_rule::{AveragingRule, Part};
use crate::mutation_detector::MutationDetector;
use crate::swapped_weights::SwappedWeights;
use crate::{Error, InnerOptimizer, Result, SyncPath};

pub use evaluation::ResultWeights;

/// An inner optimizer `O` with an average beside it, made by the rule `R` after each step: a
/// [`PrimalAveraging`](crate::PrimalAveraging), an [`EmaNesterov`](crate::EmaNesterov) or a
/// [`TailAverage`](crate::TailAverage). The result of the training is not what the model holds during it: evaluate
/// it with [`with_result`](Self::with_result), and end with [`finish`](Self::finish).
///
/// It is an inner optimizer itself, so a Lookahead may be around it, and it around a Lookahead. Like Lookahead it
/// notices weights that other code has changed, leaves frozen variables alone, and takes late ones. A parameter
/// that the inner step does not move stays as it is. NaN and infinity reach no average: the step fails instead.
#[derive(Debug)]
pub struct AveragedOptimizer<O: InnerOptimizer, R: AveragingRule> {
    inner: O,
    rule: R,
    /// The slots of each parameter.
    kept: Vec<Vec<Tensor>>,
    /// The version counters of the variables at the inner optimizer's point.
    inner_versions: Vec<u32>,
    /// Whether that point has moved while the inner optimizer did not look.
    inner_point_moved: bool,
    /// Whether the inner optimizer begins again from its point, since parameters were reset.
    inner_restarts: bool,
    steps: u64,
    /// How often the result has changed.
    result_version: u32,
    detector: MutationDetector,
    /// The model's own values while the result is in it.
    swapped: Option<SwappedWeights>,
    /// The variable whose result was written to while it was in the model.
    corrupted: Option<String>,
    /// The parameters that were reset since the last step.
    reset: BTreeSet<usize>,
    /// The variable in which the last step has left NaN or infinity.
    refused: Option<String>,
    path: SyncPath,
}

impl<O: InnerOptimizer, R: AveragingRule> AveragedOptimizer<O, R> {
    pub(crate) fn from_parts(inner: O, rule: R) -> Result<Self> {
        let mut built = AveragedOptimizer {
            inner,
            rule,
            kept: Vec::new(),
            inner_versions: Vec::new(),
            inner_point_moved: false,
            inner_restarts: false,
            steps: 0,
            result_version: 0,
            detector: MutationDetector::default(),
            swapped: None,
            corrupted: None,
            reset: BTreeSet::new(),
            refused: None,
            path: SyncPath::Auto,
        };
        built.at_inner_point(|_| Ok(()))?;
        built.detector.start_over(built.inner.parameters());
        built.record_versions()?;
        Ok(built)
    }

    /// The inner optimizer.
    pub fn inner(&self) -> &O {
        &self.inner
    }

    /// The inner optimizer, for example to change its settings. Don't let it step or load a state.
    pub fn inner_mut(&mut self) -> &mut O {
        &mut self.inner
    }

    /// The rule, with its settings.
    pub fn rule(&self) -> &R {
        &self.rule
    }

    pub(crate) fn rule_mut(&mut self) -> &mut R {
        &mut self.rule
    }

    /// The part of its state that holds the result: `average` for primal averaging and a tail average, `iterate` for
    /// EMA-Nesterov.
    pub fn result_part(&self) -> &'static str {
        R::SLOTS[R::RESULT].key
    }

    /// The steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Sets which operations average. Only comparisons and tests need this.
    pub fn set_path(&mut self, path: SyncPath) {
        self.path = path;
    }

    /// Computes the gradients of `loss` and takes a step.
    ///
    /// # Errors
    /// As [`step`](InnerOptimizer::step), and libtorch's for a loss that is not a scalar or has no graph.
    pub fn backward_step(&mut self, loss: &Tensor) -> Result<()> {
        self.zero_grad()?;
        loss.f_backward()?;
        self.step()
    }

    /// A step of the inner optimizer, averaged.
    fn take_step(&mut self) -> Result<()> {
        self.check_invariants()?;
        if let Some(name) = &self.refused {
            return Err(Error::NonFiniteStep { name: name.clone() });
        }
        let before = self.inner.steps_taken();
        let versions = self.inner_versions.clone();
        let stepped = self.at_inner_point(InnerOptimizer::step);
        let written = self.written_by_inner(&versions);
        // libtorch's optimizers step a frozen variable that still has a gradient, and leave no trace.
        let moved: Vec<usize> = (0..self.detector.len())
            .filter(|&i| !self.is_trained(i) && self.has_gradient(i))
            .collect();
        self.detector.follow(&moved);
        self.record_versions()?;
        stepped?;
        let written = written?;
        if before.is_some() && before == self.inner.steps_taken() {
            return Ok(()); // a nested level has skipped the step
        }
        self.steps += 1;
        self.reset.clear();
        let averaged = self.average(&written);
        self.record_versions()?;
        averaged
    }

    /// What the inner optimizer has written to: a Lookahead that syncs moves also what has no gradient.
    fn written_by_inner(&self, versions: &[u32]) -> Result<Vec<usize>> {
        if R::INNER_POINT.is_none() {
            return self.detector.written(self.inner.parameters());
        }
        let pairs = versions.iter().zip(&self.inner_versions).enumerate();
        Ok(pairs.filter(|(_, (before, now))| before != now).map(|(i, _)| i).collect())
    }

    fn average(&mut self, written: &[usize]) -> Result<()> {
        let needs_rates = self.rule.needs_learning_rates();
        let rates = if needs_rates { self.inner.learning_rates()? } else { Vec::new() };
        self.rule.begin(self.steps, &rates);
        let parameters = self.inner.parameters();
        let moved = |i: &usize| self.has_gradient(*i) || written.binary_search(i).is_ok();
        let moved: Vec<usize> = self.trained().filter(moved).collect();
        let part = |i: usize| Part {
            slots: &self.kept[i],
            model: &parameters[i].tensor,
            group: parameters[i].group,
        };
        let parts: Vec<Part<'_>> = moved.iter().map(|&i| part(i)).collect();
        let _guard = tch::no_grad_guard();
        // Variables that overlap in memory would be written by several threads at once.
        let at_once = if self.detector.shares_memory() { 1 } else { parts.len().max(1) };
        let mut finite = true;
        for parts in parts.chunks(at_once) {
            finite &= self.rule.average(parts, self.path)?;
        }
        if !finite {
            self.refused = self.first_non_finite(moved.into_iter())?;
        }
        self.result_version = self.result_version.wrapping_add(1);
        if self.rule.moves_model() {
            self.inner.parameters_accepted()?;
        }
        match &self.refused {
            Some(name) => Err(Error::NonFiniteStep { name: name.clone() }),
            None => Ok(()),
        }
    }
}
