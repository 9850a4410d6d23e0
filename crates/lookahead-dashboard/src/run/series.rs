//! The curves of a run.

use std::collections::BTreeMap;

use lookahead_run::event::{Evaluation, MetricInfo, Probe, Scalars, Step, Sync};

use super::weights::ByWeights;
use crate::cycles::Cycles;
use crate::history::History;

#[derive(Debug, Default)]
pub(crate) struct Evaluations {
    pub(crate) loss: History,
    metrics: BTreeMap<String, History>,
    /// The curve of a metric that was never measured.
    empty: History,
}

impl Evaluations {
    /// The curve of a metric.
    pub(crate) fn metric(&self, name: &str) -> &History {
        self.metrics.get(name).unwrap_or(&self.empty)
    }
}

/// The curves of a run, by step.
#[derive(Debug, Default)]
pub(crate) struct RunSeries {
    /// Training loss, at the fast weights.
    pub(crate) loss: History,
    pub(crate) learning_rate: History,
    /// Training samples per second.
    pub(crate) throughput: History,
    /// Loss on the probe batch: at the fast weights just before a sync, at the slow ones just after.
    pub(crate) probe: ByWeights<History>,
    /// What a sync gains: the probe loss of the fast weights minus that of the slow ones.
    pub(crate) gain: History,
    /// Seconds spent on probes so far.
    pub(crate) probe_seconds: History,
    /// Syncs so far.
    pub(crate) syncs: History,
    pub(crate) alpha: History,
    /// Distance between the fast and the slow weights at syncs.
    pub(crate) distance: History,
    pub(crate) gradient_norm: History,
    pub(crate) validation: ByWeights<Evaluations>,
    pub(crate) cycles: Cycles,
    /// The numbers that the program logs by name.
    pub(crate) scalars: BTreeMap<String, History>,
    /// The first step at which one of them was finite.
    first_scalar: Option<u64>,
    /// The curve of a number that was never logged.
    nothing: History,
}

/// Most names whose numbers are kept, and most buckets of each: half a MiB, so that hundreds of them fit.
pub(crate) const NAMES: usize = 1000;
const SCALAR_CAPACITY: usize = 1 << 12;

impl RunSeries {
    pub(super) fn add_step(&mut self, step: u64, event: &Step) {
        self.loss.push(step, event.loss);
        self.learning_rate.push(step, event.learning_rate);
        self.throughput.push(step, event.samples_per_second);
        self.cycles.step(step, event.phase, event.loss);
    }

    pub(super) fn add_sync(&mut self, step: u64, sync: &Sync) {
        self.syncs.push(step, sync.sync as f64);
        self.alpha.push(step, sync.alpha);
        if let Some(distance) = sync.distance {
            self.distance.push(step, distance);
        }
        if let Some(norm) = sync.gradient_norm {
            self.gradient_norm.push(step, norm);
        }
        // The last sync of a run that ended inside a cycle doesn't make that cycle whole.
        if !sync.last {
            self.cycles.sync(step);
        }
    }

    pub(super) fn add_probe(&mut self, step: u64, probe: &Probe) {
        self.probe.fast.push(step, probe.fast_loss);
        self.probe.slow.push(step, probe.slow_loss);
        self.gain.push(step, probe.fast_loss - probe.slow_loss);
        self.cycles.probe(step, probe.fast_loss, probe.slow_loss);
        let before = self.probe_seconds.newest().unwrap_or(0.0);
        self.probe_seconds.push(step, before + probe.seconds);
    }

    /// Adds numbers by name; returns whether there were too many names.
    pub(super) fn add_scalars(&mut self, step: u64, scalars: Scalars) -> bool {
        let mut too_many = false;
        for (name, value) in scalars.values {
            if value.is_finite() {
                self.first_scalar = Some(self.first_scalar.map_or(step, |first| first.min(step)));
            }
            if let Some(history) = self.scalars.get_mut(&name) {
                history.push(step, value);
            } else if self.scalars.len() < NAMES {
                let mut history = History::new(SCALAR_CAPACITY);
                history.push(step, value);
                self.scalars.insert(name, history);
            } else {
                too_many = true;
            }
        }
        too_many
    }

    /// The curve of a number by name.
    pub(crate) fn scalar(&self, name: &str) -> &History {
        self.scalars.get(name).unwrap_or(&self.nothing)
    }

    /// The first step of its curves.
    pub(crate) fn first_step(&self) -> Option<u64> {
        self.loss.first_step().or(self.first_scalar)
    }

    pub(super) fn add_validation(
        &mut self,
        step: u64,
        evaluation: &Evaluation,
        metrics: &[MetricInfo],
    ) {
        let evaluations = self.validation.of_mut(evaluation.weights);
        evaluations.loss.push(step, evaluation.loss);
        for MetricInfo { name, .. } in metrics {
            let value = evaluation.value(name).unwrap_or(f64::NAN);
            evaluations.metrics.entry(name.clone()).or_default().push(step, value);
        }
    }
}
