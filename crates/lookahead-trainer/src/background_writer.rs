//! Text for a file, a pipe or a terminal, written by its own thread.
//!
//! A reader that stops reading, for example a full pipe or a terminal after Ctrl-S, would block its writer; here only the
//! thread waits for it. Text is written in order, and at most [`LARGEST_BACKLOG`] bytes wait: text beyond that is dropped
//! and counted, and once the reader continues, a line in its place has the number. The texts at the end are all accepted.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lookahead_run::words::reason;

/// Most bytes that wait for a reader.
pub const LARGEST_BACKLOG: usize = 16 << 20;

/// A frame of a progress bar is left out while more than this many bytes wait.
const CROWDED: usize = 8 << 10;

/// How long to wait before another attempt, if the file accepts nothing for now.
const RETRY: Duration = Duration::from_millis(20);

/// Writes text in its own thread.
#[derive(Debug)]
pub struct BackgroundWriter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    largest: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Text that the thread takes next.
    waiting: Vec<u8>,
    /// Bytes that the thread has taken and not written yet.
    in_hand: usize,
    /// Bytes written in all.
    written: u64,
    /// Texts dropped since the last that was accepted.
    missing: u64,
    /// Texts dropped in all.
    dropped: u64,
    /// Why the file accepts nothing for now, for example a full disk.
    trouble: Option<String>,
    /// Why the file accepts nothing any more.
    failed: Option<String>,
    /// Only a few texts follow, and none of them is dropped.
    ending: bool,
    /// No more text comes.
    closed: bool,
    /// How much was written when a flush gave up, and after how long.
    gave_up: Option<(u64, Duration)>,
}

impl BackgroundWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(name: &str, file: impl Write + Send + 'static) -> io::Result<Self> {
        BackgroundWriter::with_backlog(name, file, LARGEST_BACKLOG)
    }

    pub(crate) fn with_backlog(
        name: &str,
        file: impl Write + Send + 'static,
        largest: usize,
    ) -> io::Result<Self> {
        let (state, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { state, changed, largest });
        let threads = shared.clone();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || threads.write_to(file))?;
        Ok(BackgroundWriter { shared })
    }

    /// Hands over text. Never waits for the reader: without room the text is dropped. The next text that is accepted comes
    /// after `gap`, a line in the reader's format with the number of missing texts.
    pub fn push(&self, text: &[u8], gap: impl FnOnce(u64) -> String) {
        let mut state = self.shared.lock();
        if state.failed.is_some() {
            return;
        }
        let gap = if state.missing > 0 { gap(state.missing) } else { String::new() };
        let backlog = state.waiting.len() + state.in_hand;
        if !state.ending && backlog + gap.len() + text.len() > self.shared.largest {
            state.missing += 1;
            state.dropped += 1;
            return;
        }
        state.missing = 0;
        state.waiting.extend_from_slice(gap.as_bytes());
        state.waiting.extend_from_slice(text);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Accepts all that follows, which is little: the end of a run is not to be missing, whatever waits.
    pub fn accept_the_end(&self) {
        self.shared.lock().ending = true;
    }

    /// Hands over a frame of something that is drawn repeatedly. It is left out if much is waiting.
    pub fn push_frame(&self, frame: &[u8]) {
        let mut state = self.shared.lock();
        if state.failed.is_none() && state.waiting.len() + state.in_hand <= CROWDED {
            state.waiting.extend_from_slice(frame);
            drop(state);
            self.shared.changed.notify_all();
        }
    }

    /// How many texts were dropped in all.
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }

    /// Whether texts were dropped, and none was accepted since.
    pub fn is_dropping(&self) -> bool {
        self.shared.lock().missing > 0
    }

    /// Why the file accepts nothing for now, for example a full disk. Writing is retried.
    pub fn trouble(&self) -> Option<String> {
        self.shared.lock().trouble.clone()
    }

    /// Why the file accepts nothing any more, for example a pipe without a reader.
    pub fn failure(&self) -> Option<String> {
        self.shared.lock().failed.clone()
    }

    /// Waits until all text is written, as long as the reader reads something every `patience`, and for `at_most` in all.
    /// If it gave up once, it does not wait again until more was read. Returns whether everything was written.
    pub fn flush(&self, patience: Duration, at_most: Duration) -> bool {
        let began = Instant::now();
        let mut state = self.shared.lock();
        let (mut written, mut since) = (state.written, began);
        loop {
            if state.failed.is_some() {
                return false;
            }
            if state.waiting.is_empty() && state.in_hand == 0 {
                return true;
            }
            if state.written > written {
                (written, since) = (state.written, Instant::now());
            }
            if state.gave_up.is_some_and(|(at, after)| at == written && patience <= after) {
                return false;
            }
            let left = patience.saturating_sub(since.elapsed());
            if left.is_zero() {
                state.gave_up = Some((written, patience));
            }
            let left = left.min(at_most.saturating_sub(began.elapsed()));
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// As [`flush`](Self::flush), at the end: the last text is the number of missing ones, if there are any.
    pub fn finish(
        &self,
        patience: Duration,
        at_most: Duration,
        gap: impl FnOnce(u64) -> String,
    ) -> bool {
        let all = self.flush(patience, at_most);
        if !all || !self.is_dropping() {
            return all;
        }
        self.push(b"", gap);
        self.flush(patience, at_most)
    }
}

impl Drop for BackgroundWriter {
    /// Lets the thread end once everything is written, and does not wait for it.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread's work.
    fn write_to(&self, mut file: impl Write) {
        while let Some(text) = self.take() {
            let mut rest = &text[..];
            while !rest.is_empty() {
                let written = file.write(rest);
                let mut state = self.lock();
                match written {
                    Ok(0) => {
                        state.fail(&io::ErrorKind::WriteZero.into());
                        break;
                    }
                    Ok(count) => {
                        rest = &rest[count..];
                        state.in_hand = rest.len();
                        state.written += count as u64;
                        state.trouble = None;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if may_pass(&error) => {
                        // A pipe that is full for now is not a fault.
                        if error.kind() != io::ErrorKind::WouldBlock {
                            state.trouble = Some(reason(&error));
                        }
                        drop(state);
                        std::thread::sleep(RETRY);
                        continue;
                    }
                    Err(error) => {
                        state.fail(&error);
                        break;
                    }
                }
                drop(state);
                self.changed.notify_all();
            }
            self.changed.notify_all();
        }
    }

    /// Waits for text.
    fn take(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let text = std::mem::take(&mut state.waiting);
        state.in_hand = text.len();
        Some(text)
    }
}

impl State {
    fn fail(&mut self, error: &io::Error) {
        self.failed = Some(reason(error));
        self.waiting = Vec::new();
        self.in_hand = 0;
    }
}

/// Whether a file that refuses a write may accept it later: the disk is full, or a pipe is non-blocking.
fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull, WouldBlock};
    matches!(error.kind(), FileTooLarge | QuotaExceeded | StorageFull | WouldBlock)
}

#[cfg(test)]
mod tests;
