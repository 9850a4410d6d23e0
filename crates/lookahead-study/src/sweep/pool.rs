//! The runs' processes: started, watched, started again, stopped.
//!
//! What a run's folder and log tell decides what is done with it, whoever left it there: a sweep
//! that ended in order, one that was killed, or a user who trained the run by hand. A process that
//! outlived a sweep which was killed is waited for, and no second one is started beside it.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lookahead_run::command::Command;
use lookahead_run::event::Status;
use lookahead_run::{RunFolder, control};

use super::error::{At, SweepError};
use super::folder::SweepFolder;
use super::plan::{Plan, Resolve, difference};
use super::process::{Process, Task};
use super::progress::{Estimate, Progress, Reporter, Running, Steps};
use super::results::{self, Numbers, Row, Standing};
use crate::summary::Summary;

/// How often processes are looked after.
const TICK: Duration = Duration::from_millis(50);
/// How often their logs are read for their progress, and others' processes looked for.
const LOOK: Duration = Duration::from_millis(500);
/// Attempts of a run that fails.
const ATTEMPTS: u32 = 2;
/// The exit status of what the user can mend: to try again would change nothing.
const USAGE: i32 = 2;

/// How a sweep is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program, whose `train` and `resume` are called.
    pub program: PathBuf,
    /// Processes at once.
    pub jobs: usize,
    /// Whether runs that failed for good in an earlier process get new attempts.
    pub retry_failed: bool,
}

/// What came of a sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Runs that are finished.
    pub finished: usize,
    /// Runs that failed for good, with why.
    pub failed: Vec<(String, String)>,
    /// Runs that are neither, such as those that never began or were stopped.
    pub unfinished: usize,
    /// Whether the sweep was stopped on request.
    pub stopped: bool,
    /// Whether its processes were killed on a second request.
    pub killed: bool,
}

/// Runs a sweep in a folder that is locked: all that is not finished there, until all is, or
/// `stop` is raised. 1 asks the runs to save and stop, and 2 kills them.
///
/// # Errors
/// Where a run is there that the sweep would not begin so, or the folder can't be written.
/// Processes that live then are asked to stop.
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
        states: Vec::new(),
        rows: vec![None; plan.points.len()],
        waiting: VecDeque::new(),
        estimate: Estimate::default(),
        asked: false,
        killed: false,
    };
    pool.look_around(resolve, reporter)?;
    folder.write_copy(&plan.file.text)?;
    let outcome = pool.work(stop, reporter);
    if outcome.is_err() {
        pool.ask_to_stop();
    }
    outcome?;
    Ok(pool.outcome())
}

/// How a point stands here.
#[derive(Debug)]
enum State {
    /// In the queue; with what is to be done.
    Waiting(Task),
    /// Our process trains it.
    Ours(Box<Process>, Steps, Task),
    /// A process trains it that an earlier sweep or somebody else started.
    Others(Steps),
    /// It is over, for this process of the sweep.
    Over,
}

struct Pool<'a> {
    plan: &'a Plan,
    folder: &'a SweepFolder,
    options: &'a Options,
    states: Vec<State>,
    rows: Vec<Option<Row>>,
    /// Numbers of the points that wait, in the order in which they are begun.
    waiting: VecDeque<usize>,
    estimate: Estimate,
    /// Whether our processes were asked to stop.
    asked: bool,
    killed: bool,
}

/// What lies in the place of a run.
enum Found {
    Nothing,
    /// A process trains it.
    InUse,
    /// A run that ended so, with why, or was left without an end; and its numbers.
    Run(Option<Status>, Option<String>, Option<Numbers>),
}

