//! A training run on disk: its folder, event log, checkpoints and control socket.
//!
//! **To record a training loop of your own**, use [`Recorder`]: its example is complete.
//!
//! | module | what is in it |
//! |---|---|
//! | [`recorder`] | any training loop as a run that others watch and control |
//! | [`event`] | the events of a run, one JSON object a line of `events.jsonl` |
//! | [`log`] | the event log: appended, and read as one timeline |
//! | [`tail`] | following the event log as another process writes it |
//! | [`summary`] | the state of a run by its event log |
//! | [`folder`] | the folder of a run: made once, written by one process at a time |
//! | [`checkpoint`] | a checkpoint on disk, verified |
//! | [`manifest`] | the state of the run and the files of a checkpoint |
//! | [`checkpoint_writer`] | a checkpoint that is being written |
//! | [`store`] | the checkpoints of a run: published, listed, found |
//! | [`retention`] | which checkpoints are kept |
//! | [`control`] | the socket: commands in, status out |
//! | [`command`], [`status`] | the commands, and the status |
//! | [`tensorboard`] | the event files that TensorBoard reads, made from the event log |
//! | [`number`], [`text`] | NaN and infinity in JSON, and text files from other programs |
//! | [`error`] | what can go wrong, in full sentences |
//! | [`faults`] | for tests: a hook after each call that changes a disk |
//!
//! This crate knows nothing of tensors or models: a checkpoint is a folder of files that the caller wrote,
//! with a manifest by which they are verified.
//!
//! ```
//! use std::io::Write;
//!
//! use lookahead_run::event::{Event, Record};
//! use lookahead_run::{RunFolder, TrainingMetadata, log};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let out = tempfile::tempdir()?;
//! # let out = out.path();
//! let run = RunFolder::create(out, "mnist")?;
//! run.write_config("[optimizer]\nlr = 0.1\n")?;
//! let lock = run.lock()?;
//! let run = lock.folder();
//!
//! let metadata = TrainingMetadata {
//!     step: 1500,
//!     epoch: 1,
//!     cursor: 562,
//!     numbers: [("lr".to_owned(), 0.1)].into(),
//!     ..TrainingMetadata::default()
//! };
//! run.checkpoints().publish(metadata, |writer| {
//!     let mut file = writer.create_file("model")?;
//!     file.write_all("φ".as_bytes())?;
//!     Ok(file.finish()?)
//! })?;
//!
//! let newest = run.checkpoints().newest_valid()?;
//! assert_eq!(newest.checkpoint.name(), "step-00001500");
//! assert_eq!(newest.manifest.metadata.numbers["lr"], 0.1);
//!
//! run.open_log()?.append(&Record::now(1500, Event::Paused))?;
//! assert_eq!(log::read(&run.events_path())?[0].event, Event::Paused);
//! # Ok(())
//! # }
//! ```
//!
//! # The folder of a run
//!
//! ```text
//! config.toml            the resolved configuration, every default written out
//! events.jsonl           the event log
//! control.sock           while the run is running: commands in, its status out
//! id                     identifies the run, and copies of its folder
//! lock                   held by the process that writes the run; remains when that ends, with the
//!                        boot id of its machine and the inode of the folder
//! step-00001500/         a checkpoint: the trainer's files, and manifest.json
//! events.out.tfevents.*  the log for TensorBoard, if the run writes it
//! abandoned/             checkpoints and events of an abandoned timeline, and damaged checkpoints
//! .step-00001500.tmp     a checkpoint that is being written
//! .step-00001500.removed a checkpoint that is being removed
//! .config.toml.tmp       a configuration that is being written
//! .tensorboard.tmp       an event file for TensorBoard that is being written
//! .events.jsonl.tmp      an event log that is being rewound, here and in abandoned/
//! ```
//!
//! # What a crash can leave behind
//!
//! **A crash of the process**, at any instant, leaves every checkpoint under a real name as whole as it
//! was, the configuration old or new, and every event that was written, but not the buffered ones. It can
//! leave the hidden names above: the next write of the same thing removes them or finishes what was
//! started, and [`CheckpointStore::clear_leftovers`] removes those of checkpoints. The lock is released at
//! once. A damaged checkpoint may have moved to `abandoned/` before its replacement was in its place.
//!
//! **A power cut** can also take the events since the last [`EventLog::sync`], and tear the last one. A
//! checkpoint survives it whole once [`CheckpointStore::publish`] has returned, and before that whole or
//! not at all, because its files are on the disk before its name is. Damage by the disk itself is found by
//! [`checkpoint::verify`].
//!
//! # The event log
//!
//! - A line is one JSON object and a newline, appended in one write, alone or with others. It has at most
//!   [`log::LARGEST_LINE`] bytes.
//! - A last line without a newline, or that is not JSON, is torn: the end of the log for a reader,
//!   cut off by the next writer. Anywhere else such a line is an error.
//! - A run that is resumed from step S first moves the events of later steps to a file in
//!   `abandoned/`. Earlier versions left them in the log: a reader ignores events of a later step that
//!   come before a `resumed` event.
//! - Unknown events and fields are ignored, so both may be added.
//! - Finite numbers come back to the bit; the others are `"NaN"`, `"Infinity"`, `"-Infinity"`.

pub mod best;
pub mod checkpoint;
mod checkpoint_name;
pub mod checkpoint_writer;
pub mod command;
pub mod control;
mod disk;
pub mod error;
pub mod event;
pub mod faults;
pub mod folder;
pub mod format;
pub mod glance;
mod hash;
mod identity;
mod lines;
mod locked_folder;
pub mod log;
pub mod manifest;
pub mod number;
mod program;
pub mod recorder;
pub mod retention;
mod rewind;
pub mod settings;
mod socket;
pub mod status;
pub mod store;
pub mod summary;
pub mod tail;
pub mod tensorboard;
#[cfg(test)]
mod testing;
pub mod text;
mod timeline;
pub mod toml_fault;
pub mod words;

pub use best::{Best, BestReader};
pub use checkpoint::Checkpoint;
pub use checkpoint_writer::CheckpointWriter;
pub use control::ControlServer;
pub use disk::{is_unsupported, open_plain, shown};
pub use error::{Error, Result};
pub use folder::{RunFolder, RunLock, Writer};
pub use glance::Glance;
pub use log::EventLog;
pub use manifest::{FileEntry, Git, MachineInfo, Manifest, TrainingMetadata};
pub use program::{program_name, set_program_name};
pub use recorder::{Recorder, RecorderOptions, Request};
pub use retention::Retention;
pub use store::{CheckpointStore, Newest, Published};
pub use summary::RunSummary;
pub use tail::{LogItem, LogTail};
