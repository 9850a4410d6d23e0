//! The two curves around a sync, and the norms at it: `[probe]`.

use std::collections::HashMap;
use std::time::Instant;

use lookahead_core::VariableNorms;
use lookahead_core::tch_ext::inference;
use lookahead_run::event::{self, Event};
use lookahead_run::words::sentences;
use tch::Device;

use super::timing::Phase;
use crate::config::probe::ProbeConfig;
use crate::data::{Batch, Dataset};
use crate::models::Model;
use crate::objective::Objective;
use crate::panics::caught;
use crate::train::hook::{Hook, HookContext};

/// Measures the loss on the probe batch just before a sync, at θ, and just after it, at φ; and how far θ is
/// from φ before it.
#[derive(Debug, Default)]
pub struct ProbeHook {
    /// From the first probe on.
    batch: Option<ProbeBatch>,
    before: BeforeSync,
}

/// What was measured just before a sync.
#[derive(Debug, Default)]
struct BeforeSync {
    /// Number of the sync, counted from 1.
    sync: u64,
    fast_loss: Option<f64>,
    /// ‖θ − φ‖.
    distance: Option<f64>,
    /// The norm of the last inner step's gradient before it was clipped, if this process took that step.
    gradient: Option<f64>,
    /// If `probe.layers` asks for it.
    layers: Option<event::Layers>,
    seconds: f64,
}

impl ProbeHook {
    /// Loads the probe batch if the run probes from the start.
    ///
    /// # Errors
    /// If it can't be read, or there is no memory for it.
    pub(super) fn new(config: &ProbeConfig, data: &Dataset, model: &Model) -> anyhow::Result<Self> {
        let batch = (config.every_syncs() > 0)
            .then(|| caught(|| ProbeBatch::new(config, data, model.vs.device())))
            .transpose()?;
        Ok(ProbeHook { batch, before: BeforeSync::default() })
    }

    /// Loads the batch if it isn't loaded: probes may be turned on during the run. If that fails they are left
    /// out.
    fn load(&mut self, context: &mut HookContext<'_>) {
        if self.batch.is_none() {
            let (config, data) = (&context.config.probe, context.data);
            let device = context.model.vs.device();
            match caught(|| ProbeBatch::new(config, data, device)) {
                Ok(batch) => self.batch = Some(batch),
                Err(error) => {
                    context.warn(format!("This probe is left out. {}", sentences(error.as_ref())))
                }
            }
        }
    }
}

impl Hook for ProbeHook {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn before_sync(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        self.before = BeforeSync::default();
        let Some(lookahead) = context.optimizer.lookahead() else { return Ok(()) };
        let (sync, every) = (lookahead.syncs() + 1, context.config.probe.every_syncs());
        self.before.sync = sync;
        // Clipping has measured it.
        self.before.gradient = context.events.gradient_norm;
        // In one process: the others would only repeat it.
        if every == 0 || !sync.is_multiple_of(every) || !context.workers.is_rank_zero() {
            return Ok(());
        }
        // A probe waits for the device anyway.
        context.read_losses()?;
        self.load(context);
        let Some(batch) = &self.batch else { return Ok(()) };
        context.events.timer.begin();
        let started = Instant::now();
        self.before.fast_loss = Some(batch.loss(context.objective, context.model)?);
        self.before.seconds = started.elapsed().as_secs_f64();
        if let Some(lookahead) = context.optimizer.lookahead() {
            self.before.distance = Some(lookahead.distance()?);
            if self.before.gradient.is_none() {
                self.before.gradient = lookahead.gradient_norm()?;
            }
            if context.config.probe.layers {
                self.before.layers = Some(layers(sync, &lookahead.variable_norms()?));
            }
        }
        context.events.timer.end(Phase::Probe);
        Ok(())
    }

    /// Records the sync with what was measured before it, and measures φ, which is in the model now.
    fn after_sync(&mut self, context: &mut HookContext<'_>, last: bool) -> anyhow::Result<()> {
        let Some(lookahead) = context.optimizer.lookahead() else { return Ok(()) };
        let alpha = lookahead.alpha_used().unwrap_or_else(|| lookahead.alpha());
        let layers = self.before.layers.take();
        let BeforeSync { sync, fast_loss, distance, gradient, seconds, .. } = self.before;
        let synced = event::Sync { sync, alpha, distance, gradient_norm: gradient, last };
        context.record(Event::Sync(synced));
        layers.into_iter().for_each(|layers| context.record(Event::Layers(layers)));
        let (Some(batch), Some(fast_loss)) = (&self.batch, fast_loss) else { return Ok(()) };
        context.events.timer.begin();
        let started = Instant::now();
        let slow_loss = batch.loss(context.objective, context.model)?;
        let seconds = seconds + started.elapsed().as_secs_f64();
        context.events.timer.end(Phase::Probe);
        context.record(Event::Probe(event::Probe { sync, fast_loss, slow_loss, seconds }));
        Ok(())
    }
}

/// The norms of each layer: the variables of one module together, in the order of the model.
fn layers(sync: u64, variables: &[VariableNorms]) -> event::Layers {
    let mut found = event::Layers { sync, names: vec![], distance: vec![], gradient_norm: vec![] };
    let mut indices = HashMap::<&str, usize>::new();
    for VariableNorms { name, distance, gradient, .. } in variables {
        let layer = name.rsplit_once('.').map_or(name.as_str(), |(layer, _)| layer);
        let index = *indices.entry(layer).or_insert(found.names.len());
        if index == found.names.len() {
            found.names.push(layer.to_owned());
            found.distance.push(0.0);
            found.gradient_norm.push(0.0);
        }
        found.distance[index] = found.distance[index].hypot(*distance);
        found.gradient_norm[index] = found.gradient_norm[index].hypot(*gradient);
    }
    let values = found.distance.iter_mut().chain(&mut found.gradient_norm);
    values.for_each(|value| *value = six_digits(*value));
    found
}

/// A picture shows no more, and the log has half the bytes.
fn six_digits(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// A fixed batch of validation data, on which θ and φ are compared at syncs.
#[derive(Debug)]
pub(crate) struct ProbeBatch(Batch);

impl ProbeBatch {
    /// The first `probe.samples` validation samples, on the model's device.
    ///
    /// # Errors
    /// If they can't be read.
    pub(crate) fn new(
        config: &ProbeConfig,
        data: &Dataset,
        device: Device,
    ) -> anyhow::Result<Self> {
        let samples = config.samples.unwrap_or(128).min(data.validation.len());
        Ok(ProbeBatch(data.validation.slice(0..samples, device)?))
    }

    /// The mean loss in evaluation mode, at the weights that are in the model. Draws no random number, so
    /// that probing changes nothing.
    pub(crate) fn loss(&self, objective: &Objective, model: &Model) -> anyhow::Result<f64> {
        let _guard = inference::guard();
        Ok(f64::try_from(objective.loss(model, &self.0, false)?)?)
    }
}