impl Pool<'_> {
    fn name(&self, index: usize) -> &str {
        &self.plan.points[index].point.name
    }

    /// Finds out what is there already, before anything is begun.
    fn look_around(
        &mut self,
        resolve: Resolve,
        reporter: &mut dyn Reporter,
    ) -> Result<(), SweepError> {
        let known = results::failures(self.folder);
        let mut kept = 0;
        for index in 0..self.plan.points.len() {
            let planned = &self.plan.points[index];
            let name = &planned.point.name;
            let (mut failures, message) = known.get(name).cloned().unwrap_or_default();
            let found = self.look(index)?;
            if !matches!(found, Found::Nothing) {
                self.refuse_another_config(index, resolve)?;
            }
            if matches!(found, Found::Nothing) || self.options.retry_failed {
                failures = 0;
            }
            let row = |standing, failures, message, numbers| {
                Some(Row { standing, failures, message, numbers })
            };
            let (state, row) = match found {
                Found::Run(Some(Status::Finished), _, numbers) => {
                    kept += 1;
                    (State::Over, row(Standing::Finished, failures, None, numbers))
                }
                Found::Run(Some(Status::Failed), why, numbers) if !self.options.retry_failed => {
                    failures = failures.max(1);
                    let row = row(Standing::Failed, failures, why.or(message), numbers);
                    match failures >= ATTEMPTS {
                        true => (State::Over, row),
                        false => (State::Waiting(Task::Train), row),
                    }
                }
                Found::Run(Some(Status::Failed), ..) => (State::Waiting(Task::Train), None),
                Found::Run(_, _, numbers) if failures >= ATTEMPTS => {
                    (State::Over, row(Standing::Failed, failures, message, numbers))
                }
                Found::Run(_, _, numbers) => {
                    let row = row(Standing::Stopped, failures, message, numbers);
                    (State::Waiting(self.task(index)), row)
                }
                Found::InUse => {
                    let row =
                        (failures > 0).then(|| row(Standing::Failed, failures, message, None));
                    (State::Others(self.steps(index, true)), row.flatten())
                }
                Found::Nothing => (State::Waiting(Task::Train), None),
            };
            if matches!(state, State::Waiting(_)) {
                self.waiting.push_back(index);
            }
            self.states.push(state);
            self.rows[index] = row;
        }
        if kept > 0 {
            reporter.say(&format!("{kept} of {} runs are finished already.", self.rows.len()));
        }
        let others = self.states.iter().filter(|state| matches!(state, State::Others(_))).count();
        if others > 0 {
            reporter.say(&format!(
                "{others} of the runs are trained by processes that another sweep or somebody else \
                 started: they are waited for."
            ));
        }
        self.tell_of_strangers(reporter);
        self.write()
    }

    /// Runs that are in the folder and not in the sweep.
    fn tell_of_strangers(&self, reporter: &mut dyn Reporter) {
        let points = self.plan.points.iter();
        let names: std::collections::HashSet<&str> =
            points.map(|planned| planned.point.name.as_str()).collect();
        let found = fs::read_dir(self.folder.runs()).into_iter().flatten().flatten();
        let strangers = found
            .filter(|entry| entry.file_name().to_str().is_none_or(|name| !names.contains(name)))
            .count();
        if strangers > 0 {
            reporter.say(&format!(
                "{strangers} runs in {} are none of the sweep's as it is now: they stay, and are not \
         among the results.",
                self.folder.runs().display()
            ));
        }
    }

    fn look(&self, index: usize) -> Result<Found, SweepError> {
        let name = self.name(index);
        let path = self.folder.run(name);
        if self.folder.is_active(name) {
            return Ok(Found::InUse);
        }
        if path.symlink_metadata().is_err() {
            return Ok(Found::Nothing);
        }
        let run = match RunFolder::open(&path) {
            Ok(run) => run,
            // It was killed before it was a run.
            Err(lookahead_run::Error::NotARun { .. }) if path.is_dir() => {
                self.folder.remove_run(name)?;
                return Ok(Found::Nothing);
            }
            Err(error) => return Err(error.into()),
        };
        if run.is_in_use()? {
            return Ok(Found::InUse);
        }
        let (status, why, numbers) = read(&path);
        Ok(Found::Run(status, why, numbers))
    }

    fn refuse_another_config(&self, index: usize, resolve: Resolve) -> Result<(), SweepError> {
        let run = self.folder.run(self.name(index));
        let path = run.join("config.toml");
        if !path.exists() {
            return Ok(());
        }
        let file = |message| SweepError::File { path: path.clone(), line: None, message };
        let found = resolve(&path, &[]).map_err(|refused| {
            file(format!("{} Remove the run, or put its config right.", refused.message))
        })?;
        match difference(&found, &self.plan.points[index].config) {
            Some((key, found, wanted)) => Err(SweepError::Changed { run, key, found, wanted }),
            None => Ok(()),
        }
    }

    /// What to do with a run that was left without an end.
    fn task(&self, index: usize) -> Task {
        let run = RunFolder::open(&self.folder.run(self.name(index)));
        match run.is_ok_and(|run| run.checkpoints().newest_valid().is_ok()) {
            true => Task::Resume,
            false => Task::Train,
        }
    }

    fn steps(&self, index: usize, goes_on: bool) -> Steps {
        Steps::new(&self.folder.run(self.name(index)).join("events.jsonl"), goes_on)
    }

    fn write(&self) -> Result<(), SweepError> {
        results::write(self.folder, &self.plan.points, &self.rows)
    }

    /// Until all is over.
    fn work(&mut self, stop: &AtomicU32, reporter: &mut dyn Reporter) -> Result<(), SweepError> {
        let mut looked = None::<Instant>;
        loop {
            self.folder.check()?;
            let asked = stop.load(Ordering::Relaxed);
            if asked >= 1 && !self.asked {
                self.ask_to_stop();
                self.waiting.clear();
            }
            if asked >= 2 {
                self.kill();
                return self.write();
            }
            for index in 0..self.states.len() {
                self.look_after(index, reporter)?;
            }
            let is_due = looked.is_none_or(|at| at.elapsed() >= LOOK);
            if is_due {
                looked = Some(Instant::now());
                self.look_at_others()?;
            }
            while !self.asked && self.active() < self.options.jobs {
                let Some(index) = self.waiting.pop_front() else { break };
                self.start(index)?;
            }
            let is_over = self.active() == 0 && (self.waiting.is_empty() || self.asked);
            if is_due || is_over {
                let progress = self.progress();
                reporter.progress(&progress);
            }
            if is_over {
                return self.write();
            }
            std::thread::sleep(TICK);
        }
    }

    fn active(&self) -> usize {
        let is_active = |state: &&State| matches!(state, State::Ours(..) | State::Others(_));
        self.states.iter().filter(is_active).count()
    }

    fn ask_to_stop(&mut self) {
        self.asked = true;
        for state in &self.states {
            if let State::Ours(process, ..) = state {
                process.stop();
            }
        }
    }

    fn kill(&mut self) {
        self.killed = true;
        for index in 0..self.states.len() {
            if let State::Ours(process, ..) = &mut self.states[index] {
                process.kill();
                self.folder.deactivate(self.name(index));
                self.states[index] = State::Over;
            }
        }
    }

    fn start(&mut self, index: usize) -> Result<(), SweepError> {
        let State::Waiting(task) = self.states[index] else { return Ok(()) };
        let name = self.name(index).to_owned();
        if task == Task::Train {
            self.folder.remove_run(&name)?;
        }
        let active = self.folder.activate(&name)?;
        let point = &self.plan.points[index].point;
        let (config, runs) = (self.plan.config(), self.folder.runs());
        let process = Process::start(&self.options.program, task, point, &config, &runs, active)?;
        let steps = self.steps(index, task == Task::Resume);
        self.states[index] = State::Ours(Box::new(process), steps, task);
        Ok(())
    }

    /// Takes in what came of one of our processes, if it has ended.
    fn look_after(&mut self, index: usize, reporter: &mut dyn Reporter) -> Result<(), SweepError> {
        let State::Ours(process, ..) = &mut self.states[index] else { return Ok(()) };
        let Some(status) = process.ended() else { return Ok(()) };
        let said = process.last_words();
        let before = std::mem::replace(&mut self.states[index], State::Over);
        let State::Ours(_, mut steps, task) = before else { return Ok(()) };
        steps.read();
        self.estimate.ended(&steps);
        let name = self.name(index).to_owned();
        self.folder.deactivate(&name);

        let failures = self.rows[index].as_ref().map_or(0, |row| row.failures);
        let (state, why, numbers) = read(&self.folder.run(&name));
        let row = |standing, failures, message| Row { standing, failures, message, numbers };
        if status.success() && state == Some(Status::Finished) {
            let _ = fs::remove_file(self.folder.output(&name));
            self.rows[index] = Some(row(Standing::Finished, failures, None));
            return self.write();
        }
        // Before it listened to signals, the one that asked it to stop ended it.
        let stopped = status.success() && state == Some(Status::Stopped);
        if stopped || (self.asked && status.signal().is_some()) {
            if !self.asked {
                reporter.say(&format!(
                    "{name} was stopped by somebody else: it goes on when the sweep is started \
                     again."
                ));
            }
            self.rows[index] = Some(row(Standing::Stopped, failures, None));
            return self.write();
        }

        let why = why.filter(|_| state == Some(Status::Failed));
        let why = why.unwrap_or_else(|| last_line(&said, status));
        let failures = failures + 1;
        self.rows[index] = Some(row(Standing::Failed, failures, Some(why.clone())));
        let output = self.folder.output(&name);
        fs::write(&output, said).at("write", &output)?;
        self.write()?;
        if failures >= ATTEMPTS || status.code() == Some(USAGE) {
            reporter.warn(&format!("{name} failed: {why}"));
            return Ok(());
        }
        reporter.warn(&format!("{name} failed, and is tried once more: {why}"));
        // One that was killed goes on; one that told of its failure, or that could not go on,
        // begins again.
        let next = match state {
            Some(Status::Failed) => Task::Train,
            _ if task == Task::Resume => Task::Train,
            _ => self.task(index),
        };
        self.states[index] = State::Waiting(next);
        if !self.asked {
            self.waiting.push_back(index);
        }
        Ok(())
    }

    /// Looks after runs that others train.
    fn look_at_others(&mut self) -> Result<(), SweepError> {
        for index in 0..self.states.len() {
            if !matches!(self.states[index], State::Others(_)) {
                continue;
            }
            let path = self.folder.run(self.name(index));
            if self.asked
                && let Ok(run) = RunFolder::open(&path)
            {
                // One that does not listen yet is asked again.
                let _ = control::send(&run, Command::Stop);
            }
            let found = self.look(index)?;
            if matches!(found, Found::InUse) {
                continue;
            }
            self.folder.deactivate(self.name(index));
            let failures = self.rows[index].as_ref().map_or(0, |row| row.failures);
            let (status, why, numbers) = match found {
                Found::Run(status, why, numbers) => (status, why, numbers),
                _ => (None, None, None),
            };
            let (standing, failures, message, state) = match status {
                Some(Status::Finished) => (Standing::Finished, failures, None, State::Over),
                Some(Status::Failed) => {
                    let failures = failures + 1;
                    let state = match failures >= ATTEMPTS {
                        true => State::Over,
                        false => State::Waiting(Task::Train),
                    };
                    (Standing::Failed, failures, why, state)
                }
                _ => (Standing::Stopped, failures, None, State::Waiting(self.task(index))),
            };
            if matches!(state, State::Waiting(_)) && !self.asked {
                self.waiting.push_back(index);
            }
            self.rows[index] = Some(Row { standing, failures, message, numbers });
            self.states[index] = state;
            self.write()?;
        }
        Ok(())
    }

    fn progress(&mut self) -> Progress {
        let mut running = Vec::new();
        for index in 0..self.states.len() {
            let (State::Ours(_, steps, _) | State::Others(steps)) = &mut self.states[index] else {
                continue;
            };
            steps.read();
            let (step, total) = (steps.step, steps.total);
            running.push(Running { name: self.name(index).to_owned(), step, total });
        }
        let of = |standing| {
            let is = |(row, state): &(&Option<Row>, &State)| {
                matches!(state, State::Over)
                    && row.as_ref().is_some_and(|row| row.standing == standing)
            };
            self.rows.iter().zip(&self.states).filter(is).count()
        };
        let steps: Vec<&Steps> = self
            .states
            .iter()
            .filter_map(|state| match state {
                State::Ours(_, steps, _) | State::Others(steps) => Some(steps),
                _ => None,
            })
            .collect();
        let waiting: Vec<Option<u64>> = self
            .waiting
            .iter()
            .map(|index| self.plan.points[*index].config["train"]["max_steps"].as_u64())
            .collect();
        Progress {
            total: self.rows.len(),
            finished: of(Standing::Finished),
            failed: of(Standing::Failed),
            left: self.estimate.left(&steps, &waiting, self.options.jobs),
            running,
            stopping: self.asked,
        }
    }

    fn outcome(&self) -> Outcome {
        let mut outcome =
            Outcome { stopped: self.asked, killed: self.killed, ..Outcome::default() };
        for (index, (row, state)) in self.rows.iter().zip(&self.states).enumerate() {
            match (state, row) {
                (State::Over, Some(Row { standing: Standing::Finished, .. })) => {
                    outcome.finished += 1;
                }
                (State::Over, Some(Row { standing: Standing::Failed, message, .. })) => {
                    let why = message.clone().unwrap_or_default();
                    outcome.failed.push((self.name(index).to_owned(), why));
                }
                _ => outcome.unfinished += 1,
            }
        }
        outcome
    }
}

