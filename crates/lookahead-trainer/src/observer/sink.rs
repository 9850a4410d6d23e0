//! Events of another thread, while the training's own is in a step that does not end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lookahead_run::event::{Event, Record};

use super::lines::WARNING;
use super::log::Log;
use crate::alerts::Alerts;
use crate::console::eprint_line;

/// A log that two threads write.
pub(super) type SharedLog = Arc<Mutex<Log>>;

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes events of another thread to the log at once, and delivers their alerts. The screen and other outputs get them with the training's next event,
/// apart from warnings where there is no dashboard.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventSink {
    pub(super) log: Option<SharedLog>,
    /// Written, and not shown yet.
    pub(super) unshown: Arc<Mutex<Vec<Record>>>,
    pub(super) has_dashboard: bool,
    /// None before they start and once they have ended.
    pub(super) alerts: Arc<Mutex<Option<Alerts>>>,
}

impl EventSink {
    /// Records an event of `step`.
    pub(crate) fn record(&self, step: u64, event: Event) {
        let record = Record::now(step, event);
        if let Some(log) = &self.log {
            let mut log = lock(log);
            log.write(&record);
            log.write_buffered();
        }
        self.alert(&record);
        match &record.event {
            Event::Warning(warning) if !self.has_dashboard => {
                eprint_line(format_args!("{WARNING}{}", warning.message));
            }
            _ => lock(&self.unshown).push(record),
        }
    }

    /// Delivers the alert of a record, if it has one.
    pub(super) fn alert(&self, record: &Record) {
        if let Some(alerts) = &mut *lock(&self.alerts) {
            alerts.on_event(record);
        }
    }

    /// Waits for the alerts that are not delivered yet, and prints what could not be delivered.
    pub(crate) fn finish_alerts(&self) {
        let alerts = lock(&self.alerts).take();
        let failures = alerts.map(Alerts::finish).unwrap_or_default();
        failures.iter().for_each(|failure| eprint_line(format_args!("{WARNING}{failure}")));
    }

    /// What was recorded and is not shown yet; only once.
    pub(super) fn take_unshown(&self) -> Vec<Record> {
        std::mem::take(&mut *lock(&self.unshown))
    }
}
