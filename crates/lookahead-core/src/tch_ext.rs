//! What tch lacks besides optimizers.
//!
//! | module | what is in it |
//! |---|---|
//! | [`arithmetic`] | operations in which tch panics if libtorch refuses, for your own inner optimizer |
//! | [`autocast`] | matrix products and convolutions in a narrower type |
//! | [`build`] | which libtorch this is, and which vector instructions it uses |
//! | [`cerr`] | what libtorch prints on stderr |
//! | [`generator`] | the state of libtorch's random generators |
//! | `images` | batches of images from their bytes (feature `images`) |
//! | [`inference`] | inference mode: evaluation without the cost of autograd |
//! | [`memory`] | what the C library's allocator does with freed memory |
//! | [`memory_format`] | the memory order of a tensor's elements |
//! | [`ops`] | recorded calls of libtorch's dispatcher |
//! | [`safetensors_types`] | the element types of tensors in safetensors files |
//! | `torchscript` | TorchScript modules: loaded, trained, traced and saved (feature `torchscript`) |

pub mod safetensors_types;

#[cfg(feature = "images")]
pub use lookahead_sys::images;
#[cfg(feature = "torchscript")]
pub use lookahead_sys::torchscript;
pub use lookahead_sys::{
    arithmetic, autocast, build, cerr, generator, inference, memory, memory_format, ops,
};