/// How a run ended, why, and its numbers. A log that tells nothing is that of a run that has hardly
/// begun.
fn read(run: &Path) -> (Option<Status>, Option<String>, Option<Numbers>) {
    let Ok(summary) = Summary::read(run) else { return (None, None, None) };
    let numbers = Some(Numbers::of(&summary));
    match summary.ended {
        Some(ended) => (Some(ended.status), ended.message, numbers),
        None => (None, None, numbers),
    }
}

/// Why a process failed, by its last words, or else by how it ended.
fn last_line(said: &str, status: ExitStatus) -> String {
    let line = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
    match (line, status.signal()) {
        (_, Some(signal)) => format!("Its process was ended by signal {signal}."),
        (Some(line), None) => line.strip_prefix("error: ").unwrap_or(line).to_owned(),
        (None, None) => format!("Its process ended with {status} and without a word."),
    }
}

/// The runs of a sweep that are worth a look: those that live, and then the latest, at most `most`.
///
/// # Errors
/// Where the folder can't be read.
pub fn latest(folder: &Path, most: usize) -> Result<Vec<RunFolder>, SweepError> {
    let found = fs::read_dir(folder).at("read the folder", folder)?;
    let mut runs: Vec<_> = found
        .flatten()
        .filter_map(|entry| RunFolder::open(&entry.path()).ok())
        .map(|run| {
            let lives = run.is_in_use().unwrap_or(false);
            let written = run.events_path().metadata().and_then(|found| found.modified());
            (lives, written.ok(), run)
        })
        .collect();
    runs.sort_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)).then_with(|| a.2.name().cmp(b.2.name())));
    Ok(runs.into_iter().take(most).map(|(_, _, run)| run).collect())
}
