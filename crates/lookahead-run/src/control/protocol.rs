//! What goes through the socket: requests and answers, in lines of bounded length.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::status::Status;

pub use crate::socket::FILE_NAME;

/// Most bytes of a message with its line feed.
pub const LARGEST_MESSAGE: usize = 4096;
/// Most bytes of an answer with its line feed.
pub const LARGEST_ANSWER: usize = 64 << 10;
/// Most connections at once.
pub const CONNECTIONS: usize = 8;
/// How long a connection may take for a message.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client may take to read an answer, and a run to send one.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// What a client may send.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// A request for the status.
    Status,
    /// A command.
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

/// Whether a command was accepted: a note for its sender, if there is more to report, or a sentence why
/// it was refused.
pub type Accepted = std::result::Result<Option<String>, String>;

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

    let refused = |cause: &dyn std::fmt::Display| {
        format!(
            "The message is not a command ({cause}). Send a line like {{\"command\":\"pause\"}}, with \
             pause, continue, checkpoint, stop, roll_back or status, or \
             {{\"command\":\"set\",\"key\":\"lookahead.alpha\",\"value\":0.8}}."
        )
    };
    // A JSON list would pass for the fields in their order, which means nothing here.
    if !message.trim_ascii_start().starts_with(b"{") {
        return Err(refused(&"it is not a JSON object"));
    }
    if serde_json::from_slice(message).is_ok_and(|Named { command }| command == "status") {
        return Ok(Request::Status);
    }
    serde_json::from_slice(message).map(Request::Command).map_err(|cause| refused(&cause))
}

/// Reads messages of bounded length, each within a bounded time.
pub(super) struct Messages<'a> {
    stream: &'a UnixStream,
    /// Most bytes of a message with its line feed.
    largest: usize,
    buffer: Vec<u8>,
}

pub(super) enum Message {
    /// Without its line feed.
    Whole(Vec<u8>),
    TooLong,
    End,
}

impl<'a> Messages<'a> {
    pub(super) fn new(stream: &'a UnixStream, largest: usize) -> Self {
        Messages { stream, largest, buffer: Vec::new() }
    }

    pub(super) fn next(&mut self, timeout: Duration) -> io::Result<Message> {
        let started = Instant::now();
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                return Ok(Message::Whole(line));
            }
            let room = self.largest - self.buffer.len();
            if room == 0 {
                return Ok(Message::TooLong);
            }
            // The timeout is for the whole message, however slowly its bytes come.
            let left = timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut bytes = [0; LARGEST_MESSAGE];
            let room = room.min(bytes.len());
            match self.stream.read(&mut bytes[..room]) {
                Ok(0) => return Ok(Message::End),
                Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
