//! Whether what is printed is being read, as far as the log should say.

use crate::background_writer::BackgroundWriter;

/// One stream that someone should be reading.
#[derive(Debug)]
pub(super) struct Reader {
    /// As a sentence begins: "Standard output".
    stream: &'static str,
    /// What is dropped: "events".
    what: &'static str,
    state: State,
    /// Of those dropped, how many have been reported.
    reported: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Fine,
    /// Text is being dropped.
    Dropping,
    /// The file takes nothing for now.
    InTrouble,
}

impl Reader {
    pub(super) fn new(stream: &'static str, what: &'static str) -> Self {
        Reader { stream, what, state: State::Fine, reported: 0 }
    }

    /// What has changed since this was asked last, as a sentence for the log.
    pub(super) fn news(&mut self, writer: &BackgroundWriter) -> Option<String> {
        let Reader { stream, what, .. } = *self;
        if writer.is_dropping() {
            if self.state == State::Dropping {
                return None;
            }
            self.state = State::Dropping;
            return Some(format!(
                "{stream} is not being read: {what} for it are dropped until it is. Training \
                 continues, and the event log has everything."
            ));
        }
        let dropped = writer.dropped() - self.reported;
        if dropped > 0 {
            self.state = State::Fine;
            return self.count(writer);
        }
        match (writer.trouble(), &self.state) {
            (Some(why), State::Fine) => {
                self.state = State::InTrouble;
                Some(format!(
                    "{stream} can't be written for now ({why}): {what} for it wait, and it is tried \
                     again. Training continues, and the event log has everything."
                ))
            }
            (Some(_), _) => None,
            (None, _) => {
                self.state = State::Fine;
                None
            }
        }
    }

    /// How many were dropped since this was reported last, as a sentence for the log, if any were.
    pub(super) fn count(&mut self, writer: &BackgroundWriter) -> Option<String> {
        let dropped = writer.dropped() - self.reported;
        self.reported += dropped;
        let Reader { stream, what, .. } = *self;
        (dropped > 0).then(|| {
            format!("{dropped} {what} were dropped, since {} was not being read.", lower(stream))
        })
    }
}

fn lower(stream: &str) -> String {
    let mut letters = stream.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
