//! What is known of a run's process and of its log.

/// Whether a run accepts commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    /// It trains in this process, or has a control socket.
    Open,
    /// It has no socket on this machine: it can only be watched.
    ViewOnly,
}

/// What is known of a run's process and of its log.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) control: Control,
    /// Whether its process exists; unknown for a run of this process.
    pub(crate) alive: Option<bool>,
    /// Bytes of the log read so far, and all of them, while much is unread.
    pub(crate) reading: Option<(u64, u64)>,
}

impl Default for Connection {
    fn default() -> Self {
        Connection { control: Control::Open, alive: None, reading: None }
    }
}
