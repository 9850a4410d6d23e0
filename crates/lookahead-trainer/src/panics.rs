//! Panics of tch as ordinary errors.
//!
//! Most of tch's functions unwrap libtorch's errors, for example of memory or of shapes. A training that meets one should
//! end in order, with a sentence.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::console::{eprint_line, flush_briefly};

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}
static HOOK: Once = Once::new();

/// Does the work; a panic in it becomes an error with libtorch's reason.
///
/// # Errors
/// Those of the work, and its panics.
pub fn caught<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    HOOK.call_once(silence);
    let outer = CATCHING.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(outer);
    outcome.unwrap_or_else(|payload| {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("it gave no reason");
        Err(anyhow::anyhow!("An operation of libtorch failed: {}.", reason(text)))
    })
}

/// Sends the message of a panic the way of all lines. The standard hook would write it directly, and wait for the reader
/// of stderr.
pub fn report_in_background() {
    set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        eprint_line(format_args!("thread '{}' {panic}", thread.name().unwrap_or("<unnamed>")));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            eprint_line(backtrace);
        }
        // It may be the last line of this process.
        flush_briefly();
    }));
}

/// Silences the standard message of a panic that is reported as an error.
fn silence() {
    let previous = take_hook();
    set_hook(Box::new(move |panic| {
        if !CATCHING.get() {
            previous(panic);
        }
    }));
}

/// The message without libtorch's stack, which may be escaped.
fn reason(text: &str) -> &str {
    let stack = ["Exception raised from", "frame #"].iter().filter_map(|words| text.find(words));
    let text = &text[..stack.min().unwrap_or(text.len())];
    let text = text.trim_end_matches("\\n").trim();
    let text = match text.split_once("value: Torch(\"") {
        Some((_, reason)) => reason.trim_end_matches("\")"),
        None => text,
    };
    text.trim_end_matches('.')
}

#[cfg(test)]
mod tests;
