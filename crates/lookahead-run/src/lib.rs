//! A training run on disk, and the words in which a run speaks.
//!
//! | module | what is in it |
//! |---|---|
//! | [`event`] | what happens in a run, one JSON object a line of `events.jsonl` |
//! | [`command`] | what can be asked of a run while it lives |
//!
//! Nothing here knows of tensors or models: a checkpoint is a folder of files that somebody else
//! wrote, with a manifest that tells whether they are whole.

pub mod command;
pub mod event;
mod number;
