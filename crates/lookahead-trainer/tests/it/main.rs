//! Tests that call the trainer's library, or read its tensors. One binary, because each one links libtorch; nextest
//! runs every test in a process of its own, plain `cargo test` one after the other.
//! What runs the program and reads text files belongs into `../program`, which starts without libtorch.

#[path = "../common/mod.rs"]
mod common;

mod accumulating;
mod averaging;
mod bad_input;
mod clipping;
mod computing;
mod crashes;
mod damage;
mod for_others;
mod freezing;
mod hostile;
mod hostile_input;
mod interchange;
mod keys;
mod lookahead_section;
mod predicting;
mod predicting_kinds;
mod pytorch;
mod ranks;
mod reading;
mod resume;
mod tasks;
mod tensorboard;
mod tensors;
mod torchscript;
