//! The client's side of the socket.

use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::protocol::{ANSWER_TIMEOUT, Answer, FILE_NAME, LARGEST_ANSWER, Message, Messages};
use crate::command::Command;
use crate::disk::At;
use crate::error::{Error, Result};
use crate::folder::RunFolder;
use crate::socket::connect;
use crate::status::Status;

/// Sends a command to a running run, and waits until it has accepted it. The command takes effect at the
/// run's next step. Returns the run's note, if it sent one.
///
/// # Errors
/// [`Error::NotRunning`] if no process listens; [`Error::Refused`] with the run's answer;
/// [`Error::NoAnswer`] if there is none within [`ANSWER_TIMEOUT`].
pub fn send(run: &RunFolder, command: Command) -> Result<Option<String>> {
    send_within(run, command, ANSWER_TIMEOUT)
}

pub(super) fn send_within(
    run: &RunFolder,
    command: Command,
    timeout: Duration,
) -> Result<Option<String>> {
    request(run, &command, timeout).map(|answer| answer.note)
}

/// The status of a running run.
///
/// # Errors
/// As [`send`]; a run of a version without this request refuses it.
pub fn status(run: &RunFolder) -> Result<Status> {
    status_within(run, ANSWER_TIMEOUT)
}

/// As [`status`], with another timeout than [`ANSWER_TIMEOUT`].
///
/// # Errors
/// As [`status`].
pub fn status_within(run: &RunFolder, timeout: Duration) -> Result<Status> {
    #[derive(Serialize)]
    #[serde(tag = "command", rename_all = "snake_case")]
    enum Question {
        Status,
    }

    let answer = request(run, &Question::Status, timeout)?;
    answer.status.ok_or_else(|| refused(run, "It sent no status.".into()))
}

pub(super) fn refused(run: &RunFolder, message: String) -> Error {
    Error::Refused { path: run.path().to_owned(), message }
}

/// Sends one message and waits for its answer, which is not a refusal.
fn request(run: &RunFolder, message: &impl Serialize, timeout: Duration) -> Result<Answer> {
    let started = Instant::now();
    let socket = run.path().join(FILE_NAME);
    let failed = |operation: &'static str| {
        let (path, socket) = (run.path().to_owned(), socket.clone());
        move |cause: io::Error| match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Error::NotRunning(path),
            // The error of a system call after its timeout.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Error::NoAnswer { path, seconds: timeout.as_secs() }
            }
            _ => Error::Io { operation, path: socket, cause },
        }
    };
    let folder = File::open(run.path()).at("open", run.path())?;
    let mut stream = connect(&folder, timeout).map_err(failed("connect to"))?;
    let line = serde_json::to_vec(message).map_err(io::Error::from);
    let mut line = line.at("encode a command for", &socket)?;
    line.push(b'\n');
    // If there are too many connections, the answer may come before the question.
    let written = stream.write_all(&line);
    let left = timeout.saturating_sub(started.elapsed());
    let mut messages = Messages::new(&stream, LARGEST_ANSWER);
    let fault = match messages.next(left).map_err(failed("get an answer from"))? {
        Message::Whole(line) => match serde_json::from_slice(&line) {
            Ok(answer @ Answer { ok: true, .. }) => return Ok(answer),
            Ok(Answer { error, .. }) => error.unwrap_or_else(|| "It gave no reason.".into()),
            Err(_) => "This version does not understand its answer.".into(),
        },
        Message::TooLong => "Its answer was too long.".into(),
        Message::End => {
            written.map_err(failed("send a command to"))?;
            "It ended without an answer.".into()
        }
    };
    Err(refused(run, fault))
}
