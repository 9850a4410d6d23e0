//! The event log of a run, `events.jsonl`: one event a line, appended.
//!
//! A line has at most [`LARGEST_LINE`] bytes, for the writer and for readers, so a longer log takes neither
//! of them more memory: [`records`] holds at most two lines, and [`EventLog::open`] reads backwards as far
//! as the last line but one. [`read`] holds all events that it returns, and [`EventLog::buffer`] those that
//! are not written yet.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::IgnoredAny;

use crate::disk::{self, At, shown};
use crate::error::{Error, Result};
use crate::event::Record;
use crate::locked_folder::LockedFolder;
use crate::rewind;

pub use crate::lines::LARGEST_LINE;
pub use crate::timeline::{Records, first, last, read, records};

const CUT_OFF: &str = "cut off the torn last line of";

/// The event log, opened for appending. Only the holder of the run's lock may do that.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    path: PathBuf,
    /// Bytes of the file up to the end of the last whole line.
    end: u64,
    /// Whether there may be a part of a line after `end`.
    torn: bool,
    /// Whole lines that are still to be written after `end`.
    buffer: Vec<u8>,
    /// How many they are.
    lines: usize,
    /// The run's folder.
    run: Option<Arc<LockedFolder>>,
    syncer: LogSyncer,
}

impl EventLog {
    /// Opens the log at `path` for appending, and creates it if there is none. A torn last line is cut
    /// off, or it would swallow the next one.
    ///
    /// However long the log is, only its last whole line and the torn rest are read, and at most one line
    /// is held in memory: what a power cut leaves may be longer than a line.
    pub fn open(path: &Path) -> Result<EventLog> {
        EventLog::open_locked(path, None)
    }

    /// As [`open`](Self::open), in a folder that may be locked.
    pub(crate) fn open_locked(path: &Path, run: Option<Arc<LockedFolder>>) -> Result<EventLog> {
        break_links(path)?;
        let file = disk::open_own(path, File::options().read(true).append(true));
        let mut file = file.at("open", path)?;
        let length = file.metadata().at("look at", path)?.len();
        let end = end_of_whole_lines(&mut file, length).at("read", path)?;
        if end < length {
            file.set_len(end).at(CUT_OFF, path)?;
        }
        disk::sync_folder(disk::folder_of(path))?;
        let syncer = LogSyncer::new(&file, path)?;
        let (path, buffer) = (path.to_owned(), Vec::new());
        Ok(EventLog { file, path, end, torn: false, buffer, lines: 0, run, syncer })
    }

    /// A log on an open file of any kind.
    #[cfg(test)]
    pub(crate) fn on(file: File, path: &Path) -> EventLog {
        let syncer = LogSyncer::new(&file, path).unwrap();
        let (path, buffer) = (path.to_owned(), Vec::new());
        EventLog { file, path, end: 0, torn: false, buffer, lines: 0, run: None, syncer }
    }

    /// Moves the events of steps after `step` to a file in `abandoned/`, whose path is returned, before
    /// a run continues from the checkpoint of that step, so that the log holds one timeline. Events that
    /// earlier versions left in the log when they went back are moved too. Buffered events are written
    /// first.
    ///
    /// The log is replaced by one rename. At every moment each line is in the log or in `abandoned/`;
    /// what a crash left half done is finished or undone by the next call.
    ///
    /// # Errors
    /// If the disk refuses, with the log unchanged; [`Error::InTheWay`] if `abandoned` is not a folder.
    pub fn rewind_to(&mut self, step: u64) -> Result<Option<PathBuf>> {
        self.write()?;
        self.run.as_ref().map_or(Ok(()), |run| run.check())?;
        let Some((file, end, abandoned)) = rewind::rewind(&self.file, &self.path, self.end, step)?
        else {
            return Ok(None);
        };
        (self.file, self.end, self.torn) = (file, end, false);
        self.syncer.replace(&self.file)?;
        abandoned.publish().map(Some)
    }

