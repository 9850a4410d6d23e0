//! The messages of a run.

use std::collections::VecDeque;

/// Most messages that are kept.
const KEPT: usize = 2000;
/// Most characters of one message.
const LENGTH: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Info,
    Good,
    Warning,
    Error,
}

#[derive(Debug)]
pub(crate) struct Note {
    /// Elapsed seconds of the run.
    pub(crate) at: f64,
    pub(crate) step: u64,
    pub(crate) severity: Severity,
    pub(crate) text: String,
    /// Later messages on the same topic and step join its line.
    topic: Option<String>,
}

/// The last messages, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Messages(VecDeque<Note>);

impl Messages {
    pub(crate) fn push(&mut self, at: f64, step: u64, severity: Severity, text: &str) {
        self.0.push_back(Note { at, step, severity, text: one_line(text), topic: None });
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
    }

    /// Adds to the last message if that has the same topic and step, so that both weights of one
    /// evaluation share a line.
    pub(crate) fn push_topic(&mut self, at: f64, step: u64, topic: &str, text: &str) {
        if let Some(last) = self.0.back_mut()
            && last.topic.as_deref() == Some(topic)
            && last.step == step
        {
            last.text.push_str(", ");
            last.text.push_str(&one_line(text));
            return;
        }
        self.push(at, step, Severity::Info, &format!("{topic}: {text}"));
        if let Some(last) = self.0.back_mut() {
            last.topic = Some(topic.to_owned());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Note> {
        self.0.iter().rev()
    }
}

/// Without line breaks and other control characters, which would break the screen.
fn one_line(text: &str) -> String {
    let clean = text.replace(char::is_control, " ");
    let mut line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LENGTH) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests;
