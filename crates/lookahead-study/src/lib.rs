//! Many runs: what one run can't show.
//!
//! | module | what is in it |
//! |---|---|
//! | [`summary`] | a run in the numbers by which runs are compared |
//! | [`sweep`] | one config in many variations, run several at once |
//! | [`compare`] | many runs side by side: points and groups, statistics, tables, figures |
//! | [`error`] | what can go wrong, in full sentences |
//!
//! Nothing here knows of tensors or models: runs are folders that the trainer wrote.

pub mod compare;
pub mod error;
pub mod summary;
pub mod sweep;

pub use summary::Summary;
