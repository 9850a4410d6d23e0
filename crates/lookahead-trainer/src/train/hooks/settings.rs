//! Settings that change during the run.
//!
//! A change is checked like the config file when it is requested, and takes effect before the next step, or with the
//! next cycle for `lookahead.k`. The `config.toml` in the run's folder has it before the request is answered, so that a
//! run that is killed a moment later resumes with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lookahead_core::Schedule;
use lookahead_run::command::Setting;
use lookahead_run::{RunFolder, program_name};

use super::events::Events;
use super::kept_config::KeptConfig;
use super::period::record_change;
use crate::config::guess;
use crate::config::keys;
use crate::config::kinds::Kinds;
use crate::config::mutable_keys::{
    ALPHA_SCHEDULE, LEARNING_RATE, LIVE, PERIOD, PERIOD_SCHEDULE, SLOW_STEP_SIZE, may_change,
    value_at,
};
use crate::config::{Config, Override};
use crate::train::setup::Training;

/// The configuration with all accepted changes: the next change is checked against it, and `config.toml` holds it.
/// Shared with the threads that take requests.
#[derive(Debug, Clone)]
pub struct Settings(Arc<Mutex<Accepted>>);

#[derive(Debug)]
struct Accepted {
    kinds: Kinds,
    config: Config,
    kept: KeptConfig,
    /// Accepted on another thread, and not yet in effect.
    pending: VecDeque<Setting>,
}

impl Settings {
    /// Starts with a configuration, which the run's folder has too.
    pub(crate) fn new(kinds: Kinds, config: Config, folder: Option<RunFolder>) -> Self {
        let (kept, pending) = (KeptConfig::new(folder), VecDeque::new());
        Settings(Arc::new(Mutex::new(Accepted { kinds, config, kept, pending })))
    }

    /// Checks a change, accepts it if `pass_on` does, and writes it to `config.toml`. Returns why that could not be
    /// written, if so. The error is a sentence.
    pub(crate) fn accept(
        &self,
        setting: &Setting,
        pass_on: impl FnOnce() -> Result<(), String>,
    ) -> Result<Option<String>, String> {
        let mut accepted = self.lock();
        let after = changed(&accepted.kinds, &accepted.config, setting)?;
        pass_on()?;
        accepted.pending.push_back(setting.clone());
        accepted.config = after;
        Ok(accepted.keep().err())
    }

    /// Removes a change that was carried out or refused; the configuration is `now`, and the pending changes.
    fn done(&self, setting: &Setting, now: Config) {
        let mut accepted = self.lock();
        if accepted.pending.front() == Some(setting) {
            accepted.pending.pop_front();
        }
        // A change by the dashboard's keys was not accepted before, and it may have been refused.
        if accepted.pending.is_empty() && accepted.config != now {
            accepted.config = now;
            let _ = accepted.keep();
        }
    }

    /// A hash of the `config.toml`, if it lacks accepted changes.
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
    /// Retries writing `config.toml`, if it is time for that or `now`, and reports the result of the last attempt.
    pub(super) fn keep(&self, step: u64, events: &mut Events, now: bool) {
        let news = {
            // Another thread is writing it.
            let Ok(mut accepted) = self.0.try_lock() else { return };
            if accepted.kept.is_outdated() && (now || accepted.kept.is_due()) {
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

    /// Changes a setting, and records that. A change that is refused is recorded as a warning; the sender of a request
    /// through the socket has got the refusal before.
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
            "`{key}` has no meaning in this run, which trains without Lookahead. That can't change: start a new run with \
             `{} train`.",
            program_name()
        )),
        (SLOW_STEP_SIZE, Some(least)) if least > 0.0 => Err(format!(
            "`{key}` has no effect here: `lookahead.adaptive_alpha`, which is {least}, chooses α at each sync. Stop the \
             run, and use `{} resume RUN --set lookahead.adaptive_alpha=0 --set {key}=…`.",
            program_name()
        )),
        _ => Ok(()),
    }
}

