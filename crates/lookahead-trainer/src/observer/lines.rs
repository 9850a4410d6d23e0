//! Events as lines of text.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lookahead_run::event::{
    self, Changed, Evaluation, Event, Record, RunInfo, Scalars, Split, Status, Task, TaskInfo,
};
use lookahead_run::format::{self, count};

/// Makes lines; not one for each step, but always for the first and the last step of the process.
#[derive(Debug)]
pub(crate) struct Lines {
    run: Option<Box<RunInfo>>,
    /// The time from one line for a step to the next; `None` for only the first and the last.
    every: Option<Duration>,
    shown: Option<Instant>,
    /// The last step, if it has had no line.
    unshown: Option<Record>,
    /// Lines to be printed after the dashboard has closed.
    important: Vec<String>,
    /// Lines of evaluations and checkpoints that may come at once, and since when.
    credit: (u32, Instant),
    left_out: LeftOut,
    /// The last warning.
    warned: Option<String>,
    /// How often warnings were repeated, which have no line.
    repeated: BTreeMap<String, u64>,
}

/// Lines of evaluations and checkpoints that were left out.
#[derive(Debug, Default)]
struct LeftOut {
    count: u64,
    /// Those of the last step that was evaluated, unless later ones were printed.
    evaluations: Vec<(u64, String)>,
    /// That of the last checkpoint, unless a later one was printed.
    checkpoint: Option<String>,
}

impl LeftOut {
    /// Adds a line that is left out.
    fn add(&mut self, record: &Record, line: String) {
        self.count += 1;
        match record.event {
            Event::Checkpoint(_) => self.checkpoint = Some(line),
            _ => {
                self.evaluations.retain(|(step, _)| *step == record.step);
                self.evaluations.push((record.step, line));
            }
        }
    }

    /// Forgets what a printed line replaces.
    fn replaced_by(&mut self, record: &Record) {
        match record.event {
            Event::Checkpoint(_) => self.checkpoint = None,
            Event::Evaluation(_) => self.evaluations.retain(|(step, _)| *step == record.step),
            _ => {}
        }
    }

    /// The last ones, after a line with the number of all others.
    fn take(&mut self) -> Vec<String> {
        let LeftOut { count: all, evaluations, checkpoint } = std::mem::take(self);
        let last: Vec<String> =
            evaluations.into_iter().map(|(_, line)| line).chain(checkpoint).collect();
        let others = all - last.len() as u64;
        let plural = if others == 1 { "line" } else { "lines" };
        let note = format!(
            "({} {plural} about evaluations and checkpoints left out; events.jsonl has them.)",
            count(others)
        );
        (others > 0).then_some(note).into_iter().chain(last).collect()
    }
}

/// The default time from one line for a step to the next.
pub const EVERY: Duration = Duration::from_secs(10);

/// Lines of evaluations and checkpoints that may come at once: a run with very short epochs prints only some.
const AT_ONCE: u32 = 20;

/// The most lines that are printed after the dashboard has closed.
const MOST_IMPORTANT: usize = 100;

impl Lines {
    pub(crate) fn new(every: Option<Duration>) -> Self {
        Lines {
            run: None,
            every,
            shown: None,
            unshown: None,
            important: Vec::new(),
            credit: (AT_ONCE, Instant::now()),
            left_out: LeftOut::default(),
            warned: None,
            repeated: BTreeMap::new(),
        }
    }

    /// The run's description, once it is known.
    pub(super) fn run(&self) -> Option<&RunInfo> {
        self.run.as_deref()
    }

    fn task(&self) -> TaskInfo {
        self.run().map(|run| run.task.clone()).unwrap_or_default()
    }

