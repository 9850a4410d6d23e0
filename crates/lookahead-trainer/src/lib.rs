//! The `lookahead` program: trains real tasks with Lookahead, watched live, stopped and resumed.
//!
//! | module | what is in it |
//! |---|---|
//! | [`App`] | the program, to which others can add kinds of data, models and optimizers |
//! | [`Trainer`] | the training loop alone, without files and command line |
//! | [`cli`], [`commands`] | the command line, and the commands |
//! | [`usage`], [`failure`], [`panics`] | errors that the user can fix, exit statuses, panics of tch |
//! | [`config`] | the TOML file, one section per file, and which keys may change during a run |
//! | [`registry`] | the kinds of data, models and optimizers that can be selected |
//! | [`data`], [`models`], [`optimizers`] | data sets, models and inner optimizers, one per file |
//! | [`objective`] | the loss, and the metrics of evaluations |
//! | [`distributed`] | one run in several processes |
//! | [`train`] | the training loop and its hooks |
//! | [`checkpointing`], [`tensor_file`] | saving and restoring a training |
//! | [`initial`], [`file_kind`] | initial weights from a file, and the recognition of other files |
//! | `predict` | samples from files, and predictions as rows |
//! | [`git`] | the git revision that a run records |
//! | [`observer`], [`console`], [`controls`] | output to the user, and commands and signals from outside |
//! | `alerts` | notifies a program or a web address of what happens to a run |
//! | [`background_writer`] | writing to readers that may block |

mod alerts;
mod app;
pub mod background_writer;
pub mod checkpointing;
pub mod cli;
pub mod commands;
pub mod config;
pub mod console;
pub mod controls;
pub mod data;
pub mod distributed;
pub mod failure;
pub mod file_kind;
pub mod git;
mod hints;
pub mod initial;
pub mod models;
mod nearest;
pub mod objective;
pub mod observer;
pub mod optimizers;
mod output_file;
pub mod panics;
mod predict;
pub mod registry;
pub mod tensor_file;
pub mod train;
mod trainer;
pub mod usage;
mod weights;

// What a program with data, models, optimizers and hooks of its own needs.
pub use app::App;
pub use config::Config;
pub use config::issue::{ConfigIssue, require};
pub use config::key::Key;
pub use config::kinds::KindOptions;
pub use data::{
    Array, Batch, DataSpec, Dataset, InMemory, Inputs, LoadContext, SampleKey, Samples, Scale,
};
pub use lookahead_core::tch;
pub use lookahead_run::event::{self, Task};
pub use models::{Model, Network};
pub use objective::{Loss, Metric, Objective, ObjectiveContext};
pub use optimizers::OptimizerContext;
pub use registry::Registry;
pub use train::hook::{Hook, HookContext, InnerStep};
pub use trainer::{Report, Trainer};
pub use usage::UsageError;
