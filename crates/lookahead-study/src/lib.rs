//! Sweeps and comparisons of many runs.
//!
//! | module | what is in it |
//! |---|---|
//! | [`summary`] | the numbers of a run by which runs are compared |
//! | [`sweep`] | one config in many variations, trained by several processes |
//! | [`compare`] | many runs side by side: points and groups, statistics, tables, figures |
//! | [`error`] | what can go wrong, in full sentences |
//!
//! This crate knows nothing of tensors or models: runs are folders that the trainer wrote.

pub mod compare;
pub mod error;
pub mod summary;
pub mod sweep;

pub use summary::Summary;
