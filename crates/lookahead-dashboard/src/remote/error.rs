//! Why there is no connection to a run on another machine.

use std::io;

use lookahead_run::program_name;

use crate::wire::PROTOCOL;

/// Why there is no connection to a run on another machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// It is not the name of a host.
    #[error(
        "`{0}` is not a host. Use HOST:RUN, for example gpu-box:digits or user@10.0.0.7:digits."
    )]
    Host(String),
    /// There is no ssh.
    #[error(
        "`{program}` can't be started: {cause}. Install an ssh client, or set LOOKAHEAD_SSH to another command, for \
         example \"ssh -p 2222\"."
    )]
    Start {
        /// The command.
        program: String,
        /// The system's reason.
        cause: io::Error,
    },
    /// ssh failed.
    #[error(
        "There is no connection to {host}: {words}. `ssh {host} true` tries it without this program."
    )]
    Connect {
        /// The host.
        host: String,
        /// The last that ssh wrote on stderr.
        words: String,
    },
    /// The shell there doesn't find the program.
    #[error(
        "The program was not found on {host}: {words}. Install it there, or name it: `--remote-program ~/.cargo/bin/{}`.",
        program_name()
    )]
    NoProgram {
        /// The host.
        host: String,
        /// What the shell wrote.
        words: String,
    },
    /// The program there does not relay.
    #[error("The program on {host} did not answer like `{}`: {words}. Install version {} on {host}.",
        program_name(), env!("CARGO_PKG_VERSION"))]
    NoGreeting {
        /// The host.
        host: String,
        /// The last that it wrote on stderr, or its exit status.
        words: String,
    },
    /// The program there speaks another version of the protocol.
    #[error(
        "The program on {host} uses version {found} of the connection, and this one version {PROTOCOL}. Install the \
         same version on both."
    )]
    Protocol {
        /// The host.
        host: String,
        /// Its version.
        found: u32,
    },
    /// The program there can't relay the run.
    #[error("{host}: {message}")]
    Refused {
        /// The host.
        host: String,
        /// A sentence.
        message: String,
    },
}

impl RemoteError {
    /// Why an attempt to connect again failed, as a clause.
    pub(super) fn clause(&self) -> String {
        match self {
            RemoteError::Connect { words, .. } => words.clone(),
            RemoteError::Refused { message, .. } => message.trim_end_matches('.').to_owned(),
            error => error.to_string().trim_end_matches('.').to_owned(),
        }
    }
}