    /// Keeps the run's description, and lines to be printed later.
    pub(crate) fn remember(&mut self, record: &Record) {
        match &record.event {
            Event::RunStarted(info) => self.run = Some(Box::new(info.clone())),
            Event::Resumed(resumed) => self.run = Some(Box::new(resumed.info.clone())),
            Event::Evaluation(Evaluation { split: Split::Test, .. })
            | Event::Warning(_)
            | Event::RunEnded(_) => {
                self.important.extend(self.unrepeated(record));
                // The latest of very many warnings are enough.
                let surplus = self.important.len().saturating_sub(MOST_IMPORTANT);
                self.important.drain(..surplus);
            }
            _ => {}
        }
        self.count_repetitions(record);
    }

    fn count_repetitions(&mut self, record: &Record) {
        match &record.event {
            Event::Warning(warning) if self.warned.as_ref() == Some(&warning.message) => {
                *self.repeated.entry(warning.message.clone()).or_default() += 1;
            }
            Event::Warning(warning) => self.warned = Some(warning.message.clone()),
            Event::RunEnded(_) => {
                self.repeated.clear();
                self.warned = None;
            }
            _ => {}
        }
    }

    /// The line for a record other than a step: none for a warning that repeats the last one. Before the line for the end
    /// are those that count the repetitions.
    pub(super) fn unrepeated(&self, record: &Record) -> Vec<String> {
        let mut lines = Vec::new();
        match &record.event {
            Event::Warning(warning) if self.warned.as_ref() == Some(&warning.message) => {
                return lines;
            }
            Event::RunEnded(_) => lines.extend(self.repeated.iter().map(|(message, often)| {
                let times = if *often == 1 { "time" } else { "times" };
                format!(
                    "{WARNING}{message} ({} more {times}; events.jsonl has each.)",
                    count(*often)
                )
            })),
            _ => {}
        }
        lines.extend(line(record, &self.task()));
        lines
    }

    /// The lines to be printed after the dashboard has closed; only once.
    pub(super) fn take_important(&mut self) -> Vec<String> {
        std::mem::take(&mut self.important)
    }

    /// The lines for a record, if it has any. [`remember`](Self::remember) comes after it.
    pub(crate) fn of(&mut self, record: &Record) -> Vec<String> {
        match &record.event {
            // A hook of the trainer logs numbers besides the step.
            Event::Scalars(_) if self.task().kind != Task::Recorded => Vec::new(),
            Event::Step(_) | Event::Scalars(_) => {
                let due = match (self.shown, self.every) {
                    (None, _) => true,
                    (Some(shown), Some(every)) => shown.elapsed() >= every,
                    (Some(_), None) => false,
                };
                if !due {
                    self.unshown = Some(record.clone());
                    return Vec::new();
                }
                (self.shown, self.unshown) = (Some(Instant::now()), None);
                vec![self.of_step(record)]
            }
            Event::RunEnded(_) => {
                let last = self.unshown.take().map(|record| self.of_step(&record));
                let left_out = self.left_out.take().into_iter();
                left_out.chain(last).chain(self.unrepeated(record)).collect()
            }
            // Those on test data always have one: they are the result.
            Event::Evaluation(Evaluation { split: Split::Validation, .. })
            | Event::Checkpoint(_)
                if !self.has_credit() =>
            {
                if let Some(line) = line(record, &self.task()) {
                    self.left_out.add(record, line);
                }
                Vec::new()
            }
            _ => {
                self.left_out.replaced_by(record);
                self.unrepeated(record)
            }
        }
    }

    /// Whether a line that is not about a step may come now.
    fn has_credit(&mut self) -> bool {
        let every = self.every.unwrap_or(EVERY).as_secs_f64().max(1e-3);
        let (mut left, since) = self.credit;
        let earned = (since.elapsed().as_secs_f64() / every) as u32;
        if earned > 0 {
            left = left.saturating_add(earned).min(AT_ONCE);
            self.credit.1 = Instant::now();
        }
        self.credit.0 = left.saturating_sub(1);
        left > 0
    }

