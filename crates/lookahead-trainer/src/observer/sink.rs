//! Events of another thread, while the training's own is in a step that does not end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lookahead_run::event::{Event, Record};

use super::lines::WARNING;
use super::log::Log;
use crate::console::eprint_line;

/// A log that two threads write.
pub(super) type SharedLog = Arc<Mutex<Log>>;

pub(super) fn lock(log: &SharedLog) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes events of another thread to the log at once. The screen and other outputs get them with the training's next event,
/// apart from warnings where there is no dashboard.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventSink {
    pub(super) log: Option<SharedLog>,
    /// Written, and not shown yet.
    pub(super) unshown: Arc<Mutex<Vec<Record>>>,
    pub(super) has_dashboard: bool,
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
        match &record.event {
            Event::Warning(warning) if !self.has_dashboard => {
                eprint_line(format_args!("{WARNING}{}", warning.message));
            }
            _ => self.unshown().push(record),
        }
    }

    /// What was recorded and is not shown yet; only once.
    pub(super) fn take_unshown(&self) -> Vec<Record> {
        std::mem::take(&mut *self.unshown())
    }

    fn unshown(&self) -> MutexGuard<'_, Vec<Record>> {
        self.unshown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
