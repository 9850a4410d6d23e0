//! `lookahead ctl RUN status`: the state of a run, or how it ended.

use lookahead_run::event::{Reason, unix_time};
use lookahead_run::format::{self, ago, count};
use lookahead_run::status::{State, Status};
use lookahead_run::{Error, RunFolder, RunLock, RunSummary, Writer, control, program_name};
use serde::Serialize;

use super::selection::other_program;
use crate::console::{print_data, print_line};
use crate::hints;
use lookahead_run::glance::End;

/// Prints the state of a run: its own answer, or else what its folder shows.
///
/// # Errors
/// If a running run does not answer, or another one has left no log.
pub(super) fn status(folder: &RunFolder, json: bool) -> anyhow::Result<()> {
    match control::status(folder) {
        Ok(status) => report(&status, json, || describe(&status)),
        Err(Error::NotRunning { .. }) => {
            let last = LastState::find(folder)?;
            report(&last, json, || last.describe(folder))
        }
        Err(error) => Err(error.into()),
    }
}

/// The error of a command for a run that is not running: how it ended.
pub(super) fn not_running(folder: &RunFolder, error: Error) -> anyhow::Error {
    match LastState::find(folder) {
        Ok(last) => anyhow::anyhow!(last.why_not_running(folder)),
        Err(_) => error.into(),
    }
}

/// Locks a run. The error for a run that is paused says how to continue it.
pub(super) fn locked(folder: &RunFolder) -> anyhow::Result<RunLock> {
    folder.lock().map_err(|error| match (&error, control::status(folder)) {
        (Error::RunInUse(_), Ok(status)) if status.state == State::Paused => {
            let ctl = format!("{} ctl {}", program_name(), hints::quoted(folder.path()));
            let process = status.process;
            anyhow::anyhow!(
                "The run `{}` is paused: process {process} waits. `{ctl} continue` continues it, and `{ctl} stop` saves \
                 a checkpoint and ends it.",
                folder.path().display()
            )
        }
        _ => error.into(),
    })
}

fn report(
    status: &impl Serialize,
    json: bool,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    if json {
        print_data(serde_json::to_string_pretty(status)?)?;
    } else {
        print_line(text())?;
    }
    Ok(())
}

fn describe(status: &Status) -> String {
    let state = match status.state {
        State::Training => "training",
        State::Paused => "paused",
        State::Stopping => "stopping",
    };
    let mut lines = vec![format!(
        "{} is {state}: step {}, epoch {}, process {}.",
        status.run,
        steps(status.step, status.total_steps),
        count(status.epoch),
        status.process
    )];
    if let (Some(loss), None) = (status.last_step.loss, status.last_step.samples_per_second) {
        let rate = status.last_step.learning_rate.map(|rate| format::significant(rate, 4));
        let rate = rate.map(|rate| format!(", learning rate {rate}")).unwrap_or_default();
        lines.push(format!("Loss {}{rate}.", format::loss(loss)));
    }
    if let (Some(loss), Some(rate), Some(speed)) =
        (status.last_step.loss, status.last_step.learning_rate, status.last_step.samples_per_second)
    {
        lines.push(format!(
            "Loss {}, learning rate {}, {} samples per second.",
            format::loss(loss),
            format::significant(rate, 4),
            format::rate(speed)
        ));
    }
    if let (Some(k), Some(alpha)) = (status.lookahead.k, status.lookahead.alpha) {
        let probes = match status.probe_every_syncs {
            0 => "no probes".to_owned(),
            1 => "a probe at every sync".to_owned(),
            every => format!("a probe every {} syncs", count(every)),
        };
        lines.push(format!(
            "Lookahead: k {}, {} inner steps since the last sync, α {alpha}, {probes}.",
            count(k),
            count(status.phase)
        ));
        if let Some(next) = status.lookahead.next_k {
            let left = k.saturating_sub(status.phase);
            lines.push(format!(
                "k becomes {} after the next sync, in {} steps.",
                count(next),
                count(left)
            ));
        }
    }
    for (number, rank) in status.ranks.iter().enumerate() {
        let milliseconds = |seconds: f64| format!("{:.3} ms", seconds * 1e3);
        let distance = rank.distance.map(|distance| {
            let distance = format::significant(distance, 4);
            format!(", distance of its fast weights from the mean {distance}")
        });
        lines.push(format!(
            "Rank {number} at the last exchange: loss {}, {} per step, waited {}{}.",
            format::loss(rank.loss),
            milliseconds(rank.step_seconds),
            milliseconds(rank.wait_seconds),
            distance.unwrap_or_default()
        ));
    }
    lines.push(match &status.checkpoint {
        Some(name) => format!("Newest checkpoint: {}.", format::safe(name)),
        None => "No checkpoint yet.".to_owned(),
    });
    lines.push(if status.settings.is_empty() {
        "`set` can't change anything in this run.".to_owned()
    } else {
        format!("`set` can change {}.", status.settings.join(", "))
    });
    lines.join("\n")
}

