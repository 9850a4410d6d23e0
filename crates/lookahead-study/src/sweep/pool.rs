//! The runs' processes: started, watched, restarted, stopped.
//!
//! A run that another process trains, for example one that outlived a sweep that was killed, is locked:
//! the sweep waits for it and starts no second process.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lookahead_run::event::Status;
use lookahead_run::program_name;

use super::error::{At, SweepError};
use super::folder::SweepFolder;
use super::plan::{Plan, Resolve};
use super::process::{Process, Task};
use super::progress::{Estimate, Progress, Reporter, Running, Steps};
use super::results::{self, Row, RowStatus};
use super::survey::{self, Ended, Found};

/// How often processes are checked.
const TICK: Duration = Duration::from_millis(50);
/// How often logs are read for progress, and runs that other processes train are checked.
const LOOK: Duration = Duration::from_millis(500);
/// Attempts of a run that fails.
const ATTEMPTS: u32 = 2;
/// The exit status of an error in the config: another attempt would change nothing.
const USAGE: i32 = 2;

/// How a sweep is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program, whose `train` and `resume` are called.
    pub program: PathBuf,
    /// Processes at once.
    pub jobs: usize,
    /// Whether runs that failed in an earlier process of the sweep get new attempts.
    pub retry_failed: bool,
}

/// The result of a sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Runs that are finished.
    pub finished: usize,
    /// Runs that failed and are not tried again, with the reason.
    pub failed: Vec<(String, String)>,
    /// Runs that are neither: never started, stopped, or trained by another process.
    pub unfinished: usize,
    /// Whether the sweep was stopped on request.
    pub stopped: bool,
    /// Whether its processes were killed on a second request.
    pub killed: bool,
}

/// Runs a sweep in a locked folder: everything that is not finished there. If `stop` becomes 1, the runs
/// save checkpoints and stop; if it becomes 2, they are killed.
///
/// # Errors
/// If a run has another config than the sweep, or the folder can't be written. Running processes then
/// stop.
pub fn run(
    plan: &Plan,
    folder: &SweepFolder,
    options: &Options,
    resolve: Resolve,
    stop: &AtomicU32,
    reporter: &mut dyn Reporter,
) -> Result<Outcome, SweepError> {
    let mut pool = Pool {
        plan,
        folder,
        options,
        history: results::failures(folder),
        states: Vec::new(),
        rows: vec![None; plan.points.len()],
        waiting: VecDeque::new(),
        estimate: Estimate::default(),
        stopping: false,
        killed: false,
    };
    pool.survey(resolve, reporter)?;
    folder.write_copy(&plan.file.text)?;
    let outcome = pool.work(stop, reporter);
    if outcome.is_err() {
        pool.stop();
    }
    outcome?;
    Ok(pool.outcome())
}

/// The state of a point.
#[derive(Debug)]
enum State {
    /// In the queue, with what to do.
    Waiting(Task),
    /// Our process trains it.
    Running(Box<Active>),
    /// Another process trains it.
    InUse,
    /// Done, for this process of the sweep.
    Done,
}

/// A run that our process trains.
#[derive(Debug)]
struct Active {
    process: Process,
    steps: Steps,
    task: Task,
}

struct Pool<'a> {
    plan: &'a Plan,
    folder: &'a SweepFolder,
    options: &'a Options,
    /// How often each run had failed before, and why.
    history: BTreeMap<String, (u32, Option<String>)>,
    states: Vec<State>,
    rows: Vec<Option<Row>>,
    /// Indices of the points that wait, in the order in which they are started.
    waiting: VecDeque<usize>,
    estimate: Estimate,
    stopping: bool,
    killed: bool,
}

