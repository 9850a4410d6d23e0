//! What is known of one run, and how its events change that.

use lookahead_run::command::Command;
use lookahead_run::event::{
    Changed, Checkpoint, Evaluation, Event, Probe, Rank, Record, Resumed, RunEnded, RunInfo, Split,
    Status, Step, Sync, System, Task, Timing, Weights,
};
use lookahead_run::{RunSummary, summary};

use crate::clock::Clock;
use crate::cycles::Cycles;
use crate::format;
use crate::history::{Bucket, History};
use crate::messages::{Kind, Messages};
use crate::smoothing::{self, Ema};
use crate::viewport::Axis;

/// Where a run is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing has come yet.
    Waiting,
    Training,
    Paused,
    Ended(Status),
    /// Its process is gone, and its log has no end.
    Crashed,
}

/// A change that was asked for and that no event has confirmed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Pause,
    Continue,
}

/// Whether a run can be asked for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    /// The training is in this process, or its socket is there.
    Open,
    /// It has no socket, or that is another machine's: it can only be watched.
    ViewOnly,
}

/// One value at each set of weights.
#[derive(Debug, Clone, Default)]
pub(crate) struct Both<T> {
    pub(crate) slow: T,
    pub(crate) fast: T,
}

/// The evaluations at one set of weights.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evaluations {
    pub(crate) loss: History,
    pub(crate) accuracy: History,
}

/// All that is known of a run.
#[derive(Debug)]
pub(crate) struct Run {
    /// The name of its folder, until its first event names it.
    pub(crate) name: String,
    pub(crate) shown: bool,
    pub(crate) control: Control,
    /// Whether its process lives, and Unix time of when that was last seen to be so. In the process
    /// of the training itself nobody needs to ask.
    pub(crate) alive: Option<bool>,
    /// Bytes of the log that are read, and that there are, while these are far apart.
    pub(crate) reading: Option<(u64, u64)>,
    pub(crate) asked: Option<Asked>,
    pub(crate) checkpoint_asked: bool,
    pub(crate) stop_asked: bool,

    pub(crate) summary: RunSummary,
    pub(crate) last: Option<Step>,
    /// Training loss of each step, at the fast weights.
    pub(crate) loss: History,
    pub(crate) learning_rate: History,
    pub(crate) speed: History,
    /// Loss on the probe batch: at θ just before a sync, at φ just after.
    pub(crate) probes: Both<History>,
    /// What a sync gains there: the loss at θ minus that at φ.
    pub(crate) gain: History,
    pub(crate) last_probe: Option<Probe>,
    /// Seconds spent on probes, summed up.
    pub(crate) probing: History,
    /// Number of the last sync.
    pub(crate) syncs: History,
    pub(crate) alpha: History,
    /// ‖θ − φ‖ at syncs.
    pub(crate) distance: History,
    /// Norm of the gradient at syncs.
    pub(crate) gradient: History,
    pub(crate) cycles: Cycles,
    pub(crate) validation: Both<Evaluations>,
    /// Step, accuracy and loss on the test set.
    pub(crate) test: Both<Option<(u64, f64, f64)>>,
    /// Name of the last checkpoint, its Unix time, and how it was saved.
    pub(crate) checkpoint: Option<(String, f64, Option<Checkpoint>)>,
    pub(crate) timing: Option<Timing>,
    pub(crate) system: Option<System>,
    /// Of a run of several processes, how each fared lately.
    pub(crate) ranks: Vec<Rank>,
    pub(crate) clock: Clock,
    pub(crate) messages: Messages,
}

impl Run {
    pub(crate) fn new(name: &str) -> Self {
        Run {
            name: name.to_owned(),
            shown: true,
            control: Control::Open,
            alive: None,
            reading: None,
            asked: None,
            checkpoint_asked: false,
            stop_asked: false,
            summary: RunSummary::default(),
            last: None,
            loss: History::default(),
            learning_rate: History::default(),
            speed: History::default(),
            probes: Both::default(),
            gain: History::default(),
            last_probe: None,
            probing: History::default(),
            syncs: History::default(),
            alpha: History::default(),
            distance: History::default(),
            gradient: History::default(),
            cycles: Cycles::default(),
            validation: Both::default(),
            test: Both::default(),
            checkpoint: None,
            timing: None,
            system: None,
            ranks: Vec::new(),
            clock: Clock::new(),
            messages: Messages::default(),
        }
    }

