//! A training run on disk, and the words in which a run speaks.
//!
//! | module | what is in it |
//! |---|---|
//! | [`event`] | what happens in a run, one JSON object a line of `events.jsonl` |
//! | [`command`] | what can be asked of a run while it lives |
//! | [`control`] | the socket through which another process asks |
//! | [`status`] | how a run that lives is just now |
//! | [`folder`] | the folder of a run: made once, written by one process at a time |
//! | [`log`] | the event log: appended, and read as one timeline |
//! | [`tail`] | the event log read as it grows, from another process too |
//! | [`summary`] | what a run is, by its event log |
//! | [`checkpoint`] | one checkpoint: its name, and whether it is whole |
//! | [`manifest`] | what a checkpoint says of itself and of its files |
//! | [`checkpoint_writer`] | a checkpoint that is being written |
//! | [`store`] | the checkpoints of a run: published, listed, found again |
//! | [`retention`] | how checkpoints go: put aside, removed, cleared away |
//! | [`number`] | numbers in JSON, the non-finite ones too |
//! | [`error`] | what can go wrong, in full sentences |
//! | [`faults`] | for tests: a hook after each call that changes a disk |
//!
//! Nothing here knows of tensors or models: a checkpoint is a folder of files that somebody else
//! wrote, with a manifest that tells whether they are whole.
//!
//! ```
//! use std::io::Write;
//!
//! use lookahead_run::event::{Event, Record};
//! use lookahead_run::{TrainingMetadata, RunFolder, log};
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
//!     phase: 0,
//!     epoch: 1,
//!     cursor: 562,
//!     seed: 1,
//!     integers: [("syncs".to_owned(), 300)].into(),
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
//! control.sock           while the run lives: commands in, its status out
//! id                     tells the run, and copies of its folder, from every other
//! lock                   held by the process that writes the run; stays when that ends, with the
//!                        boot id of its machine and the number of the folder there
//! step-00001500/         a checkpoint: files of the trainer's, and manifest.json
//! abandoned/             checkpoints and events of an abandoned timeline, and damaged checkpoints
//! .step-00001500.tmp     a checkpoint that is being written
//! .step-00001500.removed a checkpoint that is being removed
//! .config.toml.tmp       a configuration that is being written
//! .events.jsonl.tmp      an event log that is being rewound, here and in abandoned/
//! ```
//!
//! # What a crash can leave behind
//!
//! **A crash of the process**, at any instant, leaves every checkpoint under a real name as whole
//! as it was, the configuration old or new, and every event that was written; not those that
//! were only buffered. It can leave the hidden names above: the next write of the same thing
//! removes them, or finishes what was begun, and [`CheckpointStore::clear_leftovers`] those of checkpoints. The lock is free at once. A damaged
//! checkpoint can have gone to `abandoned/` before its replacement was in its place.
//!
//! **A power cut** can take the events since the last [`EventLog::sync`] as well, and tear the
//! last one. A checkpoint is there whole once [`CheckpointStore::publish`] has returned, and
//! before that whole or not at all, because its files are on the disk before its name is. What a
//! disk loses in spite of that is found by [`checkpoint::verify`].
//!
//! # The event log
//!
//! - A line is one JSON object and a newline, appended by one write, or several lines by one.
//!   It has at most [`log::LARGEST_LINE`] bytes.
//! - A last line without a newline, or that is not JSON, is torn: the end of the log for a reader,
//!   cut off by the next writer. Such a line anywhere else is an error.
//! - A run that is resumed from step S first moves the events of later steps to a file in
//!   `abandoned/`, and a new file takes the log's place. Earlier versions left them there: earlier
//!   events of a later step than that of a `resumed` event are no part of the log.
//! - Events and fields that a reader does not know are ignored, so that both may be added.
//! - Finite numbers come back to the bit; the others are `"NaN"`, `"Infinity"`, `"-Infinity"`.

pub mod checkpoint;
pub mod checkpoint_writer;
pub mod command;
pub mod control;
mod disk;
pub mod error;
pub mod event;
pub mod faults;
pub mod folder;
mod hold;
mod identity;
mod lines;
pub mod log;
pub mod manifest;
pub mod number;
pub mod retention;
mod rewind;
mod socket;
pub mod status;
pub mod store;
pub mod summary;
pub mod tail;
#[cfg(test)]
mod testing;
pub mod text;
mod timeline;

pub use checkpoint::Checkpoint;
pub use checkpoint_writer::CheckpointWriter;
pub use control::ControlServer;
pub use disk::{is_unsupported, open_plain, shown};
pub use error::{Error, Result};
pub use folder::{RunFolder, RunLock, Writer};
pub use log::EventLog;
pub use manifest::{FileEntry, Git, MachineInfo, Manifest, TrainingMetadata};
pub use retention::Retention;
pub use store::{CheckpointStore, Newest, Published};
pub use summary::RunSummary;
pub use tail::{LogItem, LogTail};
