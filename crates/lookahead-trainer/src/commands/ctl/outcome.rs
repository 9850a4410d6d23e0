//! What comes of a command that a run has accepted: the run carries it out at its next step.
//!
//! The event log shows it, from the end that it had before the command. While the log can't be written, for example on a
//! full disk, the run's status shows most of it. Programs of earlier versions have both.

use std::thread::sleep;
use std::time::{Duration, Instant};

use lookahead_run::command::{Command, Setting};
use lookahead_run::event::{self, Changed, Event, Record, RollBackCause, RunEnded};
use lookahead_run::format::count;
use lookahead_run::status::{State, Status};
use lookahead_run::{Error, LogItem, LogTail, RunFolder, control, program_name};
use serde_json::Value;

use crate::commands::selection::other_program;
use crate::commands::status::not_running;
use crate::config::mutable_keys::PERIOD;
use crate::hints;
use crate::train::hooks::checkpoints::NO_CHECKPOINT;

/// How long to wait for the outcome.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often to look for it.
const POLL: Duration = Duration::from_millis(20);
/// How long the run may take for its status before the command.
const BRIEFLY: Duration = Duration::from_secs(1);

/// Follows a run from before a command on.
pub(super) struct Follower {
    log: LogTail,
    /// Its state before the command, if it answers.
    before: Option<Status>,
    /// The last checkpoint since then.
    saved: Option<String>,
}

/// A sentence, or the failure that the command led to.
type Outcome = anyhow::Result<String>;

impl Follower {
    pub(super) fn new(folder: &RunFolder) -> anyhow::Result<Self> {
        let log = LogTail::from_end(&folder.events_path())?;
        let before = control::status_within(folder, BRIEFLY).ok();
        Ok(Follower { log, before, saved: None })
    }

