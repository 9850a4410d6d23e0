//! Reading an event log that grows, from outside the process that writes it.
//!
//! [`log::read`](crate::log::read) reads a log that is there; a [`LogTail`] continues whenever it is
//! asked.
//!
//! | what it finds | what it makes of it |
//! |---|---|
//! | no file | nothing new: the run is just beginning, or the file comes back |
//! | another file of that name, a shorter one, or one with another beginning, as when a run is resumed from an earlier step | [`LogItem::Restarted`], and then all of it |
//! | a `resumed` event that abandons earlier ones, in a log of an earlier version | [`LogItem::Restarted`], and then all of it without those |
//! | a last line without its line feed | nothing yet: it is read once it is whole |
//! | a whole line that is not an event, or that has more than [`LARGEST_LINE`](crate::log::LARGEST_LINE) bytes | [`LogItem::Damaged`], and then the rest |
//! | a folder or a pipe | an error |
//!
//! What is not whole is not kept from one call to the next, but read again: a run that is resumed
//! cuts a torn last line off and writes its own in that place.
//!
//! ```
//! use lookahead_run::event::{Event, Record};
//! use lookahead_run::{EventLog, LogItem, LogTail};
//!
//! # fn main() -> lookahead_run::Result<()> {
//! # let temp = tempfile::tempdir().unwrap();
//! # let path = temp.path().join("events.jsonl");
//! let mut tail = LogTail::new(&path);
//! assert_eq!(tail.read(1000)?, []);
//! EventLog::open(&path)?.append(&Record::now(7, Event::Paused))?;
//! assert!(matches!(&tail.read(1000)?[..], [LogItem::Record(record)] if record.step == 7));
//! # Ok(())
//! # }
//! ```

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::disk::{self, At};
use crate::error::Result;
use crate::event::{Event, Record};
use crate::lines::{BEGINNING, Lines};
use crate::timeline::Rewinds;

/// Most bytes of one line that are skipped in one call, so that a call ends.
const SKIPPED_AT_ONCE: u64 = 64 << 20;

/// Reads an event log as it grows.
#[derive(Debug)]
pub struct LogTail {
    path: PathBuf,
    source: Option<Source>,
}

/// What is found in a log.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are records")]
pub enum LogItem {
    /// One event.
    Record(Record),
    /// What came before is void, and the log is read from its beginning: it is another one, or a part of
    /// it has been abandoned.
    Restarted,
    /// A whole line that is not an event; it was skipped.
    Damaged {
        /// Number of the line, from 1.
        line: u64,
        /// Why it is not one, as a clause.
        cause: String,
    },
}

/// The file that was open at the last call, which keeps its inode from being given to another one.
#[derive(Debug)]
struct Source {
    lines: Lines,
    device: u64,
    inode: u64,
    /// Length in bytes and time of the last change when it was last looked at; of a file that has
    /// the same ones what is buffered is still right.
    seen: (u64, i64, i64),
    /// The first bytes of what was handed out, at most [`BEGINNING`]. A log begins with the time of its
    /// first event.
    beginning: Vec<u8>,
    rewinds: Rewinds,
    /// The greatest step of an event that was handed out.
    greatest: u64,
}

impl LogTail {
    /// Of the log at `path`, from its first line on. The file need not exist yet.
    pub fn new(path: &Path) -> LogTail {
        LogTail { path: path.to_owned(), source: None }
    }

