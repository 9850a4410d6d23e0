//! The control socket of a running run, `control.sock` in its folder: commands in, answers out.
//!
//! A client connects and sends lines, each a JSON object, and gets a line back for each. An error is
//! `{"ok":false,"error":"…"}` with a sentence. Unknown fields are ignored, so that later versions may add
//! some.
//!
//! | it sends | and gets |
//! |---|---|
//! | a [`Command`](crate::command::Command), for example `{"command":"pause"}` | `{"ok":true}`, with a sentence as `note` if there is more to report |
//! | `{"command":"status"}` | `{"ok":true,"status":{…}}`, with a [`Status`](crate::status::Status) |
//!
//! Only the run's owner may connect (mode 0600, from the first moment on), and no client can make the run
//! wait or use more memory:
//!
//! | bound | |
//! |---|---|
//! | a message | [`LARGEST_MESSAGE`] bytes; after a longer one the connection is closed |
//! | an answer | [`LARGEST_ANSWER`] bytes; a longer one is replaced by an error |
//! | connections | [`CONNECTIONS`] at once; others get an error and are closed |
//! | from one message to the end of the next | [`MESSAGE_TIMEOUT`]; then the connection is closed |
//! | a client that does not read its answers | [`ANSWER_TIMEOUT`]; then the connection is closed |
//!
//! A client does not wait longer either: [`send`] and [`status`] give up after [`ANSWER_TIMEOUT`], even if
//! the run is suspended and its queue of connections is full.

mod client;
mod protocol;
mod server;
#[cfg(test)]
mod tests;

pub use client::{send, status, status_within};
pub use protocol::{
    ANSWER_TIMEOUT, Accepted, CONNECTIONS, FILE_NAME, LARGEST_ANSWER, LARGEST_MESSAGE,
    MESSAGE_TIMEOUT, Request, parse,
};
pub use server::ControlServer;
