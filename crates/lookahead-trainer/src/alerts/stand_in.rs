//! The alert of several processes whose rank 0 is gone, so that it can't send one itself.

use std::path::Path;

use lookahead_run::event::{Event, Record, RunEnded, Status};
use lookahead_run::{RunFolder, RunSummary};

use super::{Alerts, Place};
use crate::config::alert::AlertConfig;
use crate::console::eprint_line;
use crate::distributed::WorkerGroup;

/// What another process needs to alert in place of rank 0.
#[derive(Debug)]
pub(crate) struct StandIn {
    place: Place,
    config: AlertConfig,
}

impl StandIn {
    /// Gives all processes what they need, if there are several and the config has alerts. `folder` is known to rank 0
    /// only. All processes must call it.
    ///
    /// # Errors
    /// If a process does not answer.
    pub(crate) fn share(
        workers: &WorkerGroup,
        folder: Option<&RunFolder>,
        config: &AlertConfig,
    ) -> anyhow::Result<Option<StandIn>> {
        if workers.is_single() || !config.is_on() {
            return Ok(None);
        }
        let own = serde_json::to_vec(&folder.map(Place::of))?;
        let place: Option<Place> = serde_json::from_slice(&workers.broadcast_bytes(&own)?)?;
        Ok(place.map(|place| StandIn { place, config: config.clone() }))
    }

    /// Alerts that the run failed, for the reason in `message`, unless its log has an end: then rank 0 has alerted. What
    /// can't be delivered is printed.
    pub(crate) fn alert(self, step: u64, message: String) {
        if has_ended(Path::new(&self.place.folder)) {
            return;
        }
        let ended = RunEnded { message: Some(message), ..RunEnded::new(Status::Failed) };
        let failures = match Alerts::about(self.place, &self.config) {
            Ok(Some(mut alerts)) => {
                alerts.on_event(&Record::now(step, Event::RunEnded(ended)));
                alerts.finish()
            }
            Ok(None) => Vec::new(),
            Err(error) => vec![error.to_string()],
        };
        failures.iter().for_each(|failure| eprint_line(format_args!("Warning: {failure}")));
    }
}

/// Whether the log of a run says that it ended; false if it can't be read here.
fn has_ended(folder: &Path) -> bool {
    RunFolder::open(folder)
        .and_then(|run| RunSummary::read(&run.events_path()))
        .is_ok_and(|summary| summary.ended().is_some())
}
