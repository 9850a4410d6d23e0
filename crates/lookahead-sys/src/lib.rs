//! The C++ half of Lookahead: what libtorch can do and tch does not offer.
//!
//! | module | what is in it |
//! |---|---|
//! | [`optimizer`] | tch's optimizers with their state: buffers, moments and step counts |
//! | [`fused`] | libtorch's optimizers, stepping with kernels that take all parameters together |
//! | [`muon`] | Muon's step on many matrices |
//! | [`rules`] | one step of many parameters by a rule that libtorch lacks |
//! | [`sync`] | the sync of slow and fast weights, over all tensors at once |
//! | [`average`] | the averages that wrappers keep beside an inner optimizer |
//! | [`arithmetic`] | copying, clipping by value, and checks for NaN and infinity |
//! | [`norm`] | norms over many tensors together, and clipping by them |
//! | [`batch_statistics`] | the statistics that batch normalizations compute |
//! | `images` | images from bytes to normalized floats, in one pass (feature `images`) |
//! | [`ops`] | recorded calls of ATen's dispatcher: what a GPU would have to do |
//! | [`tensor`] | detecting that other code changed a tensor |
//! | [`autocast`] | matrix products and convolutions in a narrower type |
//! | `distributed` | process groups (feature `distributed`) |
//! | [`cerr`] | what libtorch prints on stderr |
//! | [`memory`] | what the C library's allocator does with freed memory |
//! | [`memory_format`] | the memory order of a tensor's elements |
//! | [`inference`] | inference mode |
//! | [`generator`] | the state of libtorch's random generators |
//! | `torchscript` | TorchScript modules: loaded, run, traced and saved (feature `torchscript`) |
//! | [`build`] | which libtorch this is, and which vector instructions it uses |
//!
//! All `unsafe` code and all C++ of the project is in this crate, behind functions that are safe to call;
//! the other crates forbid it. A [`Result`] is an error if libtorch refuses the call: the [`Error`] is its
//! sentence, without the backtrace. The documentation of a function names only further reasons.
//!
//! # Linking
//!
//! A program on libtorch needs link arguments that tch cannot give it: a run path and, if libtorch is built
//! for CUDA, flags that keep the linker from dropping `libtorch_cuda`. The build script hands them to
//! dependent crates as `DEP_LOOKAHEAD_SYS_LINK_ARGS`, separated by the character U+001F; in the build script of a
//! dependent, `lookahead_build::link()` passes them to the linker.

pub mod arithmetic;
pub mod autocast;
pub mod average;
pub mod batch_statistics;
pub mod build;
pub mod cerr;
#[cfg(feature = "distributed")]
pub mod distributed;
pub mod fused;
pub mod generator;
#[cfg(feature = "images")]
pub mod images;
pub mod inference;
pub mod memory;
pub mod memory_format;
pub mod muon;
pub mod norm;
pub mod ops;
pub mod optimizer;
pub mod rules;
pub mod sync;
pub mod tensor;
#[cfg(feature = "torchscript")]
pub mod torchscript;

// cxx makes the bridge's functions `pub`; only this crate can name them.
#[allow(unreachable_pub)]
mod ffi;
mod handle;

/// Why libtorch refused, in its own words.
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
        // tch keeps libtorch's backtrace in the text.
        let text = error.to_string();
        Error(text.split("\nException raised from").next().unwrap_or(&text).to_owned())
    }
}

/// A result whose error is libtorch's.
pub type Result<T, E = Error> = std::result::Result<T, E>;
