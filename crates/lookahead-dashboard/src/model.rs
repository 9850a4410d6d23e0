//! What the dashboard knows of a run.

use lookahead_run::event::{Probe, RunInfo, Status, Step};

use crate::clock::Clock;
use crate::history::{DRAWN, History, LOOKED_UP};
use crate::messages::Messages;
use crate::smoothing::{DECAY, Ema};
use crate::theme::Theme;

/// Where a run is in its life, as far as its events tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing has come yet.
    Waiting,
    Training,
    Paused,
    Ended(Status),
}

/// A change that was asked for and that no event has confirmed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Pause,
    Continue,
}

/// One value at each set of weights.
#[derive(Debug, Clone, Default)]
pub(crate) struct Both<T> {
    pub(crate) slow: T,
    pub(crate) fast: T,
}

/// The evaluations at one set of weights.
#[derive(Debug, Clone)]
pub(crate) struct Evaluations {
    pub(crate) loss: History,
    pub(crate) accuracy: History,
}

impl Default for Evaluations {
    fn default() -> Self {
        Evaluations { loss: History::new(LOOKED_UP), accuracy: History::new(LOOKED_UP) }
    }
}

/// What belongs to one line of time of a run, and is forgotten when another run starts.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) info: Option<RunInfo>,
    pub(crate) state: State,
    /// Inner steps taken.
    pub(crate) step: u64,
    pub(crate) last: Option<Step>,
    /// Training loss of each step, at the fast weights.
    pub(crate) raw: History,
    pub(crate) smoothed: History,
    pub(crate) ema: Ema,
    /// Loss on the probe batch: at θ just before a sync, at φ just after.
    pub(crate) probes: Both<History>,
    pub(crate) last_probe: Option<Probe>,
    /// Seconds spent on probes, summed up.
    pub(crate) probing: History,
    /// Number of the last sync.
    pub(crate) syncs: History,
    pub(crate) alpha: Option<f64>,
    pub(crate) validation: Both<Evaluations>,
    /// Step and accuracy on the test set.
    pub(crate) test: Both<Option<(u64, f64)>>,
    /// Name of the last checkpoint, and its Unix time.
    pub(crate) checkpoint: Option<(String, f64)>,
    pub(crate) clock: Clock,
    pub(crate) messages: Messages,
    pub(crate) warnings: u64,
}

impl Run {
    pub(crate) fn new() -> Self {
        Run {
            info: None,
            state: State::Waiting,
            step: 0,
            last: None,
            raw: History::new(DRAWN),
            smoothed: History::new(DRAWN),
            ema: Ema::new(DECAY),
            probes: Both { slow: History::new(DRAWN), fast: History::new(DRAWN) },
            last_probe: None,
            probing: History::new(LOOKED_UP),
            syncs: History::new(LOOKED_UP),
            alpha: None,
            validation: Both::default(),
            test: Both::default(),
            checkpoint: None,
            clock: Clock::new(),
            messages: Messages::default(),
            warnings: 0,
        }
    }

    /// Forgets what was done after `step`: the run goes on from there at Unix time `now`.
    pub(crate) fn go_back_to(&mut self, step: u64, now: f64) {
        for history in [
            &mut self.raw,
            &mut self.smoothed,
            &mut self.probes.slow,
            &mut self.probes.fast,
            &mut self.probing,
            &mut self.syncs,
            &mut self.validation.slow.loss,
            &mut self.validation.slow.accuracy,
            &mut self.validation.fast.loss,
            &mut self.validation.fast.accuracy,
        ] {
            history.truncate_after(step);
        }
        for test in [&mut self.test.slow, &mut self.test.fast] {
            test.take_if(|(at, _)| *at > step);
        }
        self.ema = match self.smoothed.newest() {
            Some(value) => Ema::settled_at(DECAY, value),
            None => Ema::new(DECAY),
        };
        self.last_probe = None;
        self.last = None;
        self.step = step;
        self.clock.resume(step, now);
        self.messages.truncate_after(step);
    }

    pub(crate) fn total_steps(&self) -> u64 {
        self.info.as_ref().map_or(0, |info| info.total_steps)
    }

    /// Fraction of the training time that probes have cost.
    pub(crate) fn probing_cost(&self, now: f64) -> Option<f64> {
        let elapsed = self.clock.elapsed(now);
        let seconds = self.probing.newest()?;
        (elapsed > 0.0 && seconds.is_finite()).then(|| (seconds / elapsed).min(1.0))
    }
}

/// Everything that is drawn, and nothing else.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) theme: Theme,
    pub(crate) run: Run,
    /// Unix time of the last tick.
    pub(crate) now: f64,
    pub(crate) asked: Option<Asked>,
    pub(crate) checkpoint_asked: bool,
    pub(crate) stop_asked: bool,
    pub(crate) interrupts: u32,
    /// The user wants the whole program to end at once.
    pub(crate) abort: bool,
    /// The user wants the shell back for a while.
    pub(crate) suspend: bool,
    pub(crate) help: bool,
    /// This frame is the last, and will be read as text.
    pub(crate) closing: bool,
    /// Records that did not reach the dashboard.
    pub(crate) dropped: u64,
}

impl Model {
    pub(crate) fn new(theme: Theme) -> Self {
        Model {
            theme,
            run: Run::new(),
            now: 0.0,
            asked: None,
            checkpoint_asked: false,
            stop_asked: false,
            interrupts: 0,
            abort: false,
            suspend: false,
            help: false,
            closing: false,
            dropped: 0,
        }
    }

    /// Elapsed seconds of training.
    pub(crate) fn elapsed(&self) -> f64 {
        self.run.clock.elapsed(self.now)
    }

    /// Whether the next press of the pause key should continue the run.
    pub(crate) fn would_continue(&self) -> bool {
        match self.asked {
            Some(asked) => asked == Asked::Pause,
            None => self.run.state == State::Paused,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.run.state, State::Ended(_))
    }
}
