//! A report once a second at most: where the time went, what was used meanwhile, and what became of the
//! run's folder.

use lookahead_run::RunFolder;
use lookahead_run::event::Event;
use tch::Device;

use super::folder::FolderWatch;
use super::log::Events;
use super::resources::ResourceMonitor;
use super::throughput::Throughput;
use crate::train::setup::Training;

/// What is measured from one step to the next.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) throughput: Throughput,
    monitor: ResourceMonitor,
    /// None if another process keeps the run's record.
    folder: Option<FolderWatch>,
}

impl Report {
    pub(super) fn new(device: Device, folder: Option<&RunFolder>) -> Self {
        Report {
            throughput: Throughput::default(),
            monitor: ResourceMonitor::new(device),
            folder: folder.map(FolderWatch::new),
        }
    }

    /// Measures from now on.
    pub(super) fn begin(&mut self, device: Device) {
        self.throughput = Throughput::default();
        self.monitor = ResourceMonitor::new(device);
    }

    /// Records a report if it is time for one.
    ///
    /// # Errors
    /// If another process has taken the run over.
    pub(super) fn report(&mut self, t: &Training, events: &mut Events) -> anyhow::Result<()> {
        let Some(timing) = events.timer.report() else { return Ok(()) };
        if let Some(watch) = &mut self.folder
            && let Some(found) = watch.look()?
        {
            events.record(t.state.step, found);
        }
        events.record(t.state.step, Event::Timing(timing));
        if let Some(used) = self.monitor.look() {
            events.record(t.state.step, Event::System(used));
        }
        Ok(())
    }
}
