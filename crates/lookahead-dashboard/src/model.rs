//! What the dashboard knows: the runs, and what the user looks at.

use crate::charts::Chart;
use crate::prompt::Prompt;
use crate::run::Run;
use crate::smoothing;
use crate::theme::Theme;
use crate::viewport::{Span, Viewport};

/// How long a notice is shown, in seconds.
const NOTICE: f64 = 6.0;

/// Whose dashboard it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The process trains.
    Trainer,
    /// The runs are other processes'.
    Watcher,
}

/// What lies over the charts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Overlay {
    /// The help, from this line on.
    Help(usize),
    /// The messages.
    Messages(List),
}

/// Whether a run of another process is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) run: usize,
    /// It was on the screen, so that a key can be an answer to it.
    pub(crate) seen: bool,
}

/// A list of messages.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct List {
    /// Which message stands at the bottom, counted from the newest.
    pub(crate) bottom: usize,
    /// What is searched for, in small letters.
    pub(crate) search: Option<String>,
}

/// Everything that is drawn, and nothing else.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) theme: Theme,
    /// Whether only letters, digits and signs of ASCII may be drawn.
    pub(crate) ascii: bool,
    pub(crate) role: Role,
    /// At least one.
    pub(crate) runs: Vec<Run>,
    /// The run that the numbers and the keys are about.
    pub(crate) selected: usize,
    /// Columns and rows of the terminal.
    pub(crate) size: (u16, u16),
    /// Unix time of the last tick.
    pub(crate) now: f64,

    pub(crate) chart: Chart,
    pub(crate) viewport: Viewport,
    pub(crate) log_y: bool,
    /// Which of [`smoothing::DECAYS`].
    pub(crate) smoothing: usize,
    /// Whether the points behind smoothed lines are shown.
    pub(crate) raw: bool,
    /// The step of the selected run at which all series are read.
    pub(crate) cursor: Option<u64>,
    /// The column at which the mouse was last, while it drags.
    pub(crate) dragged: Option<u16>,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) prompt: Option<Prompt>,
    pub(crate) question: Option<Question>,
    /// Lines that were entered, oldest first.
    pub(crate) entered: Vec<String>,
    /// What became of something that no run tells of, and until which Unix time to show it.
    pub(crate) notice: Option<(String, f64)>,

    pub(crate) interrupts: u32,
    /// The user wants the whole program to end at once.
    pub(crate) abort: bool,
    /// The user wants the shell back for a while.
    pub(crate) suspend: bool,
    /// The user wants the dashboard to end, and nothing else.
    pub(crate) quit: bool,
    /// This frame is the last, and will be read as text.
    pub(crate) closing: bool,
    /// Records that did not reach the dashboard.
    pub(crate) dropped: u64,
}

impl Model {
    /// Of the runs with these names.
    pub(crate) fn new(theme: Theme, role: Role, names: Vec<String>) -> Self {
        let mut runs: Vec<Run> = names.iter().map(|name| Run::new(name)).collect();
        if runs.is_empty() {
            runs.push(Run::new(""));
        }
        Model {
            theme,
            ascii: false,
            role,
            runs,
            selected: 0,
            size: (80, 24),
            now: 0.0,
            chart: Chart::Loss,
            viewport: Viewport::new(),
            log_y: false,
            smoothing: smoothing::DEFAULT,
            raw: true,
            cursor: None,
            dragged: None,
            overlay: None,
            prompt: None,
            question: None,
            entered: Vec::new(),
            notice: None,
            interrupts: 0,
            abort: false,
            suspend: false,
            quit: false,
            closing: false,
            dropped: 0,
        }
    }

    /// Shows a notice for some seconds.
    pub(crate) fn notify(&mut self, text: String) {
        self.notice = Some((text, self.now + NOTICE));
    }

    /// The selected run.
    pub(crate) fn run(&self) -> &Run {
        &self.runs[self.selected]
    }

    pub(crate) fn run_mut(&mut self) -> &mut Run {
        &mut self.runs[self.selected]
    }

    /// Elapsed seconds of training of the selected run.
    pub(crate) fn elapsed(&self) -> f64 {
        self.run().clock.elapsed(self.now)
    }

    fn shown(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.shown || self.runs.len() == 1)
    }

    /// Over what part of the x axis there is data.
    pub(crate) fn whole(&self) -> Span {
        let axis = self.viewport.axis;
        let ends = self.shown().map(|run| (run.position(axis, run.step()), run));
        let end = ends.map(|(end, _)| end).fold(0.0, f64::max);
        // A resumed run that is shown without its past would be squeezed to the right edge.
        let starts = self.shown().filter_map(|run| {
            let first = run.loss.first_step()?;
            Some(if first > run.step() / 4 {
                run.position(axis, first.saturating_sub(1))
            } else {
                0.0
            })
        });
        let start = starts.fold(f64::INFINITY, f64::min);
        Span { start: if start.is_finite() { start.min(end) } else { 0.0 }, end }
    }

    /// Where the x axis will end, where that is known.
    fn limit(&self) -> Option<f64> {
        if self.viewport.axis == crate::viewport::Axis::Time {
            return None;
        }
        let end = |run: &Run| run.position(self.viewport.axis, run.total_steps());
        self.shown().map(end).reduce(f64::max).filter(|end| *end > 0.0)
    }

    /// The part of the x axis that is drawn.
    pub(crate) fn span(&self) -> Span {
        self.viewport.span(self.whole(), self.limit())
    }
}
