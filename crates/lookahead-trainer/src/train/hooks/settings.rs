//! Settings that change while the run lives.
//!
//! A change is checked when it is asked for, by the same checks as the file's, and takes effect
//! before the next step, `lookahead.k` from the next cycle on.
//! The configuration in the run's folder has it before the request is answered, so that a run that is
//! killed a moment later is resumed with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lookahead_run::RunFolder;
use lookahead_run::command::Setting;

use super::events::Events;
use super::kept_config::KeptConfig;
use super::period::record_change;
use crate::config::mutable_keys::{LEARNING_RATE, LIVE, PERIOD, SLOW_STEP_SIZE, may_change};
use crate::config::{Config, Override};
use crate::train::setup::Training;

/// The configuration as it is once all that was accepted has taken effect: what the next change is
/// checked against, and what `config.toml` holds. Shared with the threads that are asked.
#[derive(Debug, Clone)]
pub struct Settings(Arc<Mutex<Accepted>>);

#[derive(Debug)]
struct Accepted {
    config: Config,
    kept: KeptConfig,
    /// Accepted on another thread, and not yet in effect.
    on_their_way: VecDeque<Setting>,
}

impl Settings {
    /// Begins with a configuration, which the run's folder has too; a run without a folder keeps none.
    pub fn new(config: Config, folder: Option<RunFolder>) -> Self {
        let (kept, on_their_way) = (KeptConfig::new(folder), VecDeque::new());
        Settings(Arc::new(Mutex::new(Accepted { config, kept, on_their_way })))
    }

    /// Checks a change, counts it as accepted where `pass_on` finds a place for it, and writes it to
    /// `config.toml`. Returns why that could not be written, if so.
    ///
    /// # Errors
    /// A sentence, where the change can't be; what `pass_on` says.
    pub fn accept(
        &self,
        setting: &Setting,
        pass_on: impl FnOnce() -> Result<(), String>,
    ) -> Result<Option<String>, String> {
        let mut accepted = self.lock();
        let after = changed(&accepted.config, setting)?;
        pass_on()?;
        accepted.on_their_way.push_back(setting.clone());
        accepted.config = after;
        Ok(accepted.keep().err())
    }

    /// A change has been dealt with, and the configuration is as `now` but for those on their way.
    fn done(&self, setting: &Setting, now: Config) {
        let mut accepted = self.lock();
        if accepted.on_their_way.front() == Some(setting) {
            accepted.on_their_way.pop_front();
        }
        // By keys of the dashboard it comes without having been accepted, and it may have been refused.
        if accepted.on_their_way.is_empty() && accepted.config != now {
            accepted.config = now;
            let _ = accepted.keep();
        }
    }

    /// What tells the `config.toml` that lacks accepted changes, where they could not be written.
    pub(super) fn outdated_config(&self) -> Option<i64> {
        self.lock().kept.outdated()
    }

    fn lock(&self) -> MutexGuard<'_, Accepted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accepted {
    fn keep(&mut self) -> Result<(), String> {
        self.kept.write(&self.config.to_toml())
    }
}

impl Settings {
    /// Writes changes to `config.toml` that could not be written, if it is time to try again, or `now` in any
    /// case; and reports what came of the last attempt.
    pub(super) fn keep(&self, step: u64, events: &mut Events, now: bool) {
        let news = {
            // A thread that holds it is writing just now.
            let Ok(mut accepted) = self.0.try_lock() else { return };
            if accepted.kept.is_behind() && (now || accepted.kept.is_due()) {
                let _ = accepted.keep();
            }
            accepted.kept.take_news()
        };
        match news {
            Some(Ok(message)) => events.note(step, message),
            Some(Err(message)) => events.warn(step, message),
            None => {}
        }
    }

