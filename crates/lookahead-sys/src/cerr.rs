//! What libtorch and the libraries below it print on stderr.
//!
//! They write to C++'s `std::cerr`, warnings above all, and wait there for whoever reads it. A program
//! that must not be held up by a full pipe takes the text itself.

use std::sync::OnceLock;

use crate::ffi::bridge;

static SINK: OnceLock<Sink> = OnceLock::new();

struct Sink {
    write: fn(&[u8]),
    flush: fn(),
}

/// Has all that is written to `std::cerr` from now on go to `write`, and each request to flush it to
/// `flush`. Both are called on whichever thread writes, and must not panic. Only the first call counts.
pub fn redirect(write: fn(&[u8]), flush: fn()) {
    if SINK.set(Sink { write, flush }).is_ok() {
        bridge::redirect_cerr();
    }
}

pub(crate) fn write_cerr(text: &[u8]) {
    if let Some(sink) = SINK.get() {
        (sink.write)(text);
    }
}

pub(crate) fn flush_cerr() {
    if let Some(sink) = SINK.get() {
        (sink.flush)();
    }
}

#[cfg(test)]
mod tests;
