//! The inner optimizer, `[optimizer]`, and Lookahead around it, `[lookahead]`.

use lookahead_core::{
    Accumulation, EmaNesterov, Error, InnerOptimizer, Lookahead, LookaheadConfig, Parameter,
    PrimalAveraging, State,
};
use tch::{Tensor, nn};

use crate::config::averaging::AveragingConfig;
use crate::distributed::WorkerGroup;
use crate::usage::UsageError;

/// The inner optimizer alone, or Lookahead around it.
#[derive(Debug)]
pub enum Optimizer {
    /// Without a section `[lookahead]`.
    Bare(Box<dyn InnerOptimizer>),
    /// With one. Boxed, since it is larger by far.
    Lookahead(Box<Lookahead<Box<dyn InnerOptimizer>>>),
    /// With an average of `[averaging]` that takes part in the training.
    Averaged(Averaged),
}

/// The inner optimizer in an average that takes part in the training.
#[derive(Debug)]
pub enum Averaged {
    /// Primal averaging, also with Schedule-Free's mean.
    Primal(Box<PrimalAveraging<Box<dyn InnerOptimizer>>>),
    /// EMA-Nesterov.
    Nesterov(Box<EmaNesterov<Box<dyn InnerOptimizer>>>),
}

impl Averaged {
    fn as_inner(&self) -> &dyn InnerOptimizer {
        match self {
            Averaged::Primal(primal) => &**primal,
            Averaged::Nesterov(nesterov) => &**nesterov,
        }
    }

    fn as_inner_mut(&mut self) -> &mut dyn InnerOptimizer {
        match self {
            Averaged::Primal(primal) => &mut **primal,
            Averaged::Nesterov(nesterov) => &mut **nesterov,
        }
    }

    /// Calls `work` with the result of the training in the model.
    pub fn with_result<T>(&mut self, work: impl FnOnce() -> T) -> lookahead_core::Result<T> {
        match self {
            Averaged::Primal(primal) => primal.with_result(work),
            Averaged::Nesterov(nesterov) => nesterov.with_result(work),
        }
    }

    /// The part of its state that holds the result.
    fn result_part(&self) -> &'static str {
        match self {
            Averaged::Primal(primal) => primal.result_part(),
            Averaged::Nesterov(nesterov) => nesterov.result_part(),
        }
    }
}

impl Optimizer {
    /// Lookahead around an inner optimizer for the model in `vs`, or that alone.
    ///
    /// # Errors
    /// A usage error if the inner optimizer lacks what the settings act on.
    pub fn new(
        inner: Box<dyn InnerOptimizer>,
        lookahead: Option<&LookaheadConfig>,
        vs: &nn::VarStore,
        workers: &WorkerGroup,
    ) -> anyhow::Result<Self> {
        Optimizer::with_alphas(inner, lookahead, &[], vs, workers)
    }

