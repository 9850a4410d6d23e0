//! One config in many variations: a grid or random draws over any of its keys, several runs at
//! once, gone on with after an interruption.
//!
//! | module | what is in it |
//! |---|---|
//! | [`mod@file`] | the file that describes a sweep, read with the lines of its faults |
//! | [`points`] | which runs there are, what each sets, how each is called |
//! | [`plan`] | every point with its config, checked before anything is run |
//! | [`folder`] | the folder of a sweep |
//! | [`pool`] | the runs' processes: started, watched, started again, stopped |
//! | `process` | one of them |
//! | [`progress`] | how far it is, and how long it takes |
//! | [`results`] | what came of it |
//! | [`error`] | what can go wrong, in full sentences |

pub mod error;
pub mod file;
pub mod folder;
pub mod plan;
pub mod points;
pub mod pool;
mod process;
pub mod progress;
pub mod results;
#[cfg(test)]
mod tests;

pub use error::SweepError;
pub use file::SweepFile;
pub use folder::SweepFolder;
pub use plan::{Plan, Planned, Refused, Resolve};
pub use pool::{Options, Outcome, latest, run};
pub use progress::{Progress, Reporter};
