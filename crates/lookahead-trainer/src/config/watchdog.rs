//! What to do about a training that goes wrong: `[watchdog]`.

use lookahead_core::LookaheadConfig;
use serde::{Deserialize, Serialize};

use super::issue::ConfigIssue;
use super::key::Key;

/// `[watchdog]`. NaN and infinity have a policy of their own, `lookahead.non_finite`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatchdogConfig {
    /// What to do about a loss far above the recent ones.
    pub spike: WatchdogAction,
    /// The recent losses with which a loss is compared.
    pub spike_window: usize,
    /// How far above their median a loss must be, in median absolute deviations.
    pub spike_deviations: f64,
    /// What to do about a loss that no longer falls.
    pub plateau: WatchdogAction,
    /// The steps whose mean loss must be below all earlier ones.
    pub plateau_steps: u64,
    /// What to do about a step that takes far too long.
    pub stall: WatchdogAction,
    /// After how many times its usual duration a step counts as stalled.
    pub stall_factor: f64,
    /// Before how many seconds a step never counts as stalled.
    pub stall_seconds: f64,
    /// Automatic roll-backs after which the next one ends the run; by default 3, if an action rolls back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_roll_backs: Option<u64>,
    /// By what the learning rate is multiplied at an automatic roll-back.
    pub lr_factor: f64,
    /// What becomes of the inner optimizer's moments at a roll-back, unless that is of `lookahead.non_finite`.
    pub moments: RollBackMoments,
}

/// What the watchdog does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchdogAction {
    /// Nothing.
    Off,
    /// It warns.
    #[default]
    Note,
    /// It ends the run, with a checkpoint.
    Stop,
    /// It sets the fast weights back to the slow ones.
    RollBack,
}

/// What becomes of the inner optimizer's moments at a roll-back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollBackMoments {
    /// They stay, except those that hold NaN or infinity, which are reset.
    Keep,
    /// They are reset, as at the start of a training: they have the gradients of what is rolled back.
    #[default]
    Reset,
}

const ACTIONS: &[&str] = &["off", "note", "stop", "roll_back"];

/// The keys of the section.
pub(super) const KEYS: &[Key] = &[

    Key::choice(
        "spike",
        ACTIONS,
        "what to do about a loss that jumps far above the recent ones. `note` warns once until it is back; `stop` \
         saves a checkpoint and ends the run as failed; `roll_back` drops the cycle: the fast weights go back to the \
         slow ones, before these take a part of it",
    )
    .example("\"roll_back\""),
    Key::whole("spike_window", "how many recent losses a loss is compared with").at_least(20.0).at_most(10000.0),
    Key::number(
        "spike_deviations",
        "a loss is a spike if it is above the median of the recent ones by this many median absolute deviations, and \
         by more than a quarter of the loss of guessing or, if that is unknown, of the first losses",
    )
    .above(0.0),
    Key::choice(
        "plateau",
        ACTIONS,
        "what to do if the mean loss of `plateau_steps` steps is not below the lowest so far by a thousandth of it",
    )
    .example("\"note\""),
    Key::whole("plateau_steps", "how many steps are averaged, and how often that is looked at").at_least(1.0),
    Key::choice(
        "stall",
        &["off", "note", "stop"],
        "what to do about a step, or a batch of an evaluation, that does not end. It can't be interrupted: `stop` ends \
         the program, and the run resumes from its newest checkpoint",
    )
    .example("\"stop\""),
    Key::number("stall_factor", "a step counts as stalled after this many times its usual duration").at_least(2.0),
    Key::number("stall_seconds", "a step never counts as stalled before this many seconds").above(0.0).at_most(86400.0),
    Key::whole(
        "max_roll_backs",
        "how many automatic roll-backs a run may have, those of `lookahead.non_finite` included; the next one ends it \
         as failed",
    )
    .at_least(0.0)
    .default("3 if `spike` or `plateau` is `roll_back`, otherwise none")
    .example("3"),
    Key::number("lr_factor", "multiply the learning rate by this at each automatic roll-back")
        .above(0.0)
        .at_most(1.0)
        .example("0.5"),
    Key::choice(
        "moments",
        &["keep", "reset"],
        "the inner optimizer's moments at a roll-back. `reset`: they have the gradients of what is rolled back. `keep` \
         resets only those that hold NaN or infinity, as the roll-backs of `lookahead.non_finite` always do",
    )
    .example("\"keep\""),
];

/// The limit if the watchdog rolls back.
const ROLL_BACKS: u64 = 3;

impl Default for WatchdogConfig {
    fn default() -> Self {
        WatchdogConfig {
            spike: WatchdogAction::Note,
            spike_window: 50,
            spike_deviations: 20.0,
            plateau: WatchdogAction::Off,
            plateau_steps: 1000,
            stall: WatchdogAction::Note,
            stall_factor: 20.0,
            stall_seconds: 60.0,
            max_roll_backs: None,
            lr_factor: 1.0,
            moments: RollBackMoments::Reset,
        }
    }
}

impl WatchdogConfig {
    /// Checks that the actions are possible.
    pub(crate) fn check(&self, lookahead: Option<&LookaheadConfig>) -> Result<(), ConfigIssue> {
        if self.stall == WatchdogAction::RollBack {
            return Err(ConfigIssue::new(
                "watchdog.stall",
                "`watchdog.stall` is roll_back, but a step that does not end can't be rolled back. Use off, note or \
                 stop.",
            ));
        }
        let Some(key) = self.rolling_back() else { return Ok(()) };
        if lookahead.is_none() {
            return Err(ConfigIssue::new(
                key,
                format!(
                    "`{key}` is roll_back, but without `[lookahead]` there are no slow weights to go back to. Add that \
                     section, or use note or stop."
                ),
            ));
        }
        Ok(())
    }

    /// How many automatic roll-backs a run may have; none if there is no limit.
    pub(crate) fn roll_back_limit(&self) -> Option<u64> {
        self.max_roll_backs.or_else(|| self.rolling_back().map(|_| ROLL_BACKS))
    }

    /// The action that rolls back, by its key, if there is one.
    pub fn rolling_back(&self) -> Option<&'static str> {
        let actions = [("watchdog.spike", self.spike), ("watchdog.plateau", self.plateau)];
        let found = actions.into_iter().find(|(_, of)| *of == WatchdogAction::RollBack);
        found.map(|(key, _)| key)
    }

    /// Whether nothing is set, so that the section can be left out.
    pub(crate) fn is_default(&self) -> bool {
        *self == WatchdogConfig::default()
    }
}

#[cfg(test)]
mod tests;
