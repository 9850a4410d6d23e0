//! How a run ended, by its folder alone.

use serde::Serialize;

use crate::event::{Status, unix_time};
use crate::folder::{SILENCE_ELSEWHERE, Writer};
use crate::summary::RunSummary;

/// The state of a run that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It reached its last step.
    Finished,
    /// It was stopped on request.
    Stopped,
    /// An error ended it.
    Failed,
    /// Its process is gone, and its log has no end event.
    Crashed,
    /// A process trains it, but does not listen on a control socket.
    Deaf,
    /// Its log grew recently, but no process of this machine writes it in this folder. It may be training on
    /// another machine, or in the folder that this one is a copy of.
    Elsewhere,
}

impl End {
    /// That of a run with this writer and this log.
    pub fn of(writer: Writer, log: &RunSummary) -> End {
        let silence = unix_time() - log.last_time.unwrap_or(0.0);
        let end = log.ended().filter(|_| writer != Writer::Alive);
        match end.map(|end| end.status) {
            Some(Status::Finished) => End::Finished,
            Some(Status::Stopped) => End::Stopped,
            Some(Status::Failed) => End::Failed,
            None if writer == Writer::Alive => End::Deaf,
            None if writer == Writer::Unknown && silence < SILENCE_ELSEWHERE.as_secs_f64() => {
                End::Elsewhere
            }
            None => End::Crashed,
        }
    }
}
