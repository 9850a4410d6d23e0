//! Whether the output is being read, for the log.

use crate::background_writer::BackgroundWriter;

/// A stream, and whether it is being read.
#[derive(Debug)]
pub(super) struct Reader {
    /// At the start of a sentence: "Standard output".
    stream: &'static str,
    /// What may be dropped: "events".
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
    /// The file accepts nothing for now.
    Blocked,
}

impl Reader {
    pub(super) fn new(stream: &'static str, what: &'static str) -> Self {
        Reader { stream, what, state: State::Fine, reported: 0 }
    }

    /// A sentence for the log, if something has changed since the last call.
    pub(super) fn change(&mut self, writer: &BackgroundWriter) -> Option<String> {
        let Reader { stream, what, .. } = *self;
        if writer.is_dropping() {
            if self.state == State::Dropping {
                return None;
            }
            self.state = State::Dropping;
            return Some(format!(
                "{stream} is not being read, so {what} for it are dropped. Training continues, and the event log has \
                 everything."
            ));
        }
        let dropped = writer.dropped() - self.reported;
        if dropped > 0 {
            self.state = State::Fine;
            return self.count(writer);
        }
        match (writer.trouble(), &self.state) {
            (Some(why), State::Fine) => {
                self.state = State::Blocked;
                Some(format!(
                    "{stream} can't be written for now ({why}), so {what} for it wait. Training continues, and the event \
                     log has everything."
                ))
            }
            (Some(_), _) => None,
            (None, _) => {
                self.state = State::Fine;
                None
            }
        }
    }

    /// A sentence for the log, if some were dropped since the last report.
    pub(super) fn count(&mut self, writer: &BackgroundWriter) -> Option<String> {
        let dropped = writer.dropped() - self.reported;
        self.reported += dropped;
        let Reader { stream, what, .. } = *self;
        (dropped > 0).then(|| {
            format!("{dropped} {what} were dropped, because {} was not being read.", lower(stream))
        })
    }
}

fn lower(stream: &str) -> String {
    let mut letters = stream.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests;
