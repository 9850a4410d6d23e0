//! The event files that TensorBoard reads, made from the event log of a run.
//!
//! | tag | value |
//! |---|---|
//! | `train/loss` | mean loss of the step's batch at the fast weights |
//! | `train/learning_rate`, `train/epoch`, `train/samples_per_second` | of the step |
//! | `train/gradient_norm` | at a sync, norm of the last step's gradient |
//! | `probe/loss/fast`, `probe/loss/slow` | loss on the probe batch just before and just after a sync |
//! | `validation/NAME/WEIGHTS`, `test/NAME/WEIGHTS` | the loss and each metric of an evaluation: `validation/accuracy/slow` |
//! | `lookahead/alpha`, `lookahead/k`, `lookahead/distance` | α of a sync, the steps of its cycle, and ‖θ − φ‖ before it |
//! | `layers/distance/LAYER`, `layers/gradient_norm/LAYER` | with `probe.layers`: ‖θ − φ‖ and the norm of the gradient of each layer before a sync |
//! | `time/PART` | the share of the time that data, forward_backward, inner_step, … took, 0 to 1 |
//! | `machine/cpu`, `machine/memory` | busy cores, and bytes of the process |
//! | `machine/gpu`, `machine/gpu_memory` | utilization of the GPU, 0 to 1, and its bytes in use |
//! | `ranks/NAME/RANK` | of several processes: loss, step_seconds, wait_seconds, distance |
//! | `run`, `config`, `changes` | texts: what the run is, all keys of its configuration, and keys that were changed |
//!
//! A tag has one value of a step, the last one in the log. Values are rounded to `f32`, as everywhere in TensorBoard.
//!
//! A file is records with protocol buffers in them. The log has everything that is in one, so a file that a crash has
//! cut off is written again from the log, under a newer name, when the run resumes. It begins with a message by which a
//! reader drops what it has read of the run before. The file before it is emptied, not removed: a TensorBoard that has it
//! open would not look for the next one.

mod crc32c;
mod message;
mod points;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use points::Points;

use crate::disk::{self, At};
use crate::error::{Error, Result};
use crate::event::{Record, unix_time};
use crate::folder::RunFolder;
use crate::log;

/// What TensorBoard recognizes in the name of an event file.
const PREFIX: &str = "events.out.tfevents.";
/// What distinguishes the files of this crate from those of other programs.
const SUFFIX: &str = ".lookahead";
/// A file that is being written. TensorBoard would read one whose name has the prefix in it.
const TEMPORARY: &str = ".tensorboard.tmp";
/// Bytes that are written at once.
const CHUNK: usize = 1 << 16;

/// The event file of a run that is being written.
#[derive(Debug)]
pub struct EventFile {
    run: RunFolder,
    file: File,
    path: PathBuf,
    points: Points,
    /// Complete records that are still to be written.
    buffer: Vec<u8>,
    /// Bytes of the file up to the end of the last complete write.
    end: u64,
    /// Whether there may be a part of a write after `end`.
    torn: bool,
}

impl EventFile {
    /// Writes what the run's log has so far to a new event file in the run's folder, in place of earlier ones that this
    /// crate has written there, and stays open for what follows. Only the holder of the run's lock may do that.
    ///
    /// # Errors
    /// If the log can't be read, or the disk refuses.
    pub fn create(run: &RunFolder) -> Result<EventFile> {
        run.check()?;
        let folder = run.base();
        let (file, path, points, end) = write(&run.events_path(), folder, Ending::MayFollow)?;
        let buffer = Vec::new();
        Ok(EventFile { run: run.clone(), file, path, points, buffer, end, torn: false })
    }

    /// Adds an event, which is held in memory until [`write`](Self::write).
    pub fn add(&mut self, record: &Record) {
        self.points.add(record, &mut self.buffer);
    }

    /// Bytes that are held in memory.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Appends the values of all steps but the newest.
    ///
    /// # Errors
    /// If the disk refuses. The next call writes them again: what a full disk took of them is cut off first.
    pub fn write(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if let Err(error @ Error::TakenOver(_)) = self.run.check() {
            return Err(error);
        }
        if self.torn {
            self.file.set_len(self.end).at("cut off the torn last record of", &self.path)?;
        }
        self.torn = true;
        disk::write(&mut self.file, &self.buffer).1.at("append to", &self.path)?;
        self.torn = false;
        self.end += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Appends all values, after the last event.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn finish(&mut self) -> Result<()> {
        self.points.end(&mut self.buffer);
        self.write()
    }
}

/// Writes an event file for a run into `folder`, which is made if it is missing, in place of earlier ones that this
/// crate has written there. Returns its path.
///
/// # Errors
/// If the log can't be read, or the disk refuses.
pub fn export(run: &RunFolder, folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).at("make the folder", folder)?;
    Ok(write(&run.events_path(), folder, Ending::Complete)?.1)
}

/// The event files in a folder that this crate has written: the latest is the last, and those before it are empty, or
/// begin as it does after a crash. A missing folder has none.
///
/// # Errors
/// If the system refuses to list the folder.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.at("list", folder)?,
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.at("list", folder)?;
    paths.retain(|path| seconds_of(path).is_some());
    paths.sort_by_key(|path| seconds_of(path));
    Ok(paths)
}

/// The time in the name of a file that this crate has written.
fn seconds_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
}

/// What becomes of the newest step in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// More of it may follow.
    MayFollow,
    /// Nothing follows.
    Complete,
}

/// Writes a log as an event file, and then gives it its name and empties the one before it. Returns the file, which is
/// open for appending, its path, the points that are not in it, and its length.
fn write(log: &Path, folder: &Path, ending: Ending) -> Result<(File, PathBuf, Points, u64)> {
    let before = files(folder)?;
    // A reader takes files in the order of their names.
    let last = before.last().and_then(|path| seconds_of(path));
    let seconds = (unix_time() as u64).max(last.map_or(0, |last| last + 1));
    let path = folder.join(format!("{PREFIX}{seconds:010}{SUFFIX}"));
    let temporary = folder.join(TEMPORARY);
    disk::remove_folder(&temporary)?;
    let written = (|| {
        let mut file = disk::create_file(&temporary)?;
        let (mut points, mut buffer, mut end) = (Points::default(), Vec::new(), 0);
        for record in log::records(log)? {
            points.add(&record?, &mut buffer);
            if buffer.len() > CHUNK {
                append(&mut file, &mut buffer, &mut end, &path)?;
            }
        }
        if ending == Ending::Complete {
            points.end(&mut buffer);
        }
        append(&mut file, &mut buffer, &mut end, &path)?;
        disk::sync_file(&file, &path)?;
        disk::rename(&temporary, &path, "write", &path)?;
        Ok((file, path.clone(), points, end))
    })();
    let written = written.inspect_err(|_: &Error| drop(disk::remove_folder(&temporary)))?;
    if let Some((last, others)) = before.split_last() {
        disk::empty_file(last)?;
        others.iter().try_for_each(|path| disk::remove_folder(path))?;
    }
    disk::sync_folder(folder)?;
    Ok(written)
}

fn append(file: &mut File, buffer: &mut Vec<u8>, end: &mut u64, path: &Path) -> Result<()> {
    disk::write(file, buffer).1.at("write", path)?;
    *end += buffer.len() as u64;
    buffer.clear();
    Ok(())
}

#[cfg(test)]
mod tests;
