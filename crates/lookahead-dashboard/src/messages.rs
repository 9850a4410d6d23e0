//! What the messages pane shows.

use std::collections::VecDeque;

/// Messages that are kept.
const KEPT: usize = 2000;
/// Characters of one message that are kept.
const LENGTH: usize = 1000;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Good,
    Warning,
    Bad,
}

/// One message.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    /// Elapsed seconds of the run.
    pub(crate) at: f64,
    pub(crate) step: u64,
    pub(crate) kind: Kind,
    pub(crate) text: String,
    /// What it tells of, where a later message about the same goes on in its line.
    topic: Option<String>,
}

/// The last messages, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Messages {
    notes: VecDeque<Note>,
}

impl Messages {
    pub(crate) fn push(&mut self, at: f64, step: u64, kind: Kind, text: &str) {
        let text = one_line(text);
        self.notes.push_back(Note { at, step, kind, text, topic: None });
        if self.notes.len() > KEPT {
            self.notes.pop_front();
        }
    }

    /// Adds to the last message where it has the same topic and step, so that both weights of
    /// one evaluation share a line.
    pub(crate) fn push_topic(&mut self, at: f64, step: u64, topic: &str, text: &str) {
        if let Some(last) = self.notes.back_mut()
            && last.topic.as_deref() == Some(topic)
            && last.step == step
        {
            last.text.push_str(", ");
            last.text.push_str(&one_line(text));
            return;
        }
        self.push(at, step, Kind::Plain, &format!("{topic}: {text}"));
        if let Some(last) = self.notes.back_mut() {
            last.topic = Some(topic.to_owned());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.notes.len()
    }

    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter().rev()
    }
}

/// Without line breaks and other control characters, which would tear the screen.
fn one_line(text: &str) -> String {
    let clean: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let words: Vec<&str> = clean.split_whitespace().collect();
    let mut line = words.join(" ");
    if let Some((end, _)) = line.char_indices().nth(LENGTH) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_keeps_the_newest() {
        let mut messages = Messages::default();
        for step in 0..10_000 {
            messages.push(0.0, step, Kind::Warning, &"x".repeat(5000));
        }
        assert_eq!(messages.newest_first().count(), KEPT);
        assert_eq!(messages.newest_first().next().unwrap().step, 9999);
        assert!(messages.newest_first().all(|note| note.text.len() <= LENGTH + 3));
    }

    #[test]
    fn both_weights_of_an_evaluation_share_a_line() {
        let mut messages = Messages::default();
        messages.push_topic(0.0, 5, "validation", "φ 91 %");
        messages.push_topic(0.0, 5, "validation", "θ 90 %");
        messages.push_topic(0.0, 9, "validation", "φ 92 %");
        let texts: Vec<&str> = messages.newest_first().map(|n| n.text.as_str()).collect();
        assert_eq!(texts, ["validation: φ 92 %", "validation: φ 91 %, θ 90 %"]);
    }

    #[test]
    fn escape_sequences_and_line_breaks_do_not_reach_the_screen() {
        let mut messages = Messages::default();
        messages.push(0.0, 0, Kind::Plain, "a\x1b[2Jb\n\n  c");
        assert_eq!(messages.newest_first().next().unwrap().text, "a [2Jb c");
    }
}
