//! The C++ half of Lookahead: what libtorch can do and tch does not reach.
//!
//! | module | what is in it |
//! |---|---|
//! | [`optimizer`] | tch's optimizers with their state: buffers, moments and step counts, out and in |
//! | [`fused`] | libtorch's optimizers, stepping by kernels that take all parameters together |
//! | [`sync`] | the sync of slow and fast weights, over all tensors at once |
//! | [`arithmetic`] | copying, clipping by value and looking for NaN and infinity |
//! | [`norm`] | norms of many tensors together, and clipping by them |
//! | [`batch_statistics`] | what batch normalizations draw from their inputs |
//! | [`images`] | images from bytes to normalized floats, in one pass |
//! | [`ops`] | the calls of ATen's dispatcher, counted: what a GPU would be asked |
//! | [`tensor`] | how to notice that other code changed a tensor |
//! | [`autocast`] | matrix products and convolutions in a narrower type |
//! | [`distributed`] | the same program in several processes, that add up and pass on tensors |
//! | [`cerr`] | what libtorch prints on stderr |
//! | [`memory`] | how the C library's allocator deals with what is freed |
//! | [`memory_format`] | the order of a tensor's elements in memory |
//! | [`inference`] | computing what no gradient will ever be asked of |
//! | [`generator`] | the state of libtorch's random-number generators, out and in |
//! | [`build`] | which libtorch this is, and what it uses of the processor |
//!
//! All `unsafe` code and all C++ of the project live here, behind functions that are safe to call;
//! the other crates forbid it. C++ exceptions become [`Error`]s, without libtorch's backtrace.
//!
//! # Linking
//!
//! A program on libtorch needs link arguments that tch cannot give it: a run path, and, where
//! libtorch is built for CUDA, flags that keep the linker from dropping `libtorch_cuda`. The build
//! script hands them to dependent crates as `DEP_LOOKAHEAD_SYS_LINK_ARGS`, separated by the
//! character U+001F; a dependent's build script prints each as `cargo:rustc-link-arg=…`.

pub mod arithmetic;
pub mod autocast;
pub mod batch_statistics;
pub mod build;
pub mod cerr;
pub mod distributed;
pub mod fused;
pub mod generator;
pub mod images;
pub mod inference;
pub mod memory;
pub mod memory_format;
pub mod norm;
pub mod ops;
pub mod optimizer;
pub mod sync;
pub mod tensor;

// cxx makes the bridge's functions `pub`; only this crate can name them.
#[allow(unreachable_pub)]
mod ffi;

/// What libtorch refused, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl From<cxx::Exception> for Error {
    fn from(exception: cxx::Exception) -> Self {
        Error(exception.what().to_owned())
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        // tch passes libtorch's text on with its backtrace; the first line is the sentence.
        let text = error.to_string();
        Error(text.split("\nException raised from").next().unwrap_or(&text).to_owned())
    }
}

/// A result whose error is libtorch's.
pub type Result<T, E = Error> = std::result::Result<T, E>;
