//! What goes through the socket: requests, answers, and lines of bounded length.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::socket;
use crate::status::Status;

/// The socket's name in the folder of the run.
pub const FILE_NAME: &str = socket::FILE_NAME;
/// Most bytes of a message, its line feed counted in.
pub const LARGEST_MESSAGE: usize = 4096;
/// Most bytes of an answer, its line feed counted in.
pub const LARGEST_ANSWER: usize = 64 << 10;
/// Most connections at once.
pub const CONNECTIONS: usize = 8;
/// How long a connection may take for a message.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long a client may take to accept an answer, and a run to give one.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// What can be asked through the socket.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// For its status.
    Status,
    /// For something to do.
    Command(Command),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<Status>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

impl Answer {
    pub(super) fn refusal(error: String) -> Self {
        Answer { ok: false, error: Some(error), status: None, note: None }
    }
}

impl From<Accepted> for Answer {
    fn from(accepted: Accepted) -> Self {
        match accepted {
            Ok(note) => Answer { ok: true, error: None, status: None, note },
            Err(error) => Answer::refusal(error),
        }
    }
}

/// The request in a message.
///
/// # Errors
/// A sentence, if it is not a request.
pub fn parse(message: &[u8]) -> std::result::Result<Request, String> {
    #[derive(Deserialize)]
    struct Named {
        command: String,
    }

    let no_command = |cause: &dyn std::fmt::Display| {
        format!(
            "The message is not a command ({cause}): send a line such as {{\"command\":\"pause\"}}, with \
             pause, continue, checkpoint, stop or status, or \
             {{\"command\":\"set\",\"key\":\"lookahead.alpha\",\"value\":0.8}}."
        )
    };
    // A list of values would pass for the fields in their order, and the order means nothing.
    if !message.trim_ascii_start().starts_with(b"{") {
        return Err(no_command(&"it is not a JSON object"));
    }
    if serde_json::from_slice(message).is_ok_and(|Named { command }| command == "status") {
        return Ok(Request::Status);
    }
    serde_json::from_slice(message).map(Request::Command).map_err(|cause| no_command(&cause))
}

/// Whether a command was accepted: with a note for its sender, if there is more to say, or else with
/// a sentence why not.
pub type Accepted = std::result::Result<Option<String>, String>;

/// Lines of a bounded length, each within a bounded time.
pub(super) struct Lines<'a> {
    stream: &'a UnixStream,
    /// Most bytes of a line, its line feed counted in.
    largest: usize,
    buffer: Vec<u8>,
}

pub(super) enum Line {
    Whole(Vec<u8>),
    TooLong,
    End,
}

impl<'a> Lines<'a> {
    pub(super) fn new(stream: &'a UnixStream, largest: usize) -> Self {
        Lines { stream, largest, buffer: Vec::new() }
    }

    pub(super) fn next(&mut self, patience: Duration) -> io::Result<Line> {
        let started = Instant::now();
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                return Ok(Line::Whole(line));
            }
            let room = self.largest - self.buffer.len();
            if room == 0 {
                return Ok(Line::TooLong);
            }
            // However slowly the bytes come, they come within the time.
            let left = patience.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut bytes = [0; LARGEST_MESSAGE];
            let room = room.min(bytes.len());
            match self.stream.read(&mut bytes[..room]) {
                Ok(0) => return Ok(Line::End),
                Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
