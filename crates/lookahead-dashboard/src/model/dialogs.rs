//! What is drawn over the charts, and how the user talks to the dashboard.

use crate::prompt::Prompt;

/// What covers the charts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Overlay {
    /// The help, from this line on.
    Help(usize),
    /// The messages.
    Messages(MessageList),
}

/// The position in a list of messages.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MessageList {
    /// The message at the bottom, counted from the newest.
    pub(crate) bottom: usize,
    /// The words searched for, in lower case.
    pub(crate) search: Option<String>,
}

/// The question before a command that a wrong key should not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) run: usize,
    pub(crate) asks: Asked,
    /// It was drawn, so that a key can be an answer to it.
    pub(crate) seen: bool,
}

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To stop a run of another process.
    Stop,
    /// To set the fast weights back to the slow ones.
    RollBack,
}

#[derive(Debug, Default)]
pub(crate) struct Dialogs {
    pub(crate) overlay: Option<Overlay>,
    pub(crate) prompt: Option<Prompt>,
    pub(crate) question: Option<Question>,
    /// A notice, and the Unix time until which it is drawn.
    pub(crate) notice: Option<(String, f64)>,
    /// Lines that were entered in the prompt as commands, oldest first.
    pub(crate) entered: Vec<String>,
}
