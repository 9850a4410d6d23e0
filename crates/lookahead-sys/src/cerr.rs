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
mod tests {
    use super::*;
    use std::sync::Mutex;

    static TEXT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    /// libtorch warns of an output that it has to resize.
    #[test]
    fn a_warning_of_libtorch_goes_to_the_sink() {
        redirect(|text| TEXT.lock().unwrap().extend_from_slice(text), || {});
        let ones = |n: i64| tch::Tensor::ones([n], (tch::Kind::Float, tch::Device::Cpu));
        let _ = ones(3).f_add_out(&ones(2), &ones(1));
        let _ = ones(2).f_add_out(&ones(2), &ones(3));
        let text = String::from_utf8(TEXT.lock().unwrap().clone()).unwrap();
        assert!(text.contains("resized") && text.contains("[W"), "{text:?}");
    }
}
