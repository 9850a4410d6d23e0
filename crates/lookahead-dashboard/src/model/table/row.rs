//! A row of the table of runs.

use std::sync::Arc;

use lookahead_run::event::Reason;
use lookahead_run::format::{count, safe};
use lookahead_run::glance::{End, RunState};
use lookahead_run::settings::{Settings, written};
use lookahead_run::{Best, Glance, RunFolder};
use serde_json::Value;

/// What a run is doing, for the progress of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowState {
    /// It has no event yet.
    Waiting,
    Running,
    Finished,
    Stopped,
    /// It failed or crashed.
    Failed,
    /// Its log can't be read.
    Unreadable,
}

/// A run.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Safe to print.
    pub(crate) name: String,
    pub(crate) folder: RunFolder,
    pub(crate) state: RowState,
    /// The state in a word.
    pub(crate) label: &'static str,
    pub(crate) step: u64,
    pub(crate) total: Option<u64>,
    /// The mean training loss of the last steps.
    pub(crate) loss: Option<f64>,
    /// None too while its log is being read.
    pub(crate) best: Option<Best>,
    /// All keys of its config.
    pub(crate) settings: Arc<Settings>,
    /// Unix times of the first and the last event.
    pub(crate) first: Option<f64>,
    pub(crate) last: Option<f64>,
    /// Seconds between them in which it did not train; none too while its log is being read.
    pub(crate) idle: Option<f64>,
    /// Why its log can't be read.
    pub(crate) fault: Option<String>,
}

impl Row {
    pub(crate) fn new(
        name: &str,
        folder: &RunFolder,
        glance: &Glance,
        settings: Arc<Settings>,
    ) -> Row {
        let (state, label) = state_of(glance, glance.reason);
        Row {
            name: safe(name),
            folder: folder.clone(),
            state,
            label,
            step: glance.step,
            total: glance.total_steps.filter(|total| *total > 0),
            loss: glance.loss,
            best: None,
            settings,
            first: glance.first_event,
            last: glance.last_event,
            idle: None,
            fault: glance.fault.as_deref().map(safe),
        }
    }

    pub(crate) fn setting(&self, key: &str) -> Option<&Value> {
        self.settings.get(key)
    }

    /// `1,000/2,000`.
    pub(crate) fn steps(&self) -> String {
        let total = self.total.map(|total| format!("/{}", count(total))).unwrap_or_default();
        count(self.step) + &total
    }

    /// The part of its steps that it has taken.
    pub(crate) fn part(&self) -> Option<f64> {
        self.total.map(|total| (self.step as f64 / total as f64).min(1.0))
    }

    /// Whether it passes a word of a filter, in lower case: a part of its name or state, or `key=value` with a key of
    /// its config, in full or without its section.
    pub(crate) fn matches(&self, word: &str) -> bool {
        let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return self.name.to_lowercase().contains(word) || self.label.contains(word);
        };
        let is_meant = |of: &str| {
            let of = of.to_lowercase();
            of.strip_suffix(key).is_some_and(|section| section.is_empty() || section.ends_with('.'))
        };
        let mut meant = self.settings.iter().filter(|(of, _)| is_meant(of));
        meant.any(|(_, found)| value.is_empty() || written(found).to_lowercase() == value)
    }
}

fn state_of(glance: &Glance, reason: Option<Reason>) -> (RowState, &'static str) {
    let state = match glance.state {
        RunState::Running | RunState::Paused => RowState::Running,
        RunState::Ended(End::Deaf | End::Elsewhere) => RowState::Running,
        RunState::Waiting => RowState::Waiting,
        RunState::Unreadable => RowState::Unreadable,
        RunState::Ended(End::Finished) => RowState::Finished,
        RunState::Ended(End::Stopped) => RowState::Stopped,
        RunState::Ended(End::Failed | End::Crashed) => RowState::Failed,
    };
    (state, glance.state.label(reason))
}
