//! Reading an event log that grows, from outside the process that writes it.
//!
//! [`log::read`](crate::log::read) reads a log that is there; a [`Follower`] reads on whenever it is
//! asked. It knows nothing of lines of time: a `resumed` record is handed on as any other, and what
//! it voids is for the caller to drop.
//!
//! | what it finds | what it makes of it |
//! |---|---|
//! | no file | nothing new: the run is just beginning, or the file comes back |
//! | another file of that name, a shorter one, or one with another beginning | [`Followed::Restarted`], and then all of it |
//! | a last line without its line feed | nothing yet: it is read once it is whole |
//! | a whole line that is no event, or that has more than [`LARGEST_LINE`] bytes | [`Followed::Damaged`], and then the rest |
//! | a folder or a pipe | an error |
//!
//! What is not whole is not kept from one call to the next, but read again: a run that is resumed
//! cuts a torn last line off and writes its own in that place.
//!
//! ```
//! use lookahead_run::event::{Event, Record};
//! use lookahead_run::follow::{Followed, Follower};
//! use lookahead_run::EventLog;
//!
//! # fn main() -> lookahead_run::Result<()> {
//! # let temp = tempfile::tempdir().unwrap();
//! # let path = temp.path().join("events.jsonl");
//! let mut follower = Follower::new(&path);
//! assert_eq!(follower.read(1000)?, []);
//! EventLog::open(&path)?.append(&Record::now(7, Event::Paused))?;
//! assert!(matches!(&follower.read(1000)?[..], [Followed::Record { record, at: 0 }] if record.step == 7));
//! # Ok(())
//! # }
//! ```

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::disk::{self, At};
use crate::error::Result;
use crate::event::Record;
use crate::log::LARGEST_LINE;

/// Bytes that are asked of the system at once.
const BLOCK: usize = 256 << 10;
/// Bytes of a beginning by which it is known again. A log begins with the time of its first event.
const BEGINNING: usize = 4 << 10;
/// Most bytes of one line that are passed over in one call, so that a call ends.
const PASSED_OVER: u64 = 64 << 20;

/// Reads an event log as it grows.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    source: Option<Source>,
}

/// What is found in a log.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are records")]
pub enum Followed {
    /// One event, and the byte of the log at which its line begins.
    Record {
        /// The event.
        record: Record,
        /// Bytes of the log before its line.
        at: u64,
    },
    /// The log is not the one that was read before, or is shorter: what came before is void, and it
    /// is read from its beginning.
    Restarted,
    /// A whole line that is no event; it was passed over.
    Damaged {
        /// Number of the line, from 1.
        line: u64,
        /// Why it is none, as a clause.
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
    /// the same ones what is buffered holds still.
    seen: (u64, i64, i64),
    /// The first bytes of what was handed on, at most [`BEGINNING`].
    beginning: Vec<u8>,
}

impl Follower {
    /// A follower of the log at `path`, from its first line on. The file need not exist yet.
    pub fn new(path: &Path) -> Follower {
        Follower { path: path.to_owned(), source: None }
    }

    /// What has been appended since the last call, at most `limit` items; empty where there is
    /// nothing new. Fewer than `limit` are all there is for now, but for one case: of a line with
    /// far more than [`LARGEST_LINE`] bytes a call passes over 64 MiB, and [`progress`](Self::progress)
    /// tells that there is more.
    ///
    /// [`Followed::Restarted`] comes only where something was handed on before. After an error the
    /// follower can be asked again, and nothing is left out or handed on twice.
    ///
    /// # Errors
    /// Where the system does not let the file be read, or it is no plain file. That there is no
    /// file is no error.
    pub fn read(&mut self, limit: usize) -> Result<Vec<Followed>> {
        let mut items = Vec::new();
        if limit == 0 {
            return Ok(items);
        }
        if self.look()? {
            items.push(Followed::Restarted);
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
        let read = source.lines.position;
        // It can have grown while it was read.
        (read, source.seen.0.max(read))
    }

    /// Starts over: the next call reads from the first line on, without a
    /// [`Followed::Restarted`].
    pub fn forget(&mut self) {
        self.source = None;
    }

    /// Finds out which file is there and what holds of what is known of it. Whether something that
    /// was handed on is void.
    fn look(&mut self) -> Result<bool> {
        let found = match fs::metadata(&self.path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
            result => result.at("look at", &self.path)?,
        };
        if let Some(source) = &mut self.source
            && (source.device, source.inode) == (found.dev(), found.ino())
            && source.goes_on(&found).at("read", &self.path)?
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
        Ok(before.is_some_and(|source| source.lines.start > 0))
    }
}

impl Source {
    fn new(file: File, found: &Metadata) -> Source {
        Source {
            lines: Lines::new(file, 0),
            device: found.dev(),
            inode: found.ino(),
            seen: seen(found),
            beginning: Vec::new(),
        }
    }

    /// Whether what was handed on of the file is still in it; and what is buffered goes where it may
    /// have changed.
    fn goes_on(&mut self, found: &Metadata) -> io::Result<bool> {
        if self.seen == seen(found) {
            return Ok(true);
        }
        // A file that was cut and has grown again may be longer than it was.
        if found.len() < self.lines.start || !self.lines.has(0, &self.beginning)? {
            return Ok(false);
        }
        self.lines.read_again(found.len())?;
        self.seen = seen(found);
        Ok(true)
    }

