//! What tch lacks and is not an optimizer, for a program around one.
//!
//! | module | what is in it |
//! |---|---|
//! | [`arithmetic`] | what tch has too, but panics in if libtorch refuses, for an inner optimizer of your own |
//! | [`autocast`] | matrix products and convolutions in a narrower type |
//! | [`build`] | which libtorch this is, and what it uses of the processor |
//! | [`cerr`] | what libtorch prints on stderr |
//! | [`generator`] | the state of libtorch's random-number generators |
//! | [`images`] | batches of images from their bytes |
//! | [`inference`] | evaluations without what autograd costs |
//! | [`memory`] | what the C library's allocator keeps |
//! | [`memory_format`] | the order of a tensor's elements in memory |
//! | [`ops`] | the calls of libtorch's dispatcher, counted |

pub use lookahead_sys::{
    arithmetic, autocast, build, cerr, generator, images, inference, memory, memory_format, ops,
};
