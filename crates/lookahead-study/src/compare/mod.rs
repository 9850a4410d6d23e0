//! Runs side by side: what differs between them, and how certain that is.
//!
//! | module | what is in it |
//! |---|---|
//! | [`settings`] | configurations as flat keys, and the names of what differs |
//! | [`statistics`] | means, spreads, paired differences, intervals |
//! | [`stability`] | how quietly a run trained towards its end |
//! | [`table`] | columns and rows for terminals, Markdown and CSV |
//! | `data` | groups and runs for other programs: CSV and JSON |
//! | `tables`, [`numbers`] | the tables of a comparison, and how they print numbers |
//! | [`figures`] | its figures |
//! | `read`, `error` | from paths to runs, and what can go wrong |
//!
//! A *point* is all runs whose configurations are equal apart from the seed and from what does not
//! change the training. A *group* is the points that are equal in the keys of [`Options::by`]; the
//! best of these is chosen on validation data, and its numbers on test data are reported: data that
//! chose a point can't report it.
//!
//! ```no_run
//! use lookahead_study::compare::{Options, compare};
//!
//! let comparison = compare(&["sweeps/rates".into()], &Options::default())?;
//! println!("{}", comparison.to_terminal(100));
//! # Ok::<(), lookahead_study::error::Error>(())
//! ```

mod comparing;
mod comparison;
mod data;
pub(crate) mod error;
#[cfg(test)]
mod figure_tests;
pub mod figures;
#[cfg(test)]
mod fixture;
mod grouping;
pub mod numbers;
mod options;
mod read;
mod run;
pub mod stability;
pub mod statistics;
pub mod table;
mod tables;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use lookahead_run::settings;

pub use comparing::{compare, of_summaries};
pub use comparison::{ComparedPoint, Comparison, Group};
pub use error::CompareError;
pub use options::{Metric, Options};
pub use read::planned;
pub use run::{Outcome, Run};
