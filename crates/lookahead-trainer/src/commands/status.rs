//! `lookahead ctl RUN_DIR status`: how a run is, or how it ended.

use lookahead_run::event::{self, Event, Reason, Record};
use lookahead_run::folder::SILENCE_ELSEWHERE;
use lookahead_run::status::{State, Status};
use lookahead_run::{Error, RunFolder, RunSummary, Writer, control};
use serde::Serialize;

use super::{other_program, program_in_log};
use crate::console::print_line;

/// Says how a run is: what it tells itself, or else what it has left behind.
///
/// # Errors
/// If a run that is running does not answer, or one that is not has left no log.
pub(super) fn status(folder: &RunFolder, json: bool) -> anyhow::Result<()> {
    match control::status(folder) {
        Ok(status) if json => print_line(serde_json::to_string_pretty(&status)?)?,
        Ok(status) => print_line(describe(&status))?,
        Err(Error::NotRunning { .. }) => {
            let left = Left::find(folder)?;
            match json {
                true => print_line(serde_json::to_string_pretty(&left)?)?,
                false => print_line(left.describe(folder))?,
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn describe(status: &Status) -> String {
    let state = match status.state {
        State::Training => "trains",
        State::Paused => "is paused",
        State::Stopping => "stops",
    };
    let mut lines = vec![format!(
        "{} {state}: step {} of {}, epoch {}, as process {}.",
        status.run, status.step, status.total_steps, status.epoch, status.process
    )];
    if let (Some(loss), Some(rate), Some(speed)) =
        (status.last_step.loss, status.last_step.learning_rate, status.last_step.samples_per_second)
    {
        lines.push(format!(
            "Loss {}, learning rate {rate:.3e}, {speed:.0} samples a second.",
            crate::observer::format_loss(loss)
        ));
    }
    if let (Some(k), Some(alpha)) = (status.lookahead.k, status.lookahead.alpha) {
        let probes = match status.probe_every_syncs {
            0 => "no probes".to_owned(),
            1 => "a probe at every sync".to_owned(),
            every => format!("a probe at one of {every} syncs"),
        };
        lines.push(format!(
            "Lookahead: k {k}, of which {} taken, α {alpha}, {probes}.",
            status.phase
        ));
    }
    if let (Some(next), Some(k)) = (status.lookahead.next_k, status.lookahead.k) {
        let left = k.saturating_sub(status.phase);
        lines.push(format!("k becomes {next} after the next sync, in {left} steps."));
    }
    for (number, rank) in status.ranks.iter().enumerate() {
        let milliseconds = |seconds: f64| format!("{:.3} ms", seconds * 1e3);
        let mut line = format!(
            "Rank {number} when they met last: loss {}, {} a step, waited {}",
            crate::observer::format_loss(rank.loss),
            milliseconds(rank.step_seconds),
            milliseconds(rank.wait_seconds)
        );
        if let Some(distance) = rank.distance {
            line.push_str(&format!(", θ {distance:.3e} from the mean"));
        }
        lines.push(line + ".");
    }
    lines.push(match &status.checkpoint {
        Some(name) => format!("Newest checkpoint: {name}."),
        None => "No checkpoint yet.".to_owned(),
    });
    lines.push(match status.settings.is_empty() {
        true => "`set` can change nothing in this run.".to_owned(),
        false => format!("What `set` can change: {}.", status.settings.join(", ")),
    });
    lines.join("\n")
}

/// What a run has left behind that does not live.
#[derive(Debug, Serialize)]
struct Left {
    run: String,
    state: End,
    /// Inner steps that its log tells of.
    step: u64,
    total_steps: u64,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// What ended it, as in the event `run_ended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// The step of the best model, where the run stopped early.
    #[serde(skip_serializing_if = "Option::is_none")]
    best_step: Option<u64>,
    /// Folder name of the newest checkpoint, which may be damaged.
    checkpoint: Option<String>,
    /// The program that wrote it, where that is not this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum End {
    /// It reached its last step.
    Finished,
    /// It was stopped on request.
    Stopped,
    /// An error ended it.
    Failed,
    /// Its process ended, and its log tells of no end.
    Crashed,
    /// A process trains it, and listens to nobody.
    Deaf,
    /// Its log grew not long ago, and no process of this machine writes it in this folder: it may train
    /// on another machine, or in the folder that this one is a copy of.
    Elsewhere,
}

impl Left {
    fn find(folder: &RunFolder) -> anyhow::Result<Self> {
        let writer = folder.writer()?;
        let is_running = writer == Writer::Alive;
        let found = RunSummary::read(&folder.events_path())?;
        let mut left = Left {
            run: folder.name().to_owned(),
            state: if is_running { End::Deaf } else { End::Crashed },
            step: found.step,
            total_steps: found.total_steps(),
            message: None,
            reason: None,
            best_step: None,
            checkpoint: folder.checkpoints().list()?.pop().map(|newest| newest.name()),
            program: other_program(program_in_log(folder)),
        };
        let last = found.last_time.unwrap_or(0.0);
        if let (false, Some(end)) = (is_running, found.ended().cloned()) {
            left.state = match end.status {
                event::Status::Finished => End::Finished,
                event::Status::Stopped => End::Stopped,
                event::Status::Failed => End::Failed,
            };
            left.message = end.message;
            left.reason = end.reason;
            left.best_step = end.best_step;
        } else if writer == Writer::Unknown
            && Record::now(0, Event::Unknown).time - last < SILENCE_ELSEWHERE.as_secs_f64()
        {
            left.state = End::Elsewhere;
        }
        Ok(left)
    }

    fn describe(&self, folder: &RunFolder) -> String {
        let Left { run, step, total_steps, .. } = self;
        let folder = folder.path().display();
        let why = self.message.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let resume = match (&self.program, &self.checkpoint) {
            (Some(program), _) => format!("`{program}` wrote it, and can resume it."),
            (None, Some(newest)) => {
                format!("`lookahead resume {folder}` goes on; the newest checkpoint is {newest}.")
            }
            (None, None) => "It has left no checkpoint to go on from.".to_owned(),
        };
        match self.state {
            End::Finished if self.reason == Some(Reason::EarlyStopping) => {
                format!("{run} stopped early, at step {step} of {total_steps}{why}.")
            }
            End::Finished => {
                let why = why.trim_end_matches('.');
                format!("{run} has finished, at step {step} of {total_steps}{why}.")
            }
            End::Stopped => {
                format!("{run} was stopped at step {step} of {total_steps}. {resume}")
            }
            End::Failed => format!(
                "{run} failed at step {step} of {total_steps}{}{resume}",
                if why.is_empty() { ". ".to_owned() } else { why + " " }
            ),
            End::Crashed => format!(
                "{run} has crashed: its process is gone, and its log ends at step {step} of \
                 {total_steps} without an end. {resume}"
            ),
            End::Elsewhere => format!(
                "{run} may train on another machine, or in the folder that {folder} is a copy of: its \
                 log has come to step {step} of {total_steps} and grew not long ago, and no process of \
                 this machine writes it here."
            ),
            End::Deaf => format!(
                "A process trains {run}, and it can't be asked through a control socket: its log \
                 has come to step {step} of {total_steps}. SIGTERM stops it."
            ),
        }
    }
}
