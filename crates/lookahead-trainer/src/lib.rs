//! The `lookahead` program: trains real tasks with Lookahead, watched live, stopped and resumed.
//!
//! | module | what is in it |
//! |---|---|
//! | [`cli`], [`commands`] | the command line, and what each command does |
//! | [`usage`], [`failure`], [`panics`] | what the user can mend, exit statuses, panics out of tch |
//! | [`config`] | the TOML file: one file a section, and which keys may change in a run |
//! | `builtin` | the kinds of data and models that are built in |
//! | [`data`], [`models`] | data sets and models, one a file |
//! | [`optimizer`], [`schedule`] | the inner optimizer, Lookahead around it, the learning rate |
//! | [`distributed`] | the same run in several processes |
//! | [`train`] | the loop, from top to bottom as the algorithm goes, and what happens around it |
//! | [`checkpointing`], [`tensor_file`] | the training in files, and back |
//! | [`initial`], [`file_kind`] | weights to begin with, from a file; what it is if it isn't one |
//! | [`git`] | the working tree in which the program runs |
//! | [`observer`], [`say`], [`controls`] | who is told, and who may ask |
//! | [`background_writer`] | text for readers who may stop reading |

pub mod background_writer;
mod builtin;
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
pub mod initial;
pub mod models;
pub mod observer;
pub mod optimizer;
pub mod panics;
pub mod schedule;
pub mod tensor_file;
pub mod train;
pub mod usage;