    /// As [`new`](Self::new), with the slow step sizes of groups that have their own.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_alphas(
        inner: Box<dyn InnerOptimizer>,
        lookahead: Option<&LookaheadConfig>,
        alphas: &[(usize, f64)],
        vs: &nn::VarStore,
        workers: &WorkerGroup,
    ) -> anyhow::Result<Self> {
        let Some(config) = lookahead else { return Ok(Optimizer::Bare(inner)) };
        let mut builder = Lookahead::around(inner).config(config.clone());
        if config.interpolate_statistics {
            builder = builder.interpolate_statistics(vs);
        }
        for (group, alpha) in alphas {
            builder = builder.alpha_of_group(*group, *alpha);
        }
        if let Some((group, dtype)) = workers.averages_weights() {
            builder = builder.workers(group, dtype);
        }
        let built = builder.build().map_err(|error| match error {
            Error::NoMoments { .. } | Error::NothingToPull { .. } | Error::NoCurvature => {
                anyhow::Error::new(UsageError::new(error.to_string()))
            }
            error => error.into(),
        });
        Ok(Optimizer::Lookahead(Box::new(built?)))
    }

    /// With the average that `[averaging]` selects around the inner optimizer, if it takes part in the training.
    ///
    /// # Errors
    /// Those of libtorch.
    pub fn averaged(self, config: &AveragingConfig) -> lookahead_core::Result<Self> {
        let Optimizer::Bare(inner) = self else { return Ok(self) };
        Ok(match (config.primal(), config.extrapolation()) {
            (Some(primal), _) => {
                let primal = PrimalAveraging::new(inner, primal)?;
                Optimizer::Averaged(Averaged::Primal(Box::new(primal)))
            }
            (None, Some(extrapolation)) => {
                let nesterov = EmaNesterov::new(inner, extrapolation)?;
                Optimizer::Averaged(Averaged::Nesterov(Box::new(nesterov)))
            }
            (None, None) => Optimizer::Bare(inner),
        })
    }

    /// The average that takes part in the training.
    pub fn average(&mut self) -> Option<&mut Averaged> {
        match self {
            Optimizer::Averaged(averaged) => Some(averaged),
            _ => None,
        }
    }

    /// The part of its state that holds the final model, if that is not θ.
    pub fn result_part(&self) -> Option<&'static str> {
        match self {
            Optimizer::Bare(_) => None,
            Optimizer::Lookahead(_) => Some("slow"),
            Optimizer::Averaged(averaged) => Some(averaged.result_part()),
        }
    }

    fn inner(&self) -> &dyn InnerOptimizer {
        match self {
            Optimizer::Bare(inner) => inner,
            Optimizer::Lookahead(lookahead) => lookahead.inner(),
            Optimizer::Averaged(averaged) => averaged.as_inner(),
        }
    }

    /// What takes the steps: Lookahead is an inner optimizer too.
    fn inner_mut(&mut self) -> &mut dyn InnerOptimizer {
        match self {
            Optimizer::Bare(inner) => inner,
            Optimizer::Lookahead(lookahead) => &mut **lookahead,
            Optimizer::Averaged(averaged) => averaged.as_inner_mut(),
        }
    }

    /// The trained parameters, in the inner optimizer's order.
    pub fn parameters(&self) -> &[Parameter] {
        self.inner().parameters()
    }

    /// Adds the gradients of the mean loss of a batch of `samples` samples to those of the step. The first clears
    /// them.
    pub fn backward(
        &mut self,
        step: &mut Accumulation,
        loss: &Tensor,
        samples: usize,
    ) -> lookahead_core::Result<()> {
        step.backward(self.inner_mut(), loss, samples as u64).map(drop)
    }

    /// Clips the elements of the gradients.
    pub fn clip_grad_value(&mut self, max: f64) -> lookahead_core::Result<()> {
        self.inner_mut().clip_grad_value(max)
    }

    /// Clips the gradients by their joint norm, and returns the norm before. If it is NaN or infinite, Lookahead
    /// applies its policy in the next step; an inner optimizer alone must not take it.
    pub fn clip_grad_norm(&mut self, max: f64) -> lookahead_core::Result<f64> {
        self.inner_mut().clip_grad_norm(max)
    }

    /// One step of the inner optimizer. False if it was skipped because of NaN or infinity in the gradients.
    pub fn inner_step(&mut self) -> lookahead_core::Result<bool> {
        match self {
            Optimizer::Bare(inner) => inner.step().map(|()| true),
            Optimizer::Lookahead(lookahead) => lookahead.inner_step(),
            Optimizer::Averaged(averaged) => averaged.as_inner_mut().step().map(|()| true),
        }
    }

    /// Whether the next [`sync_if_due`](Self::sync_if_due) syncs; never without Lookahead.
    pub fn sync_is_due(&self) -> bool {
        self.around().is_some_and(Lookahead::sync_is_due)
    }

    /// Syncs if k inner steps have been taken since the last sync. False if not, or if θ went back to φ
    /// instead.
    pub fn sync_if_due(&mut self) -> lookahead_core::Result<bool> {
        self.lookahead().map_or(Ok(false), Lookahead::sync_if_due)
    }

    /// As [`sync_if_due`](Self::sync_if_due), at the end of a run, also inside a cycle.
    pub fn finish(&mut self) -> lookahead_core::Result<bool> {
        self.lookahead().map_or(Ok(false), Lookahead::finish)
    }

    fn around(&self) -> Option<&Lookahead<Box<dyn InnerOptimizer>>> {
        match self {
            Optimizer::Lookahead(lookahead) => Some(lookahead),
            _ => None,
        }
    }

    /// The Lookahead around the inner optimizer.
    pub fn lookahead(&mut self) -> Option<&mut Lookahead<Box<dyn InnerOptimizer>>> {
        match self {
            Optimizer::Lookahead(lookahead) => Some(lookahead),
            _ => None,
        }
    }

    /// The synchronization period of the current cycle, and that of the next one if it differs. None
    /// without Lookahead.
    pub fn k(&self) -> (Option<u64>, Option<u64>) {
        self.around().map_or((None, None), |around| (Some(around.k()), around.pending_k()))
    }

    /// The slow step size that a sync would take now, by its schedule. None without Lookahead.
    pub fn alpha(&self) -> Option<f64> {
        self.around().map(Lookahead::alpha)
    }

    /// Inner steps since the last sync; 0 without Lookahead.
    pub fn phase(&self) -> u64 {
        self.around().map_or(0, Lookahead::phase)
    }

    /// Sets the slow step size, if there is one, of all but the groups with their own.
    pub fn set_alpha(&mut self, alpha: f64, alphas: &[(usize, f64)]) -> lookahead_core::Result<()> {
        let Some(lookahead) = self.lookahead() else { return Ok(()) };
        lookahead.set_alpha(alpha)?;
        alphas.iter().try_for_each(|(group, own)| lookahead.set_alpha_of_group(*group, *own))
    }

    /// Resets the moments of all trained parameters, if the inner optimizer gives its moments.
    pub fn reset_moments(&mut self) -> lookahead_core::Result<()> {
        let inner = self.inner_mut();
        if inner.moment_names().is_none() {
            return Ok(());
        }
        let trained = |of: &Parameter| of.tensor.requires_grad();
        let parameters = inner.parameters().iter().enumerate().filter(|(_, of)| trained(of));
        let parameters: Vec<usize> = parameters.map(|(i, _)| i).collect();
        parameters.into_iter().try_for_each(|parameter| inner.reset_moments(parameter))
    }

    /// Sets the learning rate.
    pub fn set_learning_rate(&mut self, lr: f64) -> lookahead_core::Result<()> {
        self.inner_mut().set_learning_rate(lr)
    }

    /// Sets the weight decay.
    pub fn set_weight_decay(&mut self, weight_decay: f64) -> lookahead_core::Result<()> {
        self.inner_mut().set_weight_decay(weight_decay)
    }

    /// Everything that determines the next steps apart from the model's variables.
    pub fn state(&mut self) -> lookahead_core::Result<State> {
        self.inner_mut().state()
    }

    /// As [`state`](Self::state), in the memory of an earlier state.
    pub fn state_into(&mut self, state: &mut State) -> lookahead_core::Result<()> {
        self.inner_mut().state_into(state)
    }

    /// Loads a saved state.
    ///
    /// # Errors
    /// If it does not fit; nothing is changed then.
    pub fn load_state(&mut self, state: &State) -> lookahead_core::Result<()> {
        self.inner_mut().load_state(state)
    }
}
