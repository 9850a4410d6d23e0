//! A client's side of the socket.

use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::protocol::{ANSWERED_WITHIN, Answer, FILE_NAME, LARGEST_ANSWER, Line, Lines};
use crate::command::Command;
use crate::disk::At;
use crate::error::{Error, Result};
use crate::folder::RunFolder;
use crate::socket::connect;
use crate::status::Status;

/// Sends a command to a running run, and waits until it has accepted it. What is accepted takes
/// effect at the run's next step. Returns the note of the run, if it gave one.
///
/// # Errors
/// [`Error::NotRunning`] if no process listens; [`Error::Refused`] with the answer of the run;
/// [`Error::NoAnswer`] if there is none within [`ANSWERED_WITHIN`].
pub fn send(run: &RunFolder, command: Command) -> Result<Option<String>> {
    send_within(run, command, ANSWERED_WITHIN)
}

/// The status of a running run.
///
/// # Errors
/// As [`send`]; a run of a version without this request refuses it.
pub fn status(run: &RunFolder) -> Result<Status> {
    #[derive(Serialize)]
    #[serde(tag = "command", rename_all = "snake_case")]
    enum Question {
        Status,
    }

    ask(run, &Question::Status, ANSWERED_WITHIN)?
        .status
        .ok_or_else(|| refused(run, "It gave no status.".into()))
}

pub(super) fn send_within(
    run: &RunFolder,
    command: Command,
    patience: Duration,
) -> Result<Option<String>> {
    ask(run, &command, patience).map(|answer| answer.note)
}

pub(super) fn refused(run: &RunFolder, message: String) -> Error {
    Error::Refused { path: run.path().to_owned(), message }
}

/// Sends one message and waits for its answer, which is not a refusal.
fn ask(run: &RunFolder, message: &impl Serialize, patience: Duration) -> Result<Answer> {
    let started = Instant::now();
    let socket = run.path().join(FILE_NAME);
    let failed = |operation: &'static str| {
        let (path, socket) = (run.path().to_owned(), socket.clone());
        move |cause: io::Error| match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Error::NotRunning { path }
            }
            // What a system call returns after its time-out.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Error::NoAnswer { path, seconds: patience.as_secs() }
            }
            _ => Error::Io { operation, path: socket, cause },
        }
    };
    let folder = File::open(run.path()).at("open", run.path())?;
    let mut stream = connect(&folder, patience).map_err(failed("connect to"))?;
    let line = serde_json::to_vec(message).map_err(io::Error::from);
    let mut line = line.at("encode a command for", &socket)?;
    line.push(b'\n');
    // If there are too many connections, the answer may be there before the question.
    let written = stream.write_all(&line);
    let left = patience.saturating_sub(started.elapsed());
    let mut lines = Lines::new(&stream, LARGEST_ANSWER);
    match lines.next(left).map_err(failed("get an answer from"))? {
        Line::Whole(line) => match serde_json::from_slice(&line) {
            Ok(answer @ Answer { ok: true, .. }) => Ok(answer),
            Ok(Answer { error, .. }) => {
                Err(refused(run, error.unwrap_or_else(|| "It said no more.".into())))
            }
            Err(_) => {
                let text = "It gave an answer that this version does not understand.";
                Err(refused(run, text.into()))
            }
        },
        Line::TooLong => Err(refused(run, "Its answer was too long.".into())),
        Line::End => {
            written.map_err(failed("ask"))?;
            Err(refused(run, "It ended without an answer.".into()))
        }
    }
}
