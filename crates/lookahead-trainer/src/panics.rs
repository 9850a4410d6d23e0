//! A panic out of tch as an ordinary error.
//!
//! Most of tch's functions unwrap what libtorch says: memory that can't be had, or shapes that
//! don't fit. A training that meets one should end in order and say so in a sentence.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::console::{eprint_line, flush_briefly};

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}
static HOOK: Once = Once::new();

/// Does the work; a panic in it becomes an error that says what libtorch said.
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

/// Has the message of a panic go the way of all lines for people. The standard hook would write it
/// itself, and wait for whoever reads stderr.
pub fn report_in_background() {
    set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        eprint_line(format_args!("thread '{}' {panic}", thread.name().unwrap_or("<unnamed>")));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            eprint_line(backtrace);
        }
        // It may be the last word of this process.
        flush_briefly();
    }));
}

/// What is caught is told as an error: the standard message would tell it twice, and at length.
fn silence() {
    let previous = take_hook();
    set_hook(Box::new(move |panic| {
        if !CATCHING.get() {
            previous(panic);
        }
    }));
}

/// The message without libtorch's list of its own functions, which stands in it as it is, or
/// escaped where Rust wrote the error out.
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