/// The steps of all, if it is known how many there will be.
fn steps(step: u64, total: u64) -> String {
    if total > 0 { format!("{} of {}", count(step), count(total)) } else { count(step) }
}

/// The state of a run that does not answer, by its folder.
#[derive(Debug, Serialize)]
struct LastState {
    run: String,
    state: End,
    /// Inner steps in its log.
    step: u64,
    total_steps: u64,
    /// Unix time of the last event.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<f64>,
    /// The message of the event `run_ended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Why it ended, as in the event `run_ended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// The step of the best model, if the run stopped early.
    #[serde(skip_serializing_if = "Option::is_none")]
    best_step: Option<u64>,
    /// The folder name of the newest checkpoint, which may be damaged.
    checkpoint: Option<String>,
    /// The program that wrote it, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<String>,
}

impl LastState {
    fn find(folder: &RunFolder) -> anyhow::Result<Self> {
        let writer = folder.writer()?;
        let found = RunSummary::read(&folder.events_path())?;
        let end = found.ended().filter(|_| writer != Writer::Alive);
        let state = End::of(writer, &found);
        Ok(LastState {
            run: folder.name().to_owned(),
            state,
            step: found.step,
            total_steps: found.total_steps(),
            time: found.last_time,
            message: end.and_then(|end| end.message.clone()),
            reason: end.and_then(|end| end.reason),
            best_step: end.and_then(|end| end.best_step),
            checkpoint: folder.checkpoints().list()?.pop().map(|newest| newest.name()),
            program: other_program(folder),
        })
    }

    /// Why the run takes no commands, and what to do.
    fn why_not_running(&self, folder: &RunFolder) -> String {
        let state = self.describe(folder);
        match self.state {
            End::Elsewhere | End::Deaf => state,
            End::Finished | End::Stopped | End::Failed | End::Crashed => {
                format!("The run is not running. {state}")
            }
        }
    }

    fn describe(&self, folder: &RunFolder) -> String {
        let run = &self.run;
        let at = steps(self.step, self.total_steps);
        let resume = hints::resume(folder.path());
        let folder = folder.path().display();
        let now = unix_time();
        let ago = self.time.map(|time| format!(", {}", ago(now - time))).unwrap_or_default();
        let why = self.message.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let resume = match (&self.program, &self.checkpoint) {
            (Some(program), _) => format!("`{program}` wrote it and can resume it."),
            (None, Some(newest)) => {
                format!("`{resume}` resumes it; the newest checkpoint is {newest}.")
            }
            (None, None) => "It has no checkpoint to resume from.".to_owned(),
        };
        match self.state {
            End::Finished if self.reason == Some(Reason::EarlyStopping) => {
                format!("{run} stopped early, at step {at}{ago}{why}.")
            }
            End::Finished => {
                let why = why.trim_end_matches('.');
                format!("{run} finished at step {at}{ago}{why}.")
            }
            End::Stopped => {
                format!("{run} was stopped at step {at}{ago}. {resume}")
            }
            End::Failed => format!(
                "{run} failed at step {at}{ago}{}{resume}",
                if why.is_empty() { ". ".to_owned() } else { why + " " }
            ),
            End::Crashed => format!(
                "{run} crashed: its process is gone, and its log stops at step {at}{ago}, \
                 without an end. {resume}"
            ),
            End::Elsewhere => format!(
                "{run} may be training on another machine, or in the folder that {folder} is a copy of: its log \
                 recently reached step {at}, but no process of this machine writes it here."
            ),
            End::Deaf => format!(
                "A process is training {run} but has no control socket. Its log has reached step {at}. SIGTERM stops it."
            ),
        }
    }
}
