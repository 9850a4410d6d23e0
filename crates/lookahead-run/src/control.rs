//! The control socket of a running run, `control.sock` in its folder: commands in, answers out.
//!
//! A client connects and sends lines, each a JSON object, and gets a line back for each, or
//! `{"ok":false,"error":"…"}` with a sentence. Unknown fields are ignored, so that later
//! versions may add some.
//!
//! | it sends | and gets |
//! |---|---|
//! | a [`Command`](crate::command::Command), such as `{"command":"pause"}` | `{"ok":true}`, and if there is more to say a sentence as its `note` |
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
//! | from one message to the end of the next | [`PATIENCE`]; then the connection is closed |
//! | a client that does not take its answers | [`ANSWERED_WITHIN`]; then the connection is closed |
//!
//! A client does not wait longer either: [`send`] and [`status`] give up after [`ANSWERED_WITHIN`], even if
//! the run is suspended and its queue of connections is full.

mod client;
mod protocol;
mod server;
#[cfg(test)]
mod tests;

pub use client::{send, status};
pub use protocol::{
    ANSWERED_WITHIN, Accepted, CONNECTIONS, FILE_NAME, LARGEST_ANSWER, LARGEST_MESSAGE, PATIENCE,
    Request, parse,
};
pub use server::ControlServer;