impl Pool<'_> {
    fn name(&self, index: usize) -> &str {
        &self.plan.points[index].point.name
    }

    /// Finds out which runs exist, before anything is started.
    fn survey(&mut self, resolve: Resolve, reporter: &mut dyn Reporter) -> Result<(), SweepError> {
        for (index, planned) in self.plan.points.iter().enumerate() {
            let found = survey::look(self.folder, &planned.point.name)?;
            if !matches!(found, Found::Nothing) {
                survey::check_config(self.folder, planned, resolve)?;
            }
            self.states.push(State::Done);
            self.settle(index, found);
        }
        let finished = self.rows.iter().flatten();
        let finished = finished.filter(|row| row.status == RowStatus::Finished).count();
        if finished > 0 {
            reporter.note(&format!("{finished} of {} runs are already finished.", self.rows.len()));
        }
        let in_use = self.states.iter().filter(|state| matches!(state, State::InUse)).count();
        if in_use > 0 {
            reporter.note(&format!(
                "{in_use} of the runs are trained by other processes, which are waited for. \
                 `{} ctl RUN stop` stops one.",
                program_name()
            ));
        }
        let strangers = survey::strangers(self.folder, &self.plan.points);
        if strangers > 0 {
            reporter.note(&format!(
                "{strangers} runs in {} are not in the sweep as it is now: they stay, and are not \
                 among the results.",
                self.folder.runs().display()
            ));
        }
        self.write()
    }

    /// Decides what to do with a point by the state of its run.
    fn settle(&mut self, index: usize, found: Found) {
        let name = self.name(index);
        let retry = self.options.retry_failed;
        let (mut failures, message) = self.history.get(name).cloned().unwrap_or_default();
        if retry || matches!(found, Found::Nothing) {
            failures = 0;
        }
        let row =
            |status, failures, message, numbers| Some(Row { status, failures, message, numbers });
        let (state, row) = match found {
            Found::Nothing => (State::Waiting(Task::Train), None),
            Found::InUse if failures > 0 => {
                (State::InUse, row(RowStatus::Failed, failures, message, None))
            }
            Found::InUse => (State::InUse, None),
            Found::Run(Ended { status, message: why, numbers }) => match status {
                Some(Status::Finished) => {
                    (State::Done, row(RowStatus::Finished, failures, None, numbers))
                }
                Some(Status::Failed) if retry => (State::Waiting(Task::Train), None),
                Some(Status::Failed) => {
                    let failures = failures.max(1);
                    let again = failures < ATTEMPTS;
                    let state = if again { State::Waiting(Task::Train) } else { State::Done };
                    (state, row(RowStatus::Failed, failures, why.or(message), numbers))
                }
                _ if failures >= ATTEMPTS => {
                    (State::Done, row(RowStatus::Failed, failures, message, numbers))
                }
                _ => {
                    let task = survey::task(self.folder, name);
                    (State::Waiting(task), row(RowStatus::Stopped, failures, message, numbers))
                }
            },
        };
        self.rows[index] = row;
        self.set(index, state);
    }

    fn set(&mut self, index: usize, state: State) {
        if matches!(state, State::Waiting(_)) && !self.stopping {
            self.waiting.push_back(index);
        }
        self.states[index] = state;
    }

    fn write(&self) -> Result<(), SweepError> {
        results::write(self.folder, &self.plan.points, &self.rows)
    }

    /// Works until all is done.
    fn work(&mut self, stop: &AtomicU32, reporter: &mut dyn Reporter) -> Result<(), SweepError> {
        let mut looked = None::<Instant>;
        loop {
            self.folder.check()?;
            let requests = stop.load(Ordering::Relaxed);
            if requests >= 1 && !self.stopping {
                self.stop();
                self.waiting.clear();
            }
            if requests >= 2 {
                self.kill();
                return self.write();
            }
            for index in 0..self.states.len() {
                self.reap(index, reporter)?;
            }
            let is_due = looked.is_none_or(|at| at.elapsed() >= LOOK);
            if is_due {
                looked = Some(Instant::now());
                self.check_in_use()?;
            }
            while !self.stopping && self.active() < self.options.jobs {
                let Some(index) = self.waiting.pop_front() else { break };
                self.start(index)?;
            }
            let is_running = |state: &State| matches!(state, State::Running(_));
            let is_done = if self.stopping {
                !self.states.iter().any(is_running)
            } else {
                self.active() == 0 && self.waiting.is_empty()
            };
            if is_due || is_done {
                let progress = self.progress();
                reporter.progress(&progress);
            }
            if is_done {
                return self.write();
            }
            std::thread::sleep(TICK);
        }
    }

    /// Runs that are trained, by whatever process.
    fn active(&self) -> usize {
        let is_active = |state: &&State| matches!(state, State::Running(_) | State::InUse);
        self.states.iter().filter(is_active).count()
    }

    fn stop(&mut self) {
        self.stopping = true;
        for state in &self.states {
            if let State::Running(active) = state {
                active.process.stop();
            }
        }
    }

    fn kill(&mut self) {
        self.killed = true;
        for index in 0..self.states.len() {
            if let State::Running(active) = &mut self.states[index] {
                active.process.kill();
                self.states[index] = State::Done;
            }
        }
    }

    fn start(&mut self, index: usize) -> Result<(), SweepError> {
        let State::Waiting(task) = self.states[index] else { return Ok(()) };
        let point = &self.plan.points[index].point;
        // Another process may have started it since the survey.
        if matches!(survey::look(self.folder, &point.name)?, Found::InUse) {
            self.states[index] = State::InUse;
            return Ok(());
        }
        if task == Task::Train {
            self.folder.remove_run(&point.name)?;
        }
        let (config, runs) = (self.plan.config(), self.folder.runs());
        let process = Process::start(&self.options.program, task, point, &config, &runs)?;
        let log = self.folder.run(&point.name).join("events.jsonl");
        let steps = Steps::new(&log, task == Task::Resume);
        self.states[index] = State::Running(Box::new(Active { process, steps, task }));
        Ok(())
    }

    /// Handles the end of one of our processes.
    fn reap(&mut self, index: usize, reporter: &mut dyn Reporter) -> Result<(), SweepError> {
        let State::Running(active) = &mut self.states[index] else { return Ok(()) };
        let Some(status) = active.process.ended() else { return Ok(()) };
        let output = active.process.output();
        active.steps.read();
        self.estimate.ended(&active.steps);
        let task = active.task;
        self.states[index] = State::Done;
        let name = self.name(index).to_owned();

        let failures = self.rows[index].as_ref().map_or(0, |row| row.failures);
        let Ended { status: ended, message, numbers } = Ended::read(&self.folder.run(&name));
        let row = |status, failures, message| Some(Row { status, failures, message, numbers });
        if status.success() && ended == Some(Status::Finished) {
            let _ = fs::remove_file(self.folder.output(&name));
            self.rows[index] = row(RowStatus::Finished, failures, None);
            return self.write();
        }
        // A process that does not listen to signals yet is ended by the request to stop.
        let stopped = status.success() && ended == Some(Status::Stopped);
        if stopped || (self.stopping && status.signal().is_some()) {
            if !self.stopping {
                reporter.note(&format!(
                    "{name} was stopped, but not by this sweep: start the sweep again to resume it."
                ));
            }
            self.rows[index] = row(RowStatus::Stopped, failures, None);
            return self.write();
        }

        let why = message.filter(|_| ended == Some(Status::Failed));
        let why = why.unwrap_or_else(|| last_line(&output, status));
        let failures = failures + 1;
        self.rows[index] = row(RowStatus::Failed, failures, Some(why.clone()));
        let file = self.folder.output(&name);
        fs::write(&file, output).at("write", &file)?;
        self.write()?;
        if failures >= ATTEMPTS || status.code() == Some(USAGE) {
            reporter.warn(&format!("{name} failed: {why}"));
            return Ok(());
        }
        reporter.warn(&format!("{name} failed, and is tried once more: {why}"));
        // A run that was killed is resumed; one that reported its failure, or that could not be
        // resumed, is started afresh.
        let next = match ended {
            Some(Status::Failed) => Task::Train,
            _ if task == Task::Resume => Task::Train,
            _ => survey::task(self.folder, &name),
        };
        self.set(index, State::Waiting(next));
        Ok(())
    }

    /// Looks again at the runs that other processes train.
    fn check_in_use(&mut self) -> Result<(), SweepError> {
        for index in 0..self.states.len() {
            if !matches!(self.states[index], State::InUse) {
                continue;
            }
            let found = survey::look(self.folder, self.name(index))?;
            if !matches!(found, Found::InUse) {
                self.settle(index, found);
                self.write()?;
            }
        }
        Ok(())
    }

    fn progress(&mut self) -> Progress {
        let (mut running, mut steps) = (Vec::new(), Vec::new());
        let (mut finished, mut failed) = (0, 0);
        let mut waiting: Vec<usize> = self.waiting.iter().copied().collect();
        for (index, state) in self.states.iter_mut().enumerate() {
            match (state, &self.rows[index]) {
                (State::Running(active), _) => {
                    active.steps.read();
                    let name = self.plan.points[index].point.name.clone();
                    let (step, total) = (active.steps.step, active.steps.total);
                    running.push(Running { name, step, total });
                    steps.push(&active.steps);
                }
                (State::InUse, _) => waiting.push(index),
                (State::Done, Some(Row { status: RowStatus::Finished, .. })) => finished += 1,
                (State::Done, Some(Row { status: RowStatus::Failed, .. })) => failed += 1,
                _ => {}
            }
        }
        let max_steps =
            |index: &usize| self.plan.points[*index].config["train"]["max_steps"].as_u64();
        let waiting: Vec<Option<u64>> = waiting.iter().map(max_steps).collect();
        let left = self.estimate.left(&steps, &waiting, self.options.jobs);
        let (total, stopping) = (self.rows.len(), self.stopping);
        Progress { total, finished, failed, running, left, stopping }
    }

    fn outcome(&self) -> Outcome {
        let mut outcome =
            Outcome { stopped: self.stopping, killed: self.killed, ..Outcome::default() };
        for (index, (row, state)) in self.rows.iter().zip(&self.states).enumerate() {
            match (state, row) {
                (State::Done, Some(Row { status: RowStatus::Finished, .. })) => {
                    outcome.finished += 1;
                }
                (State::Done, Some(Row { status: RowStatus::Failed, message, .. })) => {
                    let why = message.clone().unwrap_or_default();
                    outcome.failed.push((self.name(index).to_owned(), why));
                }
                _ => outcome.unfinished += 1,
            }
        }
        outcome
    }
}

/// Why a process failed, by the last line of its output, or else by how it ended.
fn last_line(output: &str, status: ExitStatus) -> String {
    let line = output.lines().rev().map(str::trim).find(|line| !line.is_empty());
    match (line, status.signal()) {
        (_, Some(signal)) => format!("Its process was ended by signal {signal}."),
        (Some(line), None) => line.strip_prefix("error: ").unwrap_or(line).to_owned(),
        (None, None) => format!("Its process ended with {status} and without a message."),
    }
}
