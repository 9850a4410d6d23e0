//! What libtorch and the libraries below it print on stderr.
//!
//! They write warnings above all to C++'s `std::cerr`, and block there while nothing reads it. A program
//! that a full pipe must not block takes the text itself.

use std::sync::Once;

use crate::ffi::bridge;

/// Sends everything written to `std::cerr` from now on to `write`, and each request to flush it to
/// `flush`. Both are called on the thread that writes and must not panic. Only the first call counts.
pub fn redirect(write: fn(&[u8]), flush: fn()) {
    static REDIRECTED: Once = Once::new();
    REDIRECTED.call_once(|| bridge::redirect_cerr(write, flush));
}

#[cfg(test)]
mod tests;
