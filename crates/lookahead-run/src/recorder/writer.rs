//! The thread that writes what waits: whatever the disk does, the loop does not wait for it.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::shared::{RunState, Shared};
use crate::error::{Error, Result};
use crate::event::{Event, Record, Warning};
use crate::folder::RunFolder;
use crate::log::EventLog;

/// How long lines wait for others, so that one write is enough for all. Too short to be seen.
const BUFFERING: Duration = Duration::from_millis(20);
/// The time from a failed attempt to the next.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the attempts at the end go on.
const LAST_ATTEMPTS: Duration = Duration::from_secs(5);

/// What the thread has.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) log: EventLog,
    pub(super) folder: RunFolder,
}

impl Writer {
    /// Writes what waits until the run is closed and everything is written or given up.
    pub(super) fn run(mut self) {
        let mut deadline = None;
        loop {
            let closing = self.wait();
            if closing && deadline.is_none() {
                deadline = Some(Instant::now() + LAST_ATTEMPTS);
            }
            let written = self.write();
            let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            let mut state = self.shared.lock();
            let is_empty = state.waiting.bytes.is_empty() && state.waiting.taken == 0;
            if state.is_dead || (state.closing && (is_late || (written && is_empty))) {
                self.close(&mut state);
                drop(state);
                if written {
                    // The end of a run should survive a power cut; a disk that can't sync has it all the same.
                    let _ = self.log.sync();
                }
                break;
            }
        }
        self.shared.lock().closed = true;
        self.shared.alert();
    }

    /// Counts what is not written.
    fn close(&self, state: &mut RunState) {
        let left = state.waiting.count + self.log.buffered() as u64;
        state.unreported += left;
        state.waiting.bytes = Vec::new();
        (state.waiting.count, state.waiting.taken, state.waiting.taken_count) = (0, 0, 0);
        state.is_dead = true;
    }

    /// Waits until there are lines, and a little for others; returns whether the run is being closed.
    fn wait(&self) -> bool {
        let Shared { to_writer, .. } = &*self.shared;
        let mut state = self.shared.lock();
        while state.waiting.bytes.is_empty() && state.waiting.taken == 0 && !state.closing {
            state = to_writer.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let pause = if state.trouble.is_some() { PAUSE } else { BUFFERING };
        // The end does not wait for more, but attempts at a disk that refuses have pauses.
        let ends_now = |state: &RunState| state.closing && state.trouble.is_none();
        let started = Instant::now();
        while started.elapsed() < pause && !ends_now(&state) {
            let left = pause.saturating_sub(started.elapsed());
            let waited = to_writer.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.closing
    }

    /// Writes what waits; whether the disk took all of it.
    fn write(&mut self) -> bool {
        let mut state = self.shared.lock();
        let lines = std::mem::take(&mut state.waiting.bytes);
        let count = std::mem::take(&mut state.waiting.count);
        state.waiting.taken += lines.len();
        state.waiting.taken_count += count;
        let (step, lost) = (state.status.step, state.waiting.lost);
        drop(state);
        self.log.buffer_lines(&lines, count as usize);
        let written = self.write_to_disk(step, lost);
        let mut state = self.shared.lock();
        state.waiting.taken = self.log.buffered_bytes();
        state.waiting.taken_count = self.log.buffered() as u64;
        match written {
            Ok(()) => {
                state.waiting.lost -= lost;
                state.trouble = None;
                // The memory is used again.
                if state.waiting.bytes.is_empty() {
                    let mut lines = lines;
                    lines.clear();
                    state.waiting.bytes = lines;
                }
                true
            }
            Err(error) => {
                state.trouble = Some(error.to_string());
                if matches!(error, Error::FolderGone(_) | Error::TakenOver(_)) {
                    state.failure = Some(error);
                    self.close(&mut state);
                }
                drop(state);
                self.shared.alert();
                false
            }
        }
    }

    fn write_to_disk(&mut self, step: u64, lost: u64) -> Result<()> {
        self.log.write()?;
        if lost > 0 {
            let message = format!(
                "{lost} events are missing here: the log could not be written, and too many waited for it."
            );
            self.log.append(&Record::now(step, Event::Warning(Warning { message })))?;
        }
        // What is written to a folder that was removed is gone with it.
        self.folder.check()
    }
}