    /// Appends one event after the buffered ones: a JSON object and a newline, in one write, so that a
    /// reader of the growing file finds whole lines.
    ///
    /// After an error the log can be used again, and the event is not in it: what a full disk took of
    /// a line is cut off before the next one.
    ///
    /// # Errors
    /// [`Error::EventTooLarge`] for one of more than [`LARGEST_LINE`] bytes, of which nothing is
    /// written; if the disk refuses.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        let before = self.buffer.len();
        self.buffer(record)?;
        let line = self.buffer.len() - before;
        self.write().inspect_err(|_| {
            // It is the last in the buffer.
            self.buffer.truncate(self.buffer.len() - line);
            self.lines -= 1;
        })
    }

    /// Holds one event in memory until [`write`](Self::write) or [`append`](Self::append), which
    /// write all buffered events at once: for thousands of events a second, for which single writes would
    /// cost more than everything else. A crash of the process loses buffered events.
    ///
    /// # Errors
    /// [`Error::EventTooLarge`] for one of more than [`LARGEST_LINE`] bytes, which is not buffered.
    pub fn buffer(&mut self, record: &Record) -> Result<()> {
        let before = self.buffer.len();
        let encoded = serde_json::to_writer(&mut self.buffer, record).map_err(io::Error::from);
        self.buffer.push(b'\n');
        let found = self.buffer.len() - before;
        if encoded.is_err() || found > LARGEST_LINE {
            self.buffer.truncate(before);
        }
        encoded.at("encode an event for", &self.path)?;
        if found > LARGEST_LINE {
            let path = shown(&self.path);
            return Err(Error::EventTooLarge { path, found, largest: LARGEST_LINE });
        }
        self.lines += 1;
        Ok(())
    }

    /// Holds whole lines in memory, as [`buffer`](Self::buffer) holds an event.
    pub(crate) fn buffer_lines(&mut self, lines: &[u8], count: usize) {
        self.buffer.extend_from_slice(lines);
        self.lines += count;
    }

    /// Bytes of the buffered events.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The number of buffered events.
    pub fn buffered(&self) -> usize {
        self.lines
    }

    /// Writes all buffered events, in one write.
    ///
    /// # Errors
    /// If the disk refuses. Events whose whole line was written are then in the log, and the others stay
    /// buffered.
    pub fn write(&mut self) -> Result<()> {
        if self.lines == 0 {
            return Ok(());
        }
        if let Some(run) = self.run.as_ref().filter(|run| run.is_taken_over()) {
            return Err(Error::TakenOver(shown(run.base())));
        }
        if self.torn {
            self.file.set_len(self.end).at(CUT_OFF, &self.path)?;
        }
        self.torn = true;
        let (taken, written) = disk::write(&mut self.file, &self.buffer);
        // A reader of the growing file may have read whole lines already: they stay.
        let whole = self.buffer[..taken].iter().rposition(|&byte| byte == b'\n');
        let whole = whole.map_or(0, |at| at + 1);
        self.torn = written.is_err();
        self.end += whole as u64;
        self.lines -= self.buffer[..whole].iter().filter(|&&byte| byte == b'\n').count();
        self.buffer.drain(..whole);
        written.at("append to", &self.path)
    }

    /// A handle with which another thread can [`sync`](LogSyncer::sync) the log.
    pub fn syncer(&self) -> LogSyncer {
        self.syncer.clone()
    }

    /// Waits until all written events would survive a power cut. A crash of the process alone loses none
    /// of them, with or without this.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().at("sync", &self.path)
    }
}

/// A handle with which another thread makes sure that written events survive a power cut.
#[derive(Debug, Clone)]
pub struct LogSyncer {
    /// Replaced by [`EventLog::rewind_to`].
    file: Arc<Mutex<Arc<File>>>,
    path: PathBuf,
}

impl LogSyncer {
    fn new(file: &File, path: &Path) -> Result<LogSyncer> {
        let file = file.try_clone().at("share", path)?;
        Ok(LogSyncer { file: Arc::new(Mutex::new(Arc::new(file))), path: path.to_owned() })
    }

    fn replace(&self, file: &File) -> Result<()> {
        let file = file.try_clone().at("share", &self.path)?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(file);
        Ok(())
    }

    /// Waits until all events written before would survive a power cut.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn sync(&self) -> Result<()> {
        // The lock is released meanwhile.
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner).clone();
        file.sync_data().at("sync", &self.path)
    }
}

/// Gives a log with several names its own copy under this one: in a folder that was copied with hard
/// links the original's log is the same file, and must not get what is appended here.
fn break_links(path: &Path) -> Result<()> {
    let found = path.symlink_metadata();
    if !found.is_ok_and(|found| found.is_file() && found.nlink() > 1) {
        return Ok(());
    }
    let copy = path.with_extension("jsonl.tmp");
    disk::remove_folder(&copy)?;
    fs::copy(path, &copy).and_then(|_| File::open(&copy)?.sync_all()).at("copy", path)?;
    disk::rename(&copy, path, disk::REPLACE, path)
}

/// Bytes of a log without a torn last line: one without a newline or, since a power cut can leave blocks
/// of zeros or of other files, one that is not JSON. Reads backwards from the end, and no more than needed.
fn end_of_whole_lines(file: &mut File, length: u64) -> io::Result<u64> {
    let end = after_last_newline(file, length)?;
    if end == 0 {
        return Ok(0);
    }
    let start = after_last_newline(file, end - 1)?;
    if end - start > LARGEST_LINE as u64 {
        return Ok(start);
    }
    let mut line = vec![0; (end - start) as usize];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut line)?;
    Ok(if serde_json::from_slice::<IgnoredAny>(&line).is_ok() { end } else { start })
}

/// The byte after the last newline among the bytes before `end`; 0 if they have none.
fn after_last_newline(file: &mut File, mut end: u64) -> io::Result<u64> {
    let mut buffer = [0; 1 << 16];
    while end > 0 {
        let start = end.saturating_sub(buffer.len() as u64);
        let block = &mut buffer[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