    /// What has been appended since the last call, at most `limit` items; empty if there is nothing new.
    /// Fewer than `limit` are all there is for now, but for one case: of a line with far more than
    /// [`LARGEST_LINE`](crate::log::LARGEST_LINE) bytes a call skips 64 MiB, and
    /// [`progress`](Self::progress) tells that there is more.
    ///
    /// [`LogItem::Restarted`] comes only if something was handed out before. After an error it can be
    /// asked again, and nothing is left out or handed out twice.
    ///
    /// # Errors
    /// If the system does not let the file be read, or it is not a plain file. A missing file is not an
    /// error.
    pub fn read(&mut self, limit: usize) -> Result<Vec<LogItem>> {
        let mut items = Vec::new();
        if limit == 0 {
            return Ok(items);
        }
        if self.look()? {
            items.push(LogItem::Restarted);
        }
        let Some(source) = &mut self.source else { return Ok(items) };
        while items.len() < limit {
            match source.next() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                // What was read before is not lost, and the error comes again.
                Err(_) if !items.is_empty() => break,
                Err(cause) => return Err(cause).at("read", &self.path),
            }
        }
        Ok(items)
    }

    /// Bytes read and bytes there are, as of the last call, for a progress display.
    pub fn progress(&self) -> (u64, u64) {
        let Some(source) = &self.source else { return (0, 0) };
        let read = source.lines.position();
        // It can have grown while it was read.
        (read, source.seen.0.max(read))
    }

    /// Closes the file until there is something new in it, if all that it has now was read: for whoever
    /// follows more logs than a process may have files open.
    pub fn rest(&mut self) {
        if let Some(source) = &mut self.source {
            source.lines.close();
        }
    }

    /// Finds out which file is there and what holds of what is known of it. Whether something that
    /// was handed out is void.
    fn look(&mut self) -> Result<bool> {
        let found = match fs::metadata(&self.path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
            result => result.at("look at", &self.path)?,
        };
        if let Some(source) = &mut self.source
            && (source.device, source.inode) == (found.dev(), found.ino())
            && source.continues(&found, &self.path).at("read", &self.path)?
        {
            return Ok(false);
        }
        let file = match disk::open_plain(&self.path) {
            // It went meanwhile.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
            result => result.at("read", &self.path)?,
        };
        let found = file.metadata().at("look at", &self.path)?;
        let before = self.source.replace(Source::new(file, &found));
        Ok(before.is_some_and(|source| source.lines.start() > 0))
    }
}

impl Source {
    fn new(file: File, found: &Metadata) -> Source {
        Source {
            lines: Lines::new(file),
            device: found.dev(),
            inode: found.ino(),
            seen: seen(found),
            beginning: Vec::new(),
            rewinds: Rewinds::default(),
            greatest: 0,
        }
    }

    /// Whether what was handed out of the file is still in it. Drops what is buffered if it may have
    /// changed.
    fn continues(&mut self, found: &Metadata, path: &Path) -> io::Result<bool> {
        if self.seen == seen(found) {
            return Ok(true);
        }
        if self.lines.is_closed() {
            let file = match disk::open_plain(path) {
                // The next look reports it.
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(true),
                result => result?,
            };
            let opened = file.metadata()?;
            if (opened.dev(), opened.ino()) != (self.device, self.inode) {
                return Ok(false);
            }
            self.lines.reopen(file);
        }
        // A file that was cut and has grown again may be longer than it was.
        if found.len() < self.lines.start() || !self.lines.has(0, &self.beginning)? {
            return Ok(false);
        }
        self.lines.read_again(found.len())?;
        self.seen = seen(found);
        Ok(true)
    }

    fn next(&mut self) -> io::Result<Option<LogItem>> {
        loop {
            let Some(line) = self.lines.next(SKIPPED_AT_ONCE)? else { return Ok(None) };
            if self.beginning.len() < BEGINNING {
                // Without a gap: of each line there is as much as has room here.
                let room = BEGINNING - self.beginning.len();
                self.beginning.extend_from_slice(&line.bytes[..line.bytes.len().min(room)]);
            }
            let (at, end) = (line.at, line.end);
            let record = match line.parse() {
                Ok(record) => record,
                Err(cause) => return Ok(Some(LogItem::Damaged { line: line.number, cause })),
            };
            if self.rewinds.abandon(at, record.step) {
                continue;
            }
            if matches!(record.event, Event::Resumed(_)) && record.step < self.greatest {
                return self.rewind(end).map(Some);
            }
            self.greatest = self.greatest.max(record.step);
            return Ok(Some(LogItem::Record(record)));
        }
    }

    /// Starts again, without what the events up to the byte `end` abandon.
    fn rewind(&mut self, end: u64) -> io::Result<LogItem> {
        let closed = || io::Error::other("it is closed");
        let file = self.lines.file()?.ok_or_else(closed)?;
        self.rewinds = Rewinds::find(file.try_clone()?, self.seen.0.max(end))?;
        self.lines = Lines::new(file);
        self.beginning.clear();
        self.greatest = 0;
        Ok(LogItem::Restarted)
    }
}

fn seen(found: &Metadata) -> (u64, i64, i64) {
    (found.len(), found.mtime(), found.mtime_nsec())
}

#[cfg(test)]
mod tests;
