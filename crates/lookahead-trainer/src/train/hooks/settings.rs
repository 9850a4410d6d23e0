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
use lookahead_run::event::{Changed, Event};
use serde_json::Value;

use super::kept_config::KeptConfig;
use super::log::Events;
use super::probe::ProbeHook;
use crate::config::mutable_keys::{
    LEARNING_RATE, LIVE, PERIOD, PROBE_INTERVAL, SLOW_STEP_SIZE, may_change, value_at,
};
use crate::config::{Config, Override};
use crate::panics::caught;
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
    ///
    /// # Errors
    /// What the optimizer says.
    pub(super) fn set(
        &self,
        setting: &Setting,
        t: &mut Training,
        probe: &mut ProbeHook,
        events: &mut Events,
    ) -> anyhow::Result<()> {
        let done = change(setting, t, probe, events);
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

fn change(
    setting: &Setting,
    t: &mut Training,
    probe: &mut ProbeHook,
    events: &mut Events,
) -> anyhow::Result<()> {
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
        _ => {
            if let Err(error) = caught(|| probe.rebuild(&wanted.probe, t)) {
                let message = format!("`{PROBE_INTERVAL}` stays as it is. {error:#}");
                events.warn(t.state.step, message);
                return Ok(());
            }
            t.config.probe = wanted.probe;
        }
    }
    record_change(t, events, &setting.key);
    Ok(())
}

/// Records a k that has come into force with a new cycle; `before` is the one before.
pub(super) fn record_new_k(t: &Training, events: &mut Events, before: Option<u64>) {
    if t.optimizer.k().0 != before {
        record_change(t, events, PERIOD);
    }
}

fn record_change(t: &Training, events: &mut Events, key: &str) {
    let value = value_at(&t.config.to_json(), key).cloned().unwrap_or(Value::Null);
    let changes = [(key.to_owned(), value)].into_iter().collect();
    events.record(t.state.step, Event::Changed(Changed { changes }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(text: &str) -> Config {
        Config::parse("test.toml", text, &[]).unwrap().config
    }

    fn setting(key: &str, value: Value) -> Setting {
        Setting { key: key.to_owned(), value }
    }

    #[test]
    fn a_change_is_checked_as_in_the_file() {
        let text =
            "[optimizer]\nlr = 0.1\n[schedule]\nkind = \"cosine\"\nmin_lr = 0.01\n[lookahead]\n";
        let config = config(text);
        for (key, value, words) in [
            ("optimizer.lr", json!(-0.5), "`optimizer.lr` is -0.5. Use a number from 0"),
            ("optimizer.lr", json!(0.001), "`schedule.min_lr` is 0.01. Use 0 to"),
            ("optimizer.lr", json!("fast"), "expected f64"),
            ("optimizer.lr", json!(null), "`optimizer.lr` can't become null"),
            ("optimizer.lr", json!({"a": null}), "`optimizer.lr` can't become"),
            ("lookahead.k", json!(0), "`lookahead.k` is 0. Use at least 1"),
            ("lookahead.k", json!(2.5), "expected u64"),
            ("lookahead.k", json!(-1), "expected u64"),
            ("lookahead.k", json!(u64::MAX), "`lookahead.k` can't become"),
            ("lookahead.alpha", json!(0), "`lookahead.alpha` is 0. Use more than 0"),
            ("lookahead.alpha", json!(1.5), "`lookahead.alpha` is 1.5"),
            ("probe.every_syncs", json!(-1), "expected u64"),
            ("train.epochs", json!(3), "`lookahead resume RUN_DIR --set train.epochs=…`"),
            ("train.seed", json!(3), "can: optimizer.lr, lookahead.k, lookahead.alpha, probe."),
            ("lookahead", json!(false), "`lookahead` can't change while the run lives"),
        ] {
            let error = changed(&config, &setting(key, value)).unwrap_err();
            assert!(error.contains(words) && error.ends_with('.'), "{key}: {error}");
        }
        let after = changed(&config, &setting("lookahead.k", json!(7))).unwrap();
        let after = changed(&after, &setting("optimizer.lr", json!(1))).unwrap();
        let k = after.lookahead.as_ref().map(|lookahead| lookahead.k);
        assert_eq!((k, after.optimizer.lr), (Some(7), 1.0));
        assert_eq!(after.schedule, config.schedule);
    }

    #[test]
    fn what_the_run_has_no_use_for_is_refused() {
        let bare = config("");
        assert_eq!(settable(&bare), ["optimizer.lr"]);
        assert_eq!(settable(&config("[lookahead]\n")), LIVE);
        for (key, value) in [
            ("lookahead.k", json!(3)),
            ("lookahead.alpha", json!(0.5)),
            ("probe.every_syncs", json!(1)),
        ] {
            let error = changed(&bare, &setting(key, value)).unwrap_err();
            assert!(error.contains("trains without Lookahead"), "{error}");
        }
        changed(&bare, &setting("optimizer.lr", json!(0.5))).unwrap();
        let adaptive = config("[optimizer]\nkind = \"adam\"\n[lookahead]\nadaptive_alpha = 0.2\n");
        let error = changed(&adaptive, &setting("lookahead.alpha", json!(0.5))).unwrap_err();
        assert!(error.contains("`lookahead.adaptive_alpha`, which is 0.2"), "{error}");
        assert_eq!(settable(&adaptive), ["optimizer.lr", "lookahead.k", "probe.every_syncs"]);
        let blind = config("[data]\nvalidation = 0\n[lookahead]\n[probe]\nevery_syncs = 0\n");
        let error = changed(&blind, &setting("probe.every_syncs", json!(1))).unwrap_err();
        assert!(error.contains("`data.validation` is 0"), "{error}");
    }

    #[test]
    fn one_that_finds_no_place_is_not_counted() {
        let settings = Settings::new(config("[lookahead]\n"), None);
        let k = |settings: &Settings| settings.lock().config.lookahead.as_ref().unwrap().k;
        let set = |value: u64| setting("lookahead.k", json!(value));
        let error = settings.accept(&set(7), || Err("Full.".to_owned())).unwrap_err();
        assert_eq!((error.as_str(), k(&settings)), ("Full.", 5));
        let passed_on = std::cell::Cell::new(false);
        let pass_on = || {
            passed_on.set(true);
            Ok(())
        };
        settings.accept(&set(0), pass_on).unwrap_err();
        assert!(!passed_on.get());
        settings.accept(&set(7), || Ok(())).unwrap();
        assert_eq!(k(&settings), 7);
    }
}
