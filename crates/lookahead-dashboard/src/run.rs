//! What is known of one run, and how its events change that.
//!
//! | module | contents |
//! |---|---|
//! | `series` | its curves |
//! | `layers` | the norms of its layers |
//! | `latest` | the newest of what it reports now and then |
//! | `pending` | commands that no event has confirmed yet |
//! | `connection` | its process and its log |
//! | `weights` | one value for each set of weights |

pub(crate) mod connection;
pub(crate) mod latest;
pub(crate) mod layers;
pub(crate) mod pending;
pub(crate) mod series;
mod weights;

use lookahead_run::event::{
    Changed, Checkpoint, Evaluation, Event, MetricInfo, Record, Resumed, RunEnded, RunInfo,
    Scalars, Split, Status, Task, TaskInfo, Weights,
};
use lookahead_run::{RunSummary, program_name, summary};

use crate::clock::Clock;
use crate::format;
use crate::messages::{Messages, Severity};
use crate::viewport::Axis;
use connection::{Connection, Control, Lost};
use latest::{LatestReports, SavedCheckpoint};
use layers::LayerSeries;
use pending::{PendingCommands, Transition};
use series::{NAMES, RunSeries};

/// Seconds from which on a message says how long training waited for a checkpoint.
const NOTABLE: f64 = 0.5;

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunState {
    /// It has reported nothing yet.
    Waiting,
    /// Nothing in its log can be read.
    Unreadable,
    Training,
    Paused,
    Ended(Status),
    /// Its process is gone, and its log has no end.
    Crashed,
}

/// All that is known of a run.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// The name of its folder, until its first event names it.
    pub(crate) name: String,
    pub(crate) hidden: bool,
    pub(crate) connection: Connection,
    pub(crate) pending: PendingCommands,
    pub(crate) summary: RunSummary,
    pub(crate) series: RunSeries,
    pub(crate) layers: LayerSeries,
    pub(crate) latest: LatestReports,
    pub(crate) clock: Clock,
    pub(crate) messages: Messages,
}

impl Run {
    pub(crate) fn new(name: &str) -> Self {
        Run { name: name.to_owned(), ..Run::default() }
    }

    /// Forgets all events: they come again from the first, or are another run's.
    pub(crate) fn restart(&mut self) {
        let before = std::mem::take(self);
        self.connection = Connection { reading: None, ..before.connection };
        (self.name, self.hidden) = (before.name, before.hidden);
    }

    pub(crate) fn state(&self) -> RunState {
        match &self.summary.state {
            summary::State::Ended(ended) => RunState::Ended(ended.status),
            // There is no event, so the warnings are about the log itself.
            summary::State::Waiting if self.summary.warnings > 0 => RunState::Unreadable,
            _ if self.connection.alive == Some(false) => RunState::Crashed,
            summary::State::Waiting => RunState::Waiting,
            summary::State::Training => RunState::Training,
            summary::State::Paused => RunState::Paused,
        }
    }

    fn is_training(&self) -> bool {
        self.summary.state == summary::State::Training
    }

    /// Whether it ended before its last step because it stopped improving.
    pub(crate) fn stopped_early(&self) -> bool {
        self.summary.ended().is_some_and(RunEnded::stopped_early)
    }

    /// Data, model and optimizer, from its first event on.
    pub(crate) fn info(&self) -> Option<&RunInfo> {
        self.summary.info.as_ref()
    }

    /// Inner steps taken.
    pub(crate) fn step(&self) -> u64 {
        self.summary.step
    }