    /// Forgets all that events have told: they come again from the first on, or another run's.
    pub(crate) fn restart(&mut self) {
        let fresh = Run::new(&self.name);
        let before = std::mem::replace(self, fresh);
        self.shown = before.shown;
        self.control = before.control;
        self.alive = before.alive;
    }

    /// Where the run is in its life, as far as its events and its process tell.
    pub(crate) fn state(&self) -> State {
        match &self.summary.state {
            summary::State::Ended(ended) => State::Ended(ended.status),
            _ if self.alive == Some(false) => State::Crashed,
            summary::State::Waiting => State::Waiting,
            summary::State::Training => State::Training,
            summary::State::Paused => State::Paused,
        }
    }

    fn is_training(&self) -> bool {
        self.summary.state == summary::State::Training
    }

    /// Whether it has ended before its last step, since it got no better.
    pub(crate) fn stopped_early(&self) -> bool {
        self.summary.ended().is_some_and(RunEnded::stopped_early)
    }

    /// What it is, once its first event tells.
    pub(crate) fn info(&self) -> Option<&RunInfo> {
        self.summary.info.as_ref()
    }

    /// Inner steps taken.
    pub(crate) fn step(&self) -> u64 {
        self.summary.step
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state(), State::Ended(_) | State::Crashed)
    }

    /// Whether it can be asked for something now.
    pub(crate) fn takes_commands(&self) -> bool {
        self.control == Control::Open && !self.is_over() && !self.stop_asked
    }

    /// Whether the next press of the pause key should continue the run.
    pub(crate) fn would_continue(&self) -> bool {
        match self.asked {
            Some(asked) => asked == Asked::Pause,
            None => self.summary.state == summary::State::Paused,
        }
    }

    /// A command is on its way.
    pub(crate) fn ask(&mut self, command: &Command) {
        match command {
            Command::Pause => self.asked = Some(Asked::Pause),
            Command::Continue => self.asked = Some(Asked::Continue),
            Command::Checkpoint => self.checkpoint_asked = true,
            Command::Stop => {
                self.stop_asked = true;
                self.asked = None;
            }
            Command::Set(_) => {}
        }
    }

    /// A command was not taken: it shows as if nothing had been asked, so that it can be asked again.
    pub(crate) fn take_back(&mut self, command: &Command) {
        match command {
            Command::Pause | Command::Continue => self.asked = None,
            Command::Checkpoint => self.checkpoint_asked = false,
            Command::Stop => self.stop_asked = false,
            Command::Set(_) => {}
        }
    }

    /// Writes a message that no event told.
    pub(crate) fn note(&mut self, time: f64, kind: Kind, text: &str) {
        let at = self.clock.elapsed(time);
        self.messages.push(at, self.summary.step, kind, text);
    }

    pub(crate) fn total_steps(&self) -> u64 {
        self.summary.total_steps()
    }

    pub(crate) fn has_lookahead(&self) -> bool {
        let plain = self.info().is_some_and(|info| info.lookahead.is_none());
        !plain || !self.probes.slow.is_empty()
    }

    /// Whether its final model is an average of θ.
    pub(crate) fn averages(&self) -> bool {
        let config = self.info().map(|info| &info.config);
        let kind = config.and_then(|config| config.pointer("/averaging/kind"));
        kind.and_then(|kind| kind.as_str()).is_some_and(|kind| kind != "none")
    }

    pub(crate) fn task(&self) -> Task {
        self.info().map_or_else(Task::default, |info| info.task)
    }

    fn steps_per_epoch(&self) -> f64 {
        self.info().map_or(0, |info| info.steps_per_epoch).max(1) as f64
    }

    /// Where a step stands on an axis: epochs in fractions, time in seconds of training.
    pub(crate) fn position(&self, axis: Axis, step: u64) -> f64 {
        match axis {
            Axis::Step => step as f64,
            Axis::Epoch => step as f64 / self.steps_per_epoch(),
            Axis::Time => self.clock.at(step),
        }
    }

    /// The step that stands at a place of an axis.
    pub(crate) fn step_at(&self, axis: Axis, position: f64) -> u64 {
        let position = position.max(0.0);
        match axis {
            // A cast of what is too large gives the largest.
            Axis::Step => position.round() as u64,
            Axis::Epoch => (position * self.steps_per_epoch()).round() as u64,
            Axis::Time => self.clock.step_at(position),
        }
    }

    /// The last value of a series under a running mean.
    pub(crate) fn smoothed(&self, history: &History, decay: f64) -> Option<f64> {
        // As the newest value does, the mean of it tells that something went wrong.
        let newest = history.newest()?;
        if !newest.is_finite() {
            return Some(newest);
        }
        let last = history.last_step()?;
        let mut ema = Ema::new(decay);
        let buckets = history.slice_after(last, last, 1, smoothing::warm_up(decay));
        buckets.iter().map(|bucket: &Bucket| ema.push(bucket)).last()
    }

    /// Fraction of the training time that probes have cost.
    pub(crate) fn probing_cost(&self, now: f64) -> Option<f64> {
        let elapsed = self.clock.elapsed(now);
        let seconds = self.probing.newest()?;
        (elapsed > 0.0 && seconds.is_finite()).then(|| (seconds / elapsed).min(1.0))
    }

    /// Adds the next event.
    pub(crate) fn apply(&mut self, record: Record) {
        if matches!(record.event, Event::RunStarted(_)) {
            self.restart();
        }
        if self.state() == State::Crashed {
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
                // It proves that the run trains, whatever happened to a pause that was taken back
                // before it began.
                if !was_training || self.asked == Some(Asked::Continue) {
                    self.continue_training(time);
                }
                self.apply_step(step, time, event);
            }
            Event::Sync(sync) => self.apply_sync(step, sync),
            Event::Probe(probe) => self.apply_probe(step, probe),
            Event::Evaluation(evaluation) => self.apply_evaluation(step, time, evaluation),
            Event::Checkpoint(checkpoint) => self.apply_checkpoint(time, checkpoint),
            Event::Paused => {
                self.clock.stop(time);
                self.asked.take_if(|asked| *asked == Asked::Pause);
                self.note(time, Kind::Plain, "paused");
            }
            Event::Continued => {
                self.continue_training(time);
                self.note(time, Kind::Plain, "continued");
            }
            Event::Suspended(event) => {
                self.clock.stand_still(time - event.seconds, time);
                let text = format!("suspended for {}", format::duration(event.seconds));
                self.note(time, Kind::Plain, &text);
            }
            Event::Changed(changed) => self.apply_change(time, &changed),
            Event::Timing(timing) => self.timing = Some(timing),
            Event::System(system) => self.system = Some(system),
            Event::Ranks(ranks) => self.ranks = ranks.ranks,
            Event::Note(event) => self.note(time, Kind::Plain, &event.message),
            Event::Warning(warning) => self.note(time, Kind::Warning, &warning.message),
            Event::RunEnded(end) => self.apply_end(time, end),
            Event::Unknown => {}
        }
    }

    fn begin(&mut self, time: f64) {
        if self.name.is_empty()
            && let Some(info) = &self.summary.info
        {
            self.name.clone_from(&info.run);
        }
        self.clock.start(time);
        // What was asked of an earlier process of the run is over.
        self.asked = None;
        self.checkpoint_asked = false;
        self.stop_asked = false;
    }

    fn resume(&mut self, time: f64, resumed: Resumed) {
        self.last_probe = None;
        self.last = None;
        self.clock.resume(time);
        self.begin(time);
        self.note(time, Kind::Plain, &format!("resumed from {}", resumed.checkpoint));
        self.checkpoint = Some((resumed.checkpoint, time, None));
    }

    fn continue_training(&mut self, time: f64) {
        self.clock.start(time);
        self.asked.take_if(|asked| *asked == Asked::Continue);
    }

    fn apply_step(&mut self, step: u64, time: f64, event: Step) {
        self.last = Some(event);
        self.loss.push(step, event.loss);
        self.learning_rate.push(step, event.learning_rate);
        self.speed.push(step, event.samples_per_second);
        self.cycles.step(step, event.phase, event.loss);
        self.clock.step(step, time);
    }

    fn apply_sync(&mut self, step: u64, sync: Sync) {
        self.syncs.push(step, sync.sync as f64);
        self.alpha.push(step, sync.alpha);
        if let Some(distance) = sync.distance {
            self.distance.push(step, distance);
        }
        if let Some(norm) = sync.gradient_norm {
            self.gradient.push(step, norm);
        }
        self.cycles.sync(step);
    }

    fn apply_probe(&mut self, step: u64, probe: Probe) {
        self.probes.fast.push(step, probe.fast_loss);
        self.probes.slow.push(step, probe.slow_loss);
        self.gain.push(step, probe.fast_loss - probe.slow_loss);
        self.cycles.probe(step, probe.fast_loss, probe.slow_loss);
        self.last_probe = Some(probe);
        let before = self.probing.newest().unwrap_or(0.0);
        self.probing.push(step, before + probe.seconds);
    }

    fn apply_evaluation(&mut self, step: u64, time: f64, evaluation: Evaluation) {
        let symbol = weights_symbol(evaluation.weights);
        let task = self.task();
        let (evaluations, test) = match evaluation.weights {
            // No run has both: an average stands where φ stands otherwise.
            Weights::Slow | Weights::Average => (&mut self.validation.slow, &mut self.test.slow),
            Weights::Fast => (&mut self.validation.fast, &mut self.test.fast),
        };
        let split = match evaluation.split {
            Split::Validation => {
                evaluations.loss.push(step, evaluation.loss);
                evaluations.accuracy.push(step, evaluation.accuracy);
                "validation"
            }
            Split::Test => {
                *test = Some((step, evaluation.accuracy, evaluation.loss));
                "test"
            }
        };
        let of = match evaluation.model_step {
            Some(step) => format!(" (best model, of step {})", format::count(step)),
            None => String::new(),
        };
        let loss = format::loss(evaluation.loss);
        let accuracy = format::percent(evaluation.accuracy, 2);
        let text = match task {
            Task::Classification => format!("{symbol} {accuracy} loss {loss}{of}"),
            Task::Language => {
                format!("{symbol} perplexity {} loss {loss}", perplexity(evaluation.loss))
            }
            Task::Quadratic => format!("{symbol} loss {loss}{of}"),
        };
        let at = self.clock.elapsed(time);
        self.messages.push_topic(at, step, split, &text);
    }

    fn apply_checkpoint(&mut self, time: f64, checkpoint: Checkpoint) {
        self.checkpoint_asked = false;
        let size = format::bytes(checkpoint.bytes);
        let cost = format::cost(checkpoint.seconds);
        let text = format!("saved {} ({size}, {cost})", checkpoint.name);
        self.note(time, Kind::Plain, &text);
        self.checkpoint = Some((checkpoint.name.clone(), time, Some(checkpoint)));
    }

    fn apply_change(&mut self, time: f64, changed: &Changed) {
        for (key, value) in &changed.changes {
            self.note(time, Kind::Good, &format!("{key} is {value} from here on"));
            let Some(info) = &mut self.summary.info else { continue };
            if let Some(lookahead) = &mut info.lookahead {
                match key.as_str() {
                    "lookahead.k" => {
                        lookahead.k = value.as_u64().unwrap_or(lookahead.k);
                        // It begins with a cycle.
                        if let Some(last) = &mut self.last {
                            last.phase = 0;
                        }
                    }
                    "lookahead.alpha" => {
                        lookahead.alpha = value.as_f64().unwrap_or(lookahead.alpha);
                    }
                    _ => {}
                }
            }
        }
    }

    fn apply_end(&mut self, time: f64, end: RunEnded) {
        self.clock.stop(time);
        self.asked = None;
        self.checkpoint_asked = false;
        let (kind, text) = match end.status {
            Status::Finished if self.stopped_early() => (Kind::Good, "stopped early"),
            Status::Finished => (Kind::Good, "finished"),
            Status::Stopped => (Kind::Plain, "stopped, with a checkpoint saved"),
            Status::Failed => (Kind::Bad, "failed"),
        };
        match end.message {
            Some(message) => self.note(time, kind, &format!("{text}: {message}")),
            None => self.note(time, kind, text),
        }
    }

    /// It was thought to have crashed, and has not.
    fn revive(&mut self, time: f64) {
        self.alive = None;
        if self.is_training() {
            self.clock.start(time);
        }
    }

    /// The process is there, or it is not.
    pub(crate) fn on_heartbeat(&mut self, alive: bool, now: f64) {
        let before = self.state();
        if alive && before == State::Crashed {
            self.revive(now);
        }
        self.alive = Some(alive);
        if self.state() == State::Crashed && before != State::Crashed {
            // It stood still from its last event on, whenever its end is noticed.
            self.clock.stop(self.summary.last_time.unwrap_or(0.0));
            let text = "crashed: its process is gone, and its log has no end; `lookahead resume` goes \
                        on from its newest checkpoint";
            self.note(now, Kind::Bad, text);
        }
    }
}

/// A letter for the weights that are evaluated; θ̄ would need a font with combining marks.
fn weights_symbol(weights: Weights) -> &'static str {
    match weights {
        Weights::Slow => "φ",
        Weights::Fast => "θ",
        Weights::Average => "mean",
    }
}

/// Of a mean cross-entropy of a symbol, in nats.
pub(crate) fn perplexity(loss: f64) -> String {
    format::loss(loss.exp())
}