    fn next(&mut self) -> io::Result<Option<Followed>> {
        let Some(line) = self.lines.next()? else { return Ok(None) };
        if self.beginning.len() < BEGINNING {
            // Without a gap: of each line there is as much as has room here.
            let room = BEGINNING - self.beginning.len();
            self.beginning.extend_from_slice(&line.bytes[..line.bytes.len().min(room)]);
        }
        let (at, number) = (line.at, line.number);
        Ok(Some(match line.parse() {
            Ok(record) => Followed::Record { record, at },
            Err(cause) => Followed::Damaged { line: number, cause },
        }))
    }
}

fn seen(found: &Metadata) -> (u64, i64, i64) {
    (found.len(), found.mtime(), found.mtime_nsec())
}

/// The whole lines of a file from some byte on, read in blocks. It holds one line of at most
/// [`LARGEST_LINE`] bytes and a block.
#[derive(Debug)]
pub(crate) struct Lines {
    file: File,
    /// The byte at which the line begins that comes next.
    pub(crate) start: u64,
    /// The byte of the file that `buffer[first]` is. It differs from `start` only while a line that
    /// is too long is passed over.
    position: u64,
    /// Lines handed out.
    number: u64,
    buffer: Vec<u8>,
    /// What is read and not handed out lies in the buffer from here
    first: usize,
    /// up to here,
    last: usize,
    /// and begins with so many bytes that hold no line feed.
    searched: usize,
    /// Whether a line that is too long is being passed over,
    passing: bool,
    /// and its first bytes.
    passed: Vec<u8>,
}

/// A line that has an end.
pub(crate) struct Line<'a> {
    /// All of it with its line feed; of one that is too long [`BEGINNING`] at least.
    bytes: &'a [u8],
    is_too_long: bool,
    /// The byte of the file at which it begins.
    pub(crate) at: u64,
    /// Which it is, from 1 where the reading began.
    number: u64,
}

impl Line<'_> {
    /// The event in it, or why there is none, as a clause.
    pub(crate) fn parse(&self) -> std::result::Result<Record, String> {
        if self.is_too_long {
            return Err(format!("it has more than {LARGEST_LINE} bytes"));
        }
        serde_json::from_slice(self.bytes).map_err(|cause| cause.to_string())
    }
}

impl Lines {
    pub(crate) fn new(file: File, at: u64) -> Lines {
        Lines {
            file,
            start: at,
            position: at,
            number: 0,
            buffer: Vec::new(),
            first: 0,
            last: 0,
            searched: 0,
            passing: false,
            passed: Vec::new(),
        }
    }

    /// The next line that has an end; nothing where there is none, or none after [`PASSED_OVER`]
    /// bytes.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut passed_over = 0;
        loop {
            let unread = &self.buffer[self.first..self.last];
            if let Some(end) = unread[self.searched..].iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.hand_out(self.searched + end + 1)));
            }
            self.searched = unread.len();
            if self.passing || unread.len() >= LARGEST_LINE {
                if !self.passing {
                    self.passing = true;
                    self.passed.clear();
                    self.passed.extend_from_slice(&unread[..BEGINNING]);
                }
                passed_over += unread.len() as u64;
                self.position += unread.len() as u64;
                self.empty();
            }
            if passed_over >= PASSED_OVER || !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// The next `length` bytes as a line, or as the end of one that is passed over.
    fn hand_out(&mut self, length: usize) -> Line<'_> {
        let (at, begin) = (self.start, self.first);
        self.number += 1;
        self.first += length;
        self.position += length as u64;
        self.start = self.position;
        self.searched = 0;
        let was_passed = std::mem::take(&mut self.passing);
        let bytes = if was_passed { &self.passed[..] } else { &self.buffer[begin..begin + length] };
        let is_too_long = was_passed || length > LARGEST_LINE;
        Line { bytes, is_too_long, at, number: self.number }
    }

    /// Reads more into the buffer; whether there was more.
    fn fill(&mut self) -> io::Result<bool> {
        if self.first > 0 {
            self.buffer.copy_within(self.first..self.last, 0);
            self.last -= self.first;
            self.first = 0;
        }
        if self.buffer.len() < self.last + BLOCK {
            self.buffer.resize(self.last + BLOCK, 0);
        }
        let next = self.position + self.last as u64;
        loop {
            match self.file.read_at(&mut self.buffer[self.last..], next) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    let count = result?;
                    self.last += count;
                    return Ok(count > 0);
                }
            }
        }
    }

    /// Forgets what is read and not handed out, since the file, which has `length` bytes now, has
    /// changed. What was passed over is not read again as long as the line is the same.
    fn read_again(&mut self, length: u64) -> io::Result<()> {
        self.empty();
        if self.position > length || (self.passing && !self.has(self.start, &self.passed)?) {
            self.passing = false;
        }
        if !self.passing {
            self.position = self.start;
        }
        Ok(())
    }

    fn empty(&mut self) {
        (self.first, self.last, self.searched) = (0, 0, 0);
    }

    /// Whether the file has these bytes there, [`BEGINNING`] at most.
    fn has(&self, at: u64, bytes: &[u8]) -> io::Result<bool> {
        let mut found = [0; BEGINNING];
        let found = &mut found[..bytes.len()];
        match self.file.read_exact_at(found, at) {
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            result => result.map(|()| found == bytes),
        }
    }
}
