//! What the loop, the thread that writes, and the control socket share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::lines::WaitingLines;
use super::requests::Requests;
use crate::command::Command;
use crate::control::Accepted;
use crate::error::Error;
use crate::status::{LastStep, State, Status};

/// What the loop, the thread that writes, and the control socket share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<RunState>,
    /// Notified if lines begin to wait, and at the end.
    pub(super) to_writer: Condvar,
    /// Notified if a command has come, or everything is written.
    pub(super) to_loop: Condvar,
    /// Whether [`poll`](super::Recorder::poll) has more to do than to return.
    pub(super) attention: AtomicBool,
}

#[derive(Debug)]
pub(super) struct RunState {
    pub(super) waiting: WaitingLines,
    pub(super) requests: Requests,
    /// Of the run, as far as it is known here.
    pub(super) status: Status,
    /// Why the last attempt to write failed.
    pub(super) trouble: Option<String>,
    /// Lines that are lost, and not reported to the loop yet.
    pub(super) unreported: u64,
    /// Why nothing more is written, until it is reported.
    pub(super) failure: Option<Error>,
    /// Whether nothing more is written.
    pub(super) is_dead: bool,
    /// Lines that came since.
    pub(super) refused: u64,
    /// Whether the writer should end.
    pub(super) closing: bool,
    /// Whether the writer has ended.
    pub(super) closed: bool,
}

impl Shared {
    pub(super) fn new(requests: Requests, status: Status) -> Self {
        let state = RunState {
            waiting: WaitingLines::default(),
            requests,
            status,
            trouble: None,
            unreported: 0,
            failure: None,
            is_dead: false,
            refused: 0,
            closing: false,
            closed: false,
        };
        Shared {
            state: Mutex::new(state),
            to_writer: Condvar::new(),
            to_loop: Condvar::new(),
            attention: AtomicBool::new(false),
        }
    }

    /// What is shared; no one holds it while waiting for a disk or for another process.
    pub(super) fn lock(&self) -> MutexGuard<'_, RunState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the next [`poll`](super::Recorder::poll) look, and wakes one that waits.
    pub(super) fn alert(&self) {
        self.attention.store(true, Ordering::Release);
        self.to_loop.notify_all();
    }

    /// Adds to the lines that wait, and wakes the writer if they are the first. Returns what `add` returns.
    pub(super) fn add(&self, add: impl FnOnce(&mut RunState) -> bool) -> bool {
        let mut state = self.lock();
        if state.is_dead {
            state.refused += 1;
            return true;
        }
        let (was_empty, lost) = (state.waiting.bytes.is_empty(), state.waiting.lost);
        let added = add(&mut state);
        let more = state.waiting.lost - lost;
        state.unreported += more;
        drop(state);
        if was_empty {
            self.to_writer.notify_one();
        }
        if more > 0 {
            self.attention.store(true, Ordering::Release);
        }
        added
    }

    /// Takes a command from the control socket.
    pub(super) fn accept(&self, command: Command) -> Accepted {
        let accepted = self.lock().requests.accept(command);
        self.alert();
        accepted
    }

    /// The status for the control socket.
    pub(super) fn status(&self) -> Status {
        let state = self.lock();
        let mut status = state.status.clone();
        status.settings = state.requests.keys();
        if state.requests.stop {
            status.state = State::Stopping;
        }
        status
    }
}

/// Notes what a step logged, for the status.
pub(super) fn note(status: &mut Status, step: u64, loss: Option<f64>, rate: Option<f64>) {
    let LastStep { loss: last_loss, learning_rate, .. } = &mut status.last_step;
    *last_loss = loss.or(*last_loss);
    *learning_rate = rate.or(*learning_rate);
    status.step = step;
}