    /// The line of a step, or of numbers at one.
    fn of_step(&self, record: &Record) -> String {
        let total = self.run.as_ref().map_or(0, |run| run.total_steps);
        let values = match &record.event {
            Event::Step(taken) => progress(taken),
            Event::Scalars(scalars) => numbers(scalars),
            _ => String::new(),
        };
        let of = if total > 0 { format!("/{}", count(total)) } else { String::new() };
        format!("step {}{of}  {values}", count(record.step))
    }
}

/// How the line of a warning begins.
pub(super) const WARNING: &str = "Warning: ";

/// Numbers with their names.
fn numbers(scalars: &Scalars) -> String {
    let all = scalars.values.iter();
    let written =
        all.map(|(name, value)| format!("{} {}", format::safe(name), format::loss(*value)));
    written.collect::<Vec<_>>().join("  ")
}

/// The values of a step.
pub(super) fn progress(step: &event::Step) -> String {
    format!(
        "epoch {}  loss {}  lr {}  {} samples/s",
        count(step.epoch),
        format::loss(step.loss),
        format::significant(step.learning_rate, 4),
        format::rate(step.samples_per_second)
    )
}

/// The line for a record other than a step, if it has one.
pub(super) fn line(record: &Record, task: &TaskInfo) -> Option<String> {
    let step = count(record.step);
    match &record.event {
        Event::RunStarted(info) => Some(headline(info)),
        Event::Resumed(resumed) => {
            Some(format!("{}\nResuming from {}.", headline(&resumed.info), resumed.checkpoint))
        }
        Event::Evaluation(found) => {
            let weights = found.weights.name();
            let of = match found.model_step {
                Some(model) => format!(", the best model, of step {}", count(model)),
                None => String::new(),
            };
            let split = found.split.name();
            let mut line =
                format!("step {step}  {split:10} {weights}{of}: loss {}", format::loss(found.loss));
            for metric in task.metrics() {
                if let Some(value) = found.value(&metric.name) {
                    line += &format!(", {} {}", metric.label(), metric.format(value));
                }
            }
            Some(line)
        }
        Event::Checkpoint(saved) => Some(format!("step {step}  saved {}", saved.name)),
        Event::Paused => Some(format!("step {step}  paused")),
        Event::Continued => Some(format!("step {step}  continued")),
        Event::Changed(Changed { changes }) => {
            let all: Vec<String> =
                changes.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            Some(format!("step {step}  set {}", all.join(", ")))
        }
        Event::Suspended(event::Suspended { seconds }) => {
            Some(format!("step {step}  continued after {seconds:.0} s of suspension"))
        }
        Event::Note(note) => Some(note.message.clone()),
        Event::Warning(warning) => Some(format!("{WARNING}{}", warning.message)),
        Event::RunEnded(ended) => {
            let how = match ended.status {
                Status::Finished => "Finished",
                Status::Stopped => "Stopped",
                Status::Failed => "Failed",
            };
            let why = ended.message.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            let early = if ended.stopped_early() { ", stopped early" } else { "" };
            Some(format!("{how} at step {step}{early}{why}"))
        }
        Event::Step(_) | Event::Sync(_) | Event::Probe(_) | Event::Scalars(_) => None,
        Event::Layers(_) => None,
        Event::Timing(_) | Event::System(_) | Event::Ranks(_) | Event::Unknown => None,
        // The warning that comes with each has the sentence.
        Event::RolledBack(_) | Event::Stalled(_) => None,
    }
}

fn headline(info: &RunInfo) -> String {
    let around = match info.lookahead {
        Some(lookahead) => format!("Lookahead(k {}, α {}) around ", lookahead.k, lookahead.alpha),
        None => String::new(),
    };
    format!(
        "{}: {} on {}, {around}{}, {}, {} steps on {} with {} thread{}",
        info.run,
        info.model,
        info.data,
        info.optimizer,
        info.parameters,
        count(info.total_steps),
        info.compute.device,
        info.compute.threads,
        if info.compute.threads == 1 { "" } else { "s" }
    )
}

#[cfg(test)]
mod tests;
