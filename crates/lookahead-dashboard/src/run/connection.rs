//! What is known of a run's process, of its log and of the way to it.

use serde::{Deserialize, Serialize};

/// Whether a run accepts commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Control {
    /// It trains in this process, or has a control socket.
    Open,
    /// It has no socket on this machine: it can only be watched.
    ViewOnly,
}

/// What is known of a run's process, of its log and of the way to it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) control: Control,
    /// Whether its process exists; unknown for a run of this process.
    pub(crate) alive: Option<bool>,
    /// Bytes of the log read so far, and all of them, while much is unread.
    pub(crate) reading: Option<(u64, u64)>,
    /// Its machine can't be reached.
    pub(crate) lost: Option<Lost>,
}

/// The connection to the machine of a run is lost.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) host: String,
    /// A clause.
    pub(crate) why: String,
    /// Unix time of the next attempt.
    pub(crate) retry: f64,
}

impl Lost {
    /// The whole of it in a sentence, at this Unix time.
    pub(crate) fn sentence(&self, now: f64) -> String {
        let Lost { host, why, retry } = self;
        let seconds = (retry - now).ceil();
        if seconds < 1.0 {
            return format!("The connection to {host} is lost ({why}). Trying again…");
        }
        format!("The connection to {host} is lost ({why}). Trying again in {seconds:.0} s.")
    }
}

impl Default for Connection {
    fn default() -> Self {
        Connection { control: Control::Open, alive: None, reading: None, lost: None }
    }
}
