//! The two curves around a sync, and the norms at it: `[probe]`.

use std::time::Instant;

use lookahead_core::tch_ext::inference;
use lookahead_core::{Lookahead, TchOptimizer};
use lookahead_run::event::{self, Event};

use super::log::Events;
use super::timing::Phase;
use crate::config::probe::ProbeConfig;
use crate::data::{Batch, Dataset};
use crate::models::Model;
use crate::train::setup::Training;

/// What is measured around a sync: the loss on the probe batch just before it at θ and just after it at φ,
/// and the norms just before it.
#[derive(Debug, Default)]
pub struct ProbeHook {
    /// None in a process that does not probe.
    probe: Option<Probe>,
    before: BeforeSync,
}

/// What was measured just before a sync.
#[derive(Debug, Default)]
struct BeforeSync {
    /// Number of the sync, counted from 1.
    sync: u64,
    fast_loss: Option<f64>,
    norms: Norms,
    seconds: f64,
}

impl ProbeHook {
    /// Takes the probe batch that a config asks for.
    ///
    /// # Errors
    /// None; what the data set panics with is the caller's to catch.
    pub(super) fn rebuild(&mut self, config: &ProbeConfig, t: &Training) -> anyhow::Result<()> {
        // In one process: the others would only repeat it.
        self.probe = Probe::new(config, &t.data, t.device).filter(|_| t.workers.is_rank_zero());
        Ok(())
    }

    /// Measures θ just before a sync.
    ///
    /// # Errors
    /// What libtorch says, or a loss that is NaN or infinity.
    pub(super) fn before_sync(
        &mut self,
        t: &mut Training,
        events: &mut Events,
    ) -> anyhow::Result<()> {
        let Some(lookahead) = t.optimizer.lookahead() else { return Ok(()) };
        let sync = lookahead.syncs() + 1;
        let probe = self.probe.as_ref().filter(|probe| probe.is_due(sync));
        if probe.is_some() {
            // It waits for the device anyway.
            events.read_losses(t)?;
        }
        let Some(lookahead) = t.optimizer.lookahead() else { return Ok(()) };
        events.timer.begin();
        let started = Instant::now();
        let fast_loss = probe.map(|probe| probe.loss(&t.model)).transpose()?;
        let seconds = started.elapsed().as_secs_f64();
        let norms = probe.map(|_| Norms::now(lookahead)).transpose()?.unwrap_or_default();
        events.timer.end(Phase::Probe);
        self.before = BeforeSync { sync, fast_loss, norms, seconds };
        Ok(())
    }

    /// Records a sync with what was measured before it, and measures φ, which is in the model now.
    ///
    /// # Errors
    /// What libtorch says.
    pub(super) fn after_sync(
        &self,
        t: &mut Training,
        events: &mut Events,
        last: bool,
    ) -> anyhow::Result<()> {
        let Some(lookahead) = t.optimizer.lookahead() else { return Ok(()) };
        let alpha = lookahead.alpha_used().unwrap_or_else(|| lookahead.alpha());
        let BeforeSync { sync, fast_loss, norms: Norms { distance, gradient }, seconds } =
            self.before;
        let synced = event::Sync { sync, alpha, distance, gradient_norm: gradient, last };
        events.record(t.state.step, Event::Sync(synced));
        let (Some(probe), Some(fast_loss)) = (&self.probe, fast_loss) else { return Ok(()) };
        events.timer.begin();
        let started = Instant::now();
        let slow_loss = probe.loss(&t.model)?;
        let seconds = seconds + started.elapsed().as_secs_f64();
        events.timer.end(Phase::Probe);
        let probed = event::Probe { sync, fast_loss, slow_loss, seconds };
        events.record(t.state.step, Event::Probe(probed));
        Ok(())
    }
}

/// One fixed batch of validation data, on which θ and φ are compared at syncs.
#[derive(Debug)]
pub struct Probe {
    every_syncs: u64,
    batch: Batch,
}

impl Probe {
    /// The first `samples` validation samples, on the model's device; `None` where probes are off.
    pub fn new(config: &ProbeConfig, data: &Dataset, device: tch::Device) -> Option<Self> {
        (config.every_syncs() > 0).then(|| {
            let samples = config.samples.unwrap_or(128).min(data.validation.len());
            let batch = data.validation.slice(0..samples, device);
            Probe { every_syncs: config.every_syncs(), batch }
        })
    }

    /// Whether sync number `sync`, counted from 1, is probed.
    pub fn is_due(&self, sync: u64) -> bool {
        sync.is_multiple_of(self.every_syncs)
    }

    /// The mean loss on the probe batch in evaluation mode, at the weights that are in the model.
    /// Draws no random number, so that probing changes nothing.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn loss(&self, model: &Model) -> anyhow::Result<f64> {
        let _guard = inference::guard();
        Ok(f64::try_from(model.loss(&self.batch, false))?)
    }
}

/// How far the training went in a cycle, and how steep the loss is, just before a sync.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Norms {
    /// ‖θ − φ‖.
    pub distance: Option<f64>,
    /// That of the last inner step's gradient, where this process has taken that step.
    pub gradient: Option<f64>,
}

impl Norms {
    /// Those of an optimizer that is about to sync. Changes nothing, and draws no random number.
    ///
    /// # Errors
    /// What the optimizer or libtorch says.
    pub fn now(lookahead: &mut Lookahead<TchOptimizer>) -> lookahead_core::Result<Self> {
        Ok(Norms { distance: Some(lookahead.distance()?), gradient: lookahead.gradient_norm()? })
    }
}