    /// Waits for the outcome of a command that was accepted.
    ///
    /// # Errors
    /// If the run could not carry it out, or ended before.
    pub(super) fn outcome(mut self, folder: &RunFolder, command: &Command) -> Outcome {
        if let Some(done) = self.before.as_ref().and_then(|before| already(before, command)) {
            return Ok(done);
        }
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(outcome) = self.by_log(folder, command) {
                if matches!(command, Command::Stop) {
                    wait_for_the_process(folder, started);
                }
                return outcome;
            }
            match control::status_within(folder, PATIENCE.saturating_sub(started.elapsed())) {
                Ok(now) => {
                    if let Some(outcome) = self.by_status(folder, &now, command) {
                        return Ok(outcome);
                    }
                }
                // Its last events may have come meanwhile.
                Err(error @ Error::NotRunning { .. }) => {
                    let last = self.by_log(folder, command);
                    return last.unwrap_or_else(|| Err(not_running(folder, error)));
                }
                // A version without this request refuses it.
                Err(_) => {}
            }
            sleep(POLL);
        }
        Ok(format!(
            "Accepted, but not done within {} s: the run is in a long step, an evaluation or a checkpoint. `{} ctl \
             {} status` shows where it is.",
            PATIENCE.as_secs(),
            program_name(),
            hints::quoted(folder.path())
        ))
    }

    /// The outcome by the events since the last call.
    fn by_log(&mut self, folder: &RunFolder, command: &Command) -> Option<Outcome> {
        // A log that can't be read is no failure of the command.
        let items = self.log.read(usize::MAX).unwrap_or_default();
        items.into_iter().find_map(|item| match item {
            LogItem::Record(record) => self.by_event(folder, command, &record),
            LogItem::Restarted | LogItem::Damaged { .. } => None,
        })
    }

    fn by_event(
        &mut self,
        folder: &RunFolder,
        command: &Command,
        record: &Record,
    ) -> Option<Outcome> {
        let step = record.step;
        match (&record.event, command) {
            (Event::Paused, Command::Pause) => Some(Ok(paused(step))),
            (Event::Continued, Command::Continue) => Some(Ok(continued(step))),
            (Event::Checkpoint(found), _) => {
                self.saved = Some(found.name.clone());
                // One that was being written before the command is of an earlier step.
                let is_new = self.before.as_ref().is_none_or(|before| step >= before.step);
                (is_new && *command == Command::Checkpoint).then(|| Ok(saved(&found.name)))
            }
            (Event::RolledBack(found), Command::RollBack)
                if found.cause == RollBackCause::Requested =>
            {
                Some(Ok(format!("Step {}: {}", count(step), found.message)))
            }
            (Event::Changed(Changed { changes }), Command::Set(Setting { key, .. })) => {
                changes.get(key).map(|value| Ok(set(key, value, step)))
            }
            (Event::Warning(warning), Command::Checkpoint)
                if warning.message.starts_with(NO_CHECKPOINT) =>
            {
                Some(Err(anyhow::anyhow!("{}", warning.message)))
            }
            // It was checked when it was accepted, and another change came first.
            (Event::Warning(warning), Command::Set(Setting { key, .. }))
                if warning.message.starts_with(&format!("`{key}`")) =>
            {
                Some(Err(anyhow::anyhow!("{}", warning.message)))
            }
            (Event::RunEnded(ended), _) => Some(self.at_the_end(folder, command, step, ended)),
            _ => None,
        }
    }

    /// The outcome if the run has ended.
    fn at_the_end(
        &self,
        folder: &RunFolder,
        command: &Command,
        step: u64,
        ended: &RunEnded,
    ) -> Outcome {
        let step = count(step);
        match (ended.status, command) {
            (event::Status::Stopped, Command::Stop) => {
                let checkpoint = match &self.saved {
                    Some(name) => format!("; the checkpoint is {name}"),
                    None => String::new(),
                };
                let resume = match other_program(folder) {
                    Some(program) => format!("`{program}` wrote the run and can resume it."),
                    None => format!("Resume with: {}", hints::resume(folder.path())),
                };
                Ok(format!("Stopped at step {step}{checkpoint}.\n{resume}"))
            }
            (event::Status::Finished, Command::Stop) => {
                Ok(format!("The run had taken its last step: it finished at step {step}."))
            }
            (event::Status::Failed, _) => {
                let why = ended.message.as_deref().unwrap_or("it gave no reason");
                anyhow::bail!("The run failed at step {step}: {why}")
            }
            (event::Status::Stopped | event::Status::Finished, _) => {
                anyhow::bail!("The run ended at step {step}, before it came to the command.")
            }
        }
    }

    /// The outcome by the run's status, which has no failures.
    fn by_status(&self, folder: &RunFolder, now: &Status, command: &Command) -> Option<String> {
        match command {
            Command::Pause if now.state == State::Paused => Some(paused(now.step)),
            Command::Continue if now.state == State::Training => Some(continued(now.step)),
            // Several processes roll back at the end of a cycle.
            Command::RollBack if now.state == State::Paused && !now.ranks.is_empty() => {
                Some(format!(
                    "Accepted. The run is paused, at step {}: after `{} ctl {} continue` it rolls back at the end of the \
                     cycle.",
                    count(now.step),
                    program_name(),
                    hints::quoted(folder.path())
                ))
            }
            Command::Checkpoint => {
                let before = self.before.as_ref()?.checkpoint.as_ref();
                now.checkpoint.as_ref().filter(|name| before != Some(*name)).map(|name| saved(name))
            }
            Command::Set(Setting { key, value }) if key == PERIOD => {
                let (k, next) = (now.lookahead.k?, now.lookahead.next_k?);
                let last = now.step + k.saturating_sub(now.phase);
                (*value == next).then(|| set(key, value, last))
            }
            _ => None,
        }
    }
}

/// The answer to a command that changes nothing.
fn already(before: &Status, command: &Command) -> Option<String> {
    let step = count(before.step);
    match (before.state, command) {
        (State::Paused, Command::Pause) => Some(format!("It is paused already, at step {step}.")),
        (State::Training, Command::Continue) => {
            Some(format!("It is not paused: it is training, at step {step}."))
        }
        _ => None,
    }
}

fn paused(step: u64) -> String {
    format!("Paused at step {}.", count(step))
}

fn continued(step: u64) -> String {
    format!("Training continues from step {}.", count(step))
}

fn saved(name: &str) -> String {
    format!("Saved {name}.")
}

/// A setting that holds once `step` steps are taken.
fn set(key: &str, value: &Value, step: u64) -> String {
    let first = count(step + 1);
    match key {
        PERIOD => {
            format!("{key} = {value} from the next cycle on, which begins with step {first}.")
        }
        _ => format!("{key} = {value} from step {first} on."),
    }
}

/// After the run's last event: waits until its process has ended, so that the next command can resume it.
fn wait_for_the_process(folder: &RunFolder, started: Instant) {
    while folder.is_in_use().is_ok_and(|in_use| in_use) && started.elapsed() < PATIENCE {
        sleep(POLL);
    }
}