    pub(crate) fn total_steps(&self) -> u64 {
        self.summary.total_steps()
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state(), RunState::Ended(_) | RunState::Crashed)
    }

    pub(crate) fn accepts_commands(&self) -> bool {
        let connection = &self.connection;
        let is_open = connection.lost.is_none() && connection.control == Control::Open;
        is_open && !self.has_ended() && !self.pending.stop
    }

    /// Whether the next press of the pause key continues the run.
    pub(crate) fn would_continue(&self) -> bool {
        match self.pending.transition {
            Some(requested) => requested == Transition::Pause,
            None => self.summary.state == summary::State::Paused,
        }
    }

    pub(crate) fn note(&mut self, time: f64, severity: Severity, text: &str) {
        let at = self.clock.elapsed(time);
        self.messages.push(at, self.summary.step, severity, text);
    }

    pub(crate) fn has_lookahead(&self) -> bool {
        self.info().is_none_or(|info| info.lookahead.is_some())
            || !self.series.probe.slow.is_empty()
    }

    /// Whether its final model is an average of the fast weights.
    pub(crate) fn averages(&self) -> bool {
        let kind = self.info().and_then(|info| info.config.pointer("/averaging/kind")?.as_str());
        kind.is_some_and(|kind| kind != "none")
    }

    /// Whether it is of a program's own loop, which logs only numbers by name.
    pub(crate) fn is_recorded(&self) -> bool {
        self.info().is_some_and(|info| info.task.kind == Task::Recorded)
    }

    /// How to read a number by name.
    pub(crate) fn scalar_metric(&self, name: &str) -> MetricInfo {
        let known = self.info().and_then(|info| info.task.metric(name));
        known.unwrap_or_else(|| MetricInfo { name: name.to_owned(), ..MetricInfo::loss() })
    }

    /// The metrics of its evaluations, the most important one first.
    pub(crate) fn metrics(&self) -> Vec<MetricInfo> {
        self.info().map_or_else(|| TaskInfo::default().metrics(), |info| info.task.metrics())
    }

    /// The metric to show if there is room for one: the first, or the loss.
    pub(crate) fn headline(&self) -> MetricInfo {
        self.metrics().into_iter().next().unwrap_or_else(MetricInfo::loss)
    }

    /// The metric of the chart beside that of the loss: a fraction if there is one, since a perplexity looks like
    /// the loss.
    pub(crate) fn chart_metric(&self) -> MetricInfo {
        let mut all = self.metrics();
        // A recorded run has a chart for each number.
        let first = all.iter().position(|metric| metric.percent && !self.is_recorded());
        let best = first.unwrap_or(0);
        if all.is_empty() { MetricInfo::accuracy() } else { all.swap_remove(best) }
    }

    fn steps_per_epoch(&self) -> f64 {
        self.info().map_or(0, |info| info.steps_per_epoch).max(1) as f64
    }

    /// The position of a step on an axis: in epochs, or in seconds of training.
    pub(crate) fn position(&self, axis: Axis, step: u64) -> f64 {
        match axis {
            Axis::Step => step as f64,
            Axis::Epoch => step as f64 / self.steps_per_epoch(),
            Axis::Time => self.clock.at(step),
        }
    }

    /// The step at a position of an axis.
    pub(crate) fn step_at(&self, axis: Axis, position: f64) -> u64 {
        let position = position.max(0.0);
        match axis {
            // The cast of a value that is too large gives the largest step.
            Axis::Step => position.round() as u64,
            Axis::Epoch => (position * self.steps_per_epoch()).round() as u64,
            Axis::Time => self.clock.step_at(position),
        }
    }

    /// Fraction of the training time spent on probes.
    pub(crate) fn probing_cost(&self, now: f64) -> Option<f64> {
        let elapsed = self.clock.elapsed(now);
        let seconds = self.series.probe_seconds.newest()?;
        (elapsed > 0.0 && seconds.is_finite()).then(|| (seconds / elapsed).min(1.0))
    }

    /// Applies the next event.
    pub(crate) fn apply(&mut self, record: Record) {
        if matches!(record.event, Event::RunStarted(_)) {
            self.restart();
        }
        if self.state() == RunState::Crashed {
            self.revive(record.time);
        }
        let was_training = self.is_training();
        self.summary.apply(&record);
        let Record { time, step, event } = record;
        self.clock.happened(time);
        match event {
            Event::RunStarted(_) => self.begin(time),
            Event::Resumed(resumed) => self.resume(time, resumed),
            Event::Step(event) => {
                // A step proves that the run trains, even if a pause was revoked before it began.
                if !was_training || self.pending.transition == Some(Transition::Continue) {
                    self.continue_training(time);
                }
                self.series.add_step(step, &event);
                self.clock.step(step, time);
                self.latest.step = Some(event);
            }
            Event::Sync(sync) => self.series.add_sync(step, &sync),
            Event::Probe(probe) => {
                self.series.add_probe(step, &probe);
                self.latest.probe = Some(probe);
            }
            Event::Layers(layers) => self.layers.push(step, layers),
            Event::Evaluation(evaluation) => self.apply_evaluation(step, time, &evaluation),
            Event::Scalars(scalars) => self.apply_scalars(step, time, scalars),
            Event::Checkpoint(checkpoint) => self.apply_checkpoint(time, checkpoint),
            Event::Paused => {
                self.clock.stop(time);
                self.pending.confirm(Transition::Pause);
                self.note(time, Severity::Info, "paused");
            }
            Event::Continued => {
                self.continue_training(time);
                self.note(time, Severity::Info, "continued");
            }
            Event::Suspended(event) => {
                self.clock.suspended(time - event.seconds, time);
                let text = format!("suspended for {}", format::duration(event.seconds));
                self.note(time, Severity::Info, &text);
            }
            Event::Changed(changed) => self.apply_change(time, &changed),
            Event::Timing(timing) => self.latest.timing = Some(timing),
            Event::System(system) => self.latest.system = Some(system),
            Event::Ranks(ranks) => self.latest.ranks = ranks.ranks,
            Event::Note(event) => self.note(time, Severity::Info, &event.message),
            Event::Warning(warning) => self.note(time, Severity::Warning, &warning.message),
            Event::RunEnded(end) => self.apply_end(time, end),
            // The warning that comes with each has the sentence.
            Event::RolledBack(_) | Event::Stalled(_) | Event::Unknown => {}
        }
    }

    fn begin(&mut self, time: f64) {
        if self.name.is_empty()
            && let Some(info) = &self.summary.info
        {
            self.name.clone_from(&info.run);
        }
        self.clock.start(time);
        self.forget_config();
        // Commands to an earlier process of the run no longer count.
        self.pending = PendingCommands::default();
    }

    /// Keeps of the configuration only what is shown: there may be thousands of runs.
    fn forget_config(&mut self) {
        // The settings of a recorded run are completed in the prompt.
        if self.is_recorded() {
            return;
        }
        if let Some(info) = &mut self.summary.info {
            let averaging = info.config.get_mut("averaging").map(serde_json::Value::take);
            info.config = serde_json::json!({ "averaging": averaging });
        }
    }

    fn resume(&mut self, time: f64, resumed: Resumed) {
        (self.latest.probe, self.latest.step) = (None, None);
        self.clock.resume(time);
        self.begin(time);
        self.note(time, Severity::Info, &format!("resumed from {}", resumed.checkpoint));
        self.latest.checkpoint =
            Some(SavedCheckpoint { name: resumed.checkpoint, time, cost: None });
    }

    fn continue_training(&mut self, time: f64) {
        self.clock.start(time);
        self.pending.confirm(Transition::Continue);
    }

    fn apply_evaluation(&mut self, step: u64, time: f64, evaluation: &Evaluation) {
        let Evaluation { weights, loss, .. } = *evaluation;
        let headline = self.headline();
        let value = evaluation.value(&headline.name).unwrap_or(f64::NAN);
        let split = match evaluation.split {
            Split::Validation => {
                let metrics = self.metrics();
                self.series.add_validation(step, evaluation, &metrics);
                "validation"
            }
            Split::Test => {
                *self.latest.test.of_mut(weights) = Some(value);
                "test"
            }
        };
        let weights = match weights {
            Weights::Slow => "slow",
            Weights::Fast => "fast",
            Weights::Average => "average",
        };
        let of = match evaluation.model_step {
            Some(step) => format!(" (best model, of step {})", format::count(step)),
            None => String::new(),
        };
        let written = format::loss(loss);
        let value = headline.format(value);
        let text = match &*headline.name {
            "loss" => format!("{weights} loss {written}{of}"),
            "accuracy" => format!("{weights} {value} loss {written}{of}"),
            _ => format!("{weights} {} {value} loss {written}{of}", headline.label()),
        };
        let at = self.clock.elapsed(time);
        self.messages.push_topic(at, step, split, &text);
    }

    fn apply_scalars(&mut self, step: u64, time: f64, mut scalars: Scalars) {
        if self.is_recorded() {
            self.clock.step(step, time);
            if let Some(loss) = scalars.values.remove(Scalars::LOSS) {
                self.series.loss.push(step, loss);
            }
            if let Some(rate) = scalars.values.remove(Scalars::LEARNING_RATE) {
                self.series.learning_rate.push(step, rate);
            }
        }
        let reported = std::mem::replace(&mut self.latest.names_are_full, true);
        self.latest.names_are_full = self.series.add_scalars(step, scalars) || reported;
        if self.latest.names_are_full && !reported {
            let text = format!(
                "more than {} metrics: later ones have no chart, and `{} export --csv` has all",
                crate::format::count(NAMES as u64),
                program_name()
            );
            self.note(time, Severity::Warning, &text);
        }
    }

    fn apply_checkpoint(&mut self, time: f64, checkpoint: Checkpoint) {
        self.pending.checkpoint = false;
        let size = format::bytes(checkpoint.bytes);
        // Shorter times don't matter, and the numbers have them.
        let waited = if checkpoint.seconds < NOTABLE {
            String::new()
        } else {
            format!(", training waited {}", format::cost(checkpoint.seconds))
        };
        self.note(time, Severity::Info, &format!("saved {} ({size}{waited})", checkpoint.name));
        let cost = Some([checkpoint.seconds, checkpoint.write_seconds]);
        self.latest.checkpoint = Some(SavedCheckpoint { name: checkpoint.name, time, cost });
    }

    fn apply_change(&mut self, time: f64, changed: &Changed) {
        for (key, value) in &changed.changes {
            self.note(time, Severity::Good, &format!("{key} is {value} from here on"));
            let lookahead = self.summary.info.as_mut().and_then(|info| info.lookahead.as_mut());
            let Some(lookahead) = lookahead else { continue };
            match key.as_str() {
                "lookahead.k" => {
                    lookahead.k = value.as_u64().unwrap_or(lookahead.k);
                    // A new k begins with a cycle.
                    self.latest.step.iter_mut().for_each(|step| step.phase = 0);
                }
                "lookahead.alpha" => lookahead.alpha = value.as_f64().unwrap_or(lookahead.alpha),
                _ => {}
            }
        }
    }

    fn apply_end(&mut self, time: f64, end: RunEnded) {
        self.clock.stop(time);
        self.pending.transition = None;
        self.pending.checkpoint = false;
        let (severity, text) = match end.status {
            Status::Finished if self.stopped_early() => (Severity::Good, "stopped early"),
            Status::Finished => (Severity::Good, "finished"),
            Status::Stopped if self.is_recorded() => (Severity::Info, "stopped"),
            Status::Stopped => (Severity::Info, "stopped, with a checkpoint saved"),
            Status::Failed => (Severity::Error, "failed"),
        };
        match end.message {
            Some(message) => self.note(time, severity, &format!("{text}: {message}")),
            None => self.note(time, severity, text),
        }
    }

    /// The run turns out not to have crashed.
    fn revive(&mut self, time: f64) {
        self.connection.alive = None;
        if self.is_training() {
            self.clock.start(time);
        }
    }

    /// The way to its machine is lost, or still is.
    pub(crate) fn on_disconnect(&mut self, lost: Lost, now: f64) {
        if self.connection.lost.is_none() {
            let text = format!("connection to {} lost: {}", lost.host, lost.why);
            self.note(now, Severity::Warning, &text);
        }
        self.connection.lost = Some(lost);
    }

    /// Its process was found, or found missing.
    pub(crate) fn on_heartbeat(&mut self, alive: bool, now: f64) {
        let before = self.state();
        if alive && before == RunState::Crashed {
            self.revive(now);
        }
        self.connection.alive = Some(alive);
        if self.state() == RunState::Crashed && before != RunState::Crashed {
            // Its clock stops at its last event, whenever the crash is noticed.
            self.clock.stop(self.summary.last_time.unwrap_or(0.0));
            let text = format!(
                "crashed: its process is gone, and its log has no end; `{} resume` continues from \
                 its newest checkpoint",
                program_name()
            );
            self.note(now, Severity::Error, &text);
        }
    }
}