    /// Changes a setting, and records that. A change that is refused is recorded as a warning: whoever asked
    /// through the socket has been refused before.
    pub(super) fn set(
        &self,
        setting: &Setting,
        t: &mut Training,
        events: &mut Events,
    ) -> anyhow::Result<()> {
        let done = change(setting, t, events);
        self.done(setting, t.config.clone());
        self.keep(t.state.step, events, false);
        done
    }
}

/// The keys that can be set in a run of this configuration.
pub(super) fn settable(config: &Config) -> Vec<String> {
    let has_use = |key: &&str| refuse_without_use(config, key).is_ok();
    LIVE.iter().copied().filter(has_use).map(str::to_owned).collect()
}

fn refuse_without_use(config: &Config, key: &str) -> Result<(), String> {
    let least = config.lookahead.as_ref().map(|lookahead| lookahead.adaptive_alpha);
    match (key, least) {
        (LEARNING_RATE, _) => Ok(()),
        (_, None) => Err(format!(
            "`{key}` means nothing to this run, which trains without Lookahead: that can't change, \
             so start a new run with `lookahead train`."
        )),
        (SLOW_STEP_SIZE, Some(least)) if least > 0.0 => Err(format!(
            "`{key}` has no effect here, since `lookahead.adaptive_alpha`, which is {least}, has α \
             chosen at each sync: stop the run, and say `lookahead resume RUN_DIR --set \
             lookahead.adaptive_alpha=0 --set {key}=…`."
        )),
        _ => Ok(()),
    }
}

/// The configuration with one setting changed, checked as a whole.
fn changed(config: &Config, setting: &Setting) -> Result<Config, String> {
    let Setting { key, value } = setting;
    if !LIVE.contains(&key.as_str()) {
        return Err(no_live_setting(key));
    }
    refuse_without_use(config, key)?;
    let value = toml::Value::try_from(value).map_err(|_| {
        format!("`{key}` can't become {value}: give it a value such as those in `configs/`.")
    })?;
    let set = Override::of_value(key, value);
    let loaded = Config::parse("config.toml", &config.to_toml(), std::slice::from_ref(&set));
    // The place of a fault is the command, or a file that nobody looks at now.
    loaded
        .map(|loaded| loaded.config)
        .map_err(|error| format!("`{key}` can't become {}. {}", set.value, error.message()))
}

fn no_live_setting(key: &str) -> String {
    let settable = LIVE.join(", ");
    let otherwise = match may_change(key) {
        true => format!(
            "stop the run, and say `lookahead resume RUN_DIR --set {key}=…`, or set one that can: \
             {settable}."
        ),
        false => format!("set one of those that can: {settable}."),
    };
    format!("`{key}` can't change while the run lives: {otherwise}")
}

fn change(setting: &Setting, t: &mut Training, events: &mut Events) -> anyhow::Result<()> {
    let wanted = match changed(&t.config, setting) {
        Ok(wanted) => wanted,
        Err(message) => {
            events.warn(t.state.step, message);
            return Ok(());
        }
    };
    match setting.key.as_str() {
        LEARNING_RATE => t.config.optimizer.lr = wanted.optimizer.lr,
        SLOW_STEP_SIZE => {
            if let (Some(lookahead), Some(after)) = (t.optimizer.lookahead(), wanted.lookahead) {
                lookahead.set_alpha(after.alpha)?;
                t.config.lookahead = Some(after);
            }
        }
        PERIOD => {
            if let (Some(lookahead), Some(after)) = (t.optimizer.lookahead(), wanted.lookahead) {
                lookahead.set_k(after.k)?;
                t.config.lookahead = Some(after);
            }
            if let Some(message) = t.syncs_to_come() {
                events.note(t.state.step, message);
            }
            if let Some(message) = t.pending_k() {
                events.note(t.state.step, message);
                return Ok(());
            }
        }
        _ => t.config.probe = wanted.probe,
    }
    record_change(&mut t.context(events), &setting.key);
    Ok(())
}

#[cfg(test)]
mod tests;
