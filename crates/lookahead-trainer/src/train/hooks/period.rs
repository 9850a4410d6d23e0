//! A new `lookahead.k` that takes effect.

use lookahead_core::LookaheadConfig;
use lookahead_run::event::{Changed, Event};
use serde_json::Value;

use crate::config::mutable_keys::{PERIOD, value_at};
use crate::train::hook::{Hook, HookContext};

/// Records a k that was set during a cycle, once a new cycle begins with it.
#[derive(Debug, Default)]
pub(super) struct PeriodHook {
    /// The k of the step's cycle; none before the first step.
    k: Option<u64>,
}

impl PeriodHook {
    fn check(&mut self, context: &mut HookContext<'_>) {
        let (now, _) = context.optimizer.k();
        let is_set = |config: &LookaheadConfig| config.k_schedule.is_constant();
        let is_set = context.config.lookahead.as_ref().is_none_or(is_set);
        if is_set && self.k.is_some() && self.k != now {
            record_change(context, PERIOD);
        }
        self.k = now;
    }
}

impl Hook for PeriodHook {
    fn name(&self) -> &'static str {
        "period"
    }

    fn before_step(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        // One that was set between two cycles has been recorded.
        (self.k, _) = context.optimizer.k();
        Ok(())
    }

    fn before_sync(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        if self.k.is_none() {
            (self.k, _) = context.optimizer.k();
        }
        Ok(())
    }

    fn after_sync(&mut self, context: &mut HookContext<'_>, _last: bool) -> anyhow::Result<()> {
        self.check(context);
        Ok(())
    }

    fn after_step(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        self.check(context);
        Ok(())
    }
}

/// Records the value that a key of the configuration has now.
pub(super) fn record_change(context: &mut HookContext<'_>, key: &str) {
    let value = value_at(&context.config.to_json(), key).cloned().unwrap_or(Value::Null);
    let changes = [(key.to_owned(), value)].into_iter().collect();
    context.record(Event::Changed(Changed { changes }));
}