/// The configuration with one setting changed, checked as a whole.
fn changed(kinds: &Kinds, config: &Config, setting: &Setting) -> Result<Config, String> {
    let Setting { key, value } = setting;
    if !LIVE.contains(&key.as_str()) {
        return Err(no_live_setting(kinds, key));
    }
    refuse_without_use(config, key)?;
    let value = toml::Value::try_from(value).map_err(|_| {
        format!("`{key}` can't become {value}: it must be a value that TOML can express.")
    })?;
    let set = Override::of_value(key, value);
    let loaded = Config::parse(kinds, "config.toml", &config.to_toml(), std::slice::from_ref(&set));
    // The location of a fault is left out: it is the command.
    loaded.map(|loaded| without_schedule(loaded.config, key)).map_err(|error| {
        let message = error.message();
        if message.starts_with(&format!("`{key}` is ")) {
            return message.to_owned();
        }
        format!("`{key}` can't become {}. {message}", set.value)
    })
}

/// The configuration without the schedule of a key: a value that is set stays.
fn without_schedule(mut config: Config, key: &str) -> Config {
    if let Some(lookahead) = &mut config.lookahead {
        match key {
            SLOW_STEP_SIZE => lookahead.alpha_schedule = Schedule::Constant,
            PERIOD => lookahead.k_schedule = Schedule::Constant,
            _ => {}
        }
    }
    config
}

/// Records that a schedule ended, if `key` of the configuration before the change says that there was one.
fn note_end_of_schedule(key: &str, before: &Config, t: &mut Training, events: &mut Events) {
    if value_at(&before.to_json(), key).is_some() {
        let mut message = format!("`{key}` has ended: the value that was set stays.");
        if key == ALPHA_SCHEDULE && !before.optimizer.alphas(t.registry.kinds()).is_empty() {
            message += " Groups with an `alpha` of their own have that one again.";
        }
        events.note(t.state.step, message);
        record_change(&mut t.context(events), key);
    }
}

fn no_live_setting(kinds: &Kinds, key: &str) -> String {
    let settable = LIVE.join(", ");
    let is_section = keys::sections(kinds).iter().any(|section| section.name == key);
    if !is_section && keys::find(kinds, key, None).is_none() {
        let (section, name) = match key.rsplit_once('.') {
            Some((section, name)) => (Some(section), name),
            None => (None, key),
        };
        let live = LIVE.map(str::to_owned);
        let meant = guess::key(&live, section, name);
        let meant = meant.map(|meant| format!(" Did you mean `{meant}`?")).unwrap_or_default();
        return format!(
            "There is no key `{key}`.{meant} These can change during the run: {settable}."
        );
    }
    let resume = if may_change(key) {
        format!("Stop the run, and use `{} resume RUN --set {key}=…`. ", program_name())
    } else {
        String::new()
    };
    format!("`{key}` can't change during the run. {resume}These can: {settable}.")
}

fn change(setting: &Setting, t: &mut Training, events: &mut Events) -> anyhow::Result<()> {
    let wanted = match changed(t.registry.kinds(), &t.config, setting) {
        Ok(wanted) => wanted,
        Err(message) => {
            events.warn(t.state.step, message);
            return Ok(());
        }
    };
    let before = t.config.clone();
    match setting.key.as_str() {
        LEARNING_RATE => {
            t.config.optimizer.lr = wanted.optimizer.lr;
            t.state.roll_backs.lr_scale = 1.0;
        }
        SLOW_STEP_SIZE => {
            if let Some(after) = wanted.lookahead {
                let said = t.extrapolation().is_some();
                let alphas = wanted.optimizer.alphas(t.registry.kinds());
                t.optimizer.set_alpha(after.alpha, &alphas)?;
                t.config.lookahead = Some(after);
                if let Some(message) = t.extrapolation().filter(|_| !said) {
                    events.note(t.state.step, message);
                }
            }
            note_end_of_schedule(ALPHA_SCHEDULE, &before, t, events);
        }
        PERIOD => {
            if let (Some(lookahead), Some(after)) = (t.optimizer.lookahead(), wanted.lookahead) {
                lookahead.set_k(after.k)?;
                t.config.lookahead = Some(after);
            }
            note_end_of_schedule(PERIOD_SCHEDULE, &before, t, events);
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

/// The answer to a request for a setting that holds, but that the disk did not take.
pub(super) fn not_kept_yet(setting: &Setting, step: u64, why: &str) -> String {
    let from = if setting.key == PERIOD { "next cycle" } else { "next step" };
    format!(
        "The run is at step {step}, and `{}` = {} holds from its {from} on, but it is not kept yet: \
         {why} The run tries again. If it is killed before, the change is lost, unless a checkpoint was \
         saved with it.",
        setting.key, setting.value
    )
}

#[cfg(test)]
mod tests;
