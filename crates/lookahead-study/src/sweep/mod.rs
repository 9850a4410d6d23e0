//! One config in many variations: a grid or random draws over any of its keys, several runs at
//! once, resumed after an interruption.
//!
//! | module | what is in it |
//! |---|---|
//! | [`mod@file`], `parse` | the file of a sweep, and reading it with the lines of its faults |
//! | [`points`] | which runs there are, what each sets, how each is called |
//! | [`plan`] | every point with its config, checked before anything is run |
//! | [`folder`] | the folder of a sweep |
//! | `survey` | what is in the place of each run |
//! | [`pool`] | the runs' processes: started, watched, restarted, stopped |
//! | `process` | one of them |
//! | [`progress`] | how far it is, and how long it takes |
//! | [`results`] | what came of it |
//! | [`error`] | what can go wrong, in full sentences |

pub mod error;
pub mod file;
pub mod folder;
mod parse;
pub mod plan;
pub mod points;
pub mod pool;
mod process;
pub mod progress;
pub mod results;
mod survey;
#[cfg(test)]
mod tests;

pub use error::SweepError;
pub use file::SweepFile;
pub use folder::SweepFolder;
pub use plan::{Plan, Planned, Refused, Resolve};
pub use pool::{Options, Outcome, run};
pub use progress::{Progress, Reporter};
pub use survey::latest;
