//! One config in many variations: a grid or random draws over any of its keys, several runs at
//! once, resumed after an interruption.
//!
//! | module | what is in it |
//! |---|---|
//! | `file`, `parse` | the file of a sweep, and reading it with the lines of its faults |
//! | `points` | the runs, their settings and their names |
//! | `plan` | every point with its config, checked before anything is run |
//! | `folder` | the folder of a sweep |
//! | `survey` | the state of each run |
//! | `pool` | the runs' processes: started, watched, restarted, stopped |
//! | `process` | one of them |
//! | `progress` | progress, and the time left |
//! | `results` | the tables of results |
//! | `error` | what can go wrong, in full sentences |

mod error;
mod file;
mod folder;
mod parse;
mod plan;
pub(crate) mod points;
mod pool;
mod process;
mod progress;
mod results;
mod survey;
#[cfg(test)]
mod tests;

pub use error::SweepError;
pub use file::SweepFile;
pub use folder::SweepFolder;
pub use plan::{Plan, Planned, Refused, Resolve};
pub use pool::{Options, Outcome, run};
pub use progress::{Progress, Reporter, Running};
pub use survey::latest;
