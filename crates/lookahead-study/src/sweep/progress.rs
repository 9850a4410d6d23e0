//! The progress of a sweep, and the time left.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::{Duration, Instant};

use lookahead_run::event::Event;
use lookahead_run::{LogItem, LogTail};

/// Where a sweep reports its progress.
pub trait Reporter {
    /// The progress, about twice a second.
    fn progress(&mut self, progress: &Progress);

    /// A line of information.
    fn note(&mut self, line: &str);

    /// A line with a problem.
    fn warn(&mut self, line: &str);
}

/// The progress of a sweep.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Runs in all.
    pub total: usize,
    /// Runs that are finished.
    pub finished: usize,
    /// Runs that failed and are not tried again.
    pub failed: usize,
    /// Runs that this process trains.
    pub running: Vec<Running>,
    /// Time left, if it can be estimated.
    pub left: Option<Duration>,
    /// Whether the runs are being stopped.
    pub stopping: bool,
}

/// A run that is training.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its name.
    pub name: String,
    /// Steps taken.
    pub step: u64,
    /// Steps that it will have taken at its end; 0 while that is not known.
    pub total: u64,
}

/// Events that are taken from a log at once.
const AT_ONCE: usize = 4096;

/// The steps of a run that trains, from its log.
#[derive(Debug)]
pub(super) struct Steps {
    tail: LogTail,
    pub(super) step: u64,
    pub(super) total: u64,
    /// The step at which this process started.
    from: Option<u64>,
    /// The log of a resumed run is read up to there first.
    resumed: bool,
    started: Instant,
}

impl Steps {
    pub(super) fn new(log: &Path, resumed: bool) -> Steps {
        let tail = LogTail::new(log);
        Steps { tail, step: 0, total: 0, from: None, resumed, started: Instant::now() }
    }

    /// Reads on.
    pub(super) fn read(&mut self) {
        // A log that can't be read now is read next time.
        let Ok(found) = self.tail.read(AT_ONCE) else { return };
        for item in found {
            let LogItem::Record(record) = item else { continue };
            self.step = record.step;
            match record.event {
                Event::RunStarted(info) => {
                    self.total = info.total_steps;
                    self.from = (!self.resumed).then_some(0);
                }
                Event::Resumed(resumed) => {
                    self.total = resumed.info.total_steps;
                    self.from = Some(record.step);
                }
                _ => {}
            }
        }
    }

    /// Steps that this process took.
    pub(super) fn taken(&self) -> u64 {
        self.from.map_or(0, |from| self.step.saturating_sub(from))
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// How long runs take, so far.
#[derive(Debug, Default)]
pub(super) struct Estimate {
    seconds: f64,
    steps: u64,
    /// Total steps of runs that have started.
    totals: Vec<u64>,
}

impl Estimate {
    /// Adds a run whose process has ended, with its start-up and its end.
    pub(super) fn ended(&mut self, steps: &Steps) {
        self.seconds += steps.elapsed().as_secs_f64();
        self.steps += steps.taken();
        if steps.total > 0 {
            self.totals.push(steps.total);
        }
    }

    /// The time left with the running runs, and the waiting ones with their total steps if these are known.
    pub(super) fn left(
        &self,
        running: &[&Steps],
        waiting: &[Option<u64>],
        jobs: usize,
    ) -> Option<Duration> {
        let seconds = running.iter().map(|run| run.elapsed().as_secs_f64()).sum::<f64>();
        let taken = self.steps + running.iter().map(|run| run.taken()).sum::<u64>();
        let known = running.iter().map(|run| run.total).filter(|total| *total > 0);
        let totals: Vec<u64> = self.totals.iter().copied().chain(known).collect();
        if taken == 0 || totals.is_empty() {
            return None;
        }
        let mean = totals.iter().sum::<u64>() as f64 / totals.len() as f64;
        let of_running = running.iter().map(|run| match run.total {
            0 => mean,
            total => total.saturating_sub(run.step) as f64,
        });
        let of_waiting = waiting.iter().map(|steps| steps.map_or(mean, |steps| steps as f64));
        let to_do: f64 = of_running.chain(of_waiting).sum();
        // The last ones leave processors idle.
        let at_once = jobs.min(running.len() + waiting.len()).max(1) as f64;
        let per_step = (self.seconds + seconds) / taken as f64;
        Duration::try_from_secs_f64(to_do * per_step / at_once).ok()
    }
}
