//! The lines of an event log, read in blocks: the one reader of them.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::Deserialize;

use crate::event::{self, Record};

/// Most bytes of a line with its line feed; the largest configuration fits several times.
pub const LARGEST_LINE: usize = 4 << 20;
/// Bytes read from the file at once.
pub(crate) const BLOCK: usize = 256 << 10;
/// How many bytes of a line that is too long are kept, to recognize it.
pub(crate) const BEGINNING: usize = 4 << 10;

/// The whole lines of a file. Holds one line of at most [`LARGEST_LINE`] bytes and a block.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// None while it is [closed](Self::close).
    file: Option<File>,
    /// Bytes of the file from here on are not read.
    limit: u64,
    /// The byte at which the next line begins.
    start: u64,
    /// The byte of the file that `buffer[first]` is. It differs from `start` only while a line that is
    /// too long is skipped.
    position: u64,
    /// Lines returned.
    number: u64,
    buffer: Vec<u8>,
    /// What is read and not returned is `buffer[first..last]`.
    first: usize,
    last: usize,
    /// Bytes from `first` on that hold no line feed.
    searched: usize,
    /// Whether a line that is too long is being skipped, and its first bytes.
    is_skipping: bool,
    skipped: Vec<u8>,
    /// Everything in the file was read, and nothing has been appended since as far as is known.
    at_end: bool,
}

/// A line that has an end.
pub(crate) struct LogLine<'a> {
    /// All of it with its line feed; at least [`BEGINNING`] of one that is too long.
    pub(crate) bytes: &'a [u8],
    is_too_long: bool,
    /// The byte of the file at which it begins.
    pub(crate) at: u64,
    /// The byte of the file at which the next line begins.
    pub(crate) end: u64,
    /// Its number, from 1.
    pub(crate) number: u64,
}

/// The fields that decide to which timeline an event belongs.
#[derive(Deserialize)]
pub(crate) struct Head<'a> {
    pub(crate) step: u64,
    #[serde(borrow)]
    pub(crate) event: Cow<'a, str>,
}

impl LogLine<'_> {
    /// The event in it, or why it is not one, as a clause.
    pub(crate) fn parse(&self) -> Result<Record, String> {
        if self.is_too_long {
            return Err(format!("it has more than {LARGEST_LINE} bytes"));
        }
        event::parse(self.bytes).map_err(|cause| cause.to_string())
    }

    /// The step and the kind of the event in it, in less time than [`parse`](Self::parse) takes.
    pub(crate) fn head(&self) -> Option<Head<'_>> {
        // A JSON list would pass for the fields in their order.
        let is_object = !self.is_too_long && self.bytes.starts_with(b"{");
        if is_object { serde_json::from_slice(self.bytes).ok() } else { None }
    }
}

impl Lines {
    pub(crate) fn new(file: File) -> Lines {
        Lines::up_to(file, u64::MAX)
    }

    /// The lines that end within the first `limit` bytes.
    pub(crate) fn up_to(file: File, limit: u64) -> Lines {
        Lines { file: Some(file), limit, ..Lines::default() }
    }

    /// The whole lines in the last `most` of the first `length` bytes; a line of which only the end is there is left
    /// out.
    ///
    /// # Errors
    /// If the system refuses to read.
    pub(crate) fn last(file: File, length: u64, most: u64) -> io::Result<Lines> {
        let start = length.saturating_sub(most);
        let mut lines = Lines { start, position: start, ..Lines::up_to(file, length) };
        if start > 0 {
            lines.next(u64::MAX)?;
        }
        Ok(lines)
    }

    /// The lines from the byte `start` on.
    pub(crate) fn from(file: File, start: u64) -> Lines {
        Lines { start, position: start, ..Lines::new(file) }
    }

    /// The byte at which the next line begins.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// The byte up to which lines were returned or skipped.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next line that has an end; nothing if there is none yet, or after `most` bytes of a line that
    /// is too long.
    pub(crate) fn next(&mut self, most: u64) -> io::Result<Option<LogLine<'_>>> {
        let mut skipped = 0;
        loop {
            let unread = &self.buffer[self.first..self.last];
            if let Some(end) = unread[self.searched..].iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.take(self.searched + end + 1)));
            }
            self.searched = unread.len();
            if self.is_skipping || unread.len() >= LARGEST_LINE {
                if !self.is_skipping {
                    self.is_skipping = true;
                    self.skipped.clear();
                    self.skipped.extend_from_slice(&unread[..BEGINNING]);
                }
                skipped += unread.len() as u64;
                self.position += unread.len() as u64;
                self.empty();
            }
            if skipped >= most || !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// The next `length` bytes as a line, or as the end of one that was skipped.
    fn take(&mut self, length: usize) -> LogLine<'_> {
        let (at, first) = (self.start, self.first);
        self.number += 1;
        self.first += length;
        self.position += length as u64;
        self.start = self.position;
        self.searched = 0;
        let was_skipped = std::mem::take(&mut self.is_skipping);
        let bytes =
            if was_skipped { &self.skipped[..] } else { &self.buffer[first..first + length] };
        let is_too_long = was_skipped || length > LARGEST_LINE;
        LogLine { bytes, is_too_long, at, end: self.position, number: self.number }
    }

    /// Reads more into the buffer; whether there was more.
    fn fill(&mut self) -> io::Result<bool> {
        let (Some(file), false) = (&self.file, self.at_end) else { return Ok(false) };
        if self.first > 0 {
            self.buffer.copy_within(self.first..self.last, 0);
            self.last -= self.first;
            self.first = 0;
        }
        if self.buffer.len() < self.last + BLOCK {
            self.buffer.resize(self.last + BLOCK, 0);
        }
        let next = self.position + self.last as u64;
        let room = self.limit.saturating_sub(next).min((self.buffer.len() - self.last) as u64);
        let room = self.last..self.last + room as usize;
        loop {
            match file.read_at(&mut self.buffer[room.clone()], next) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    let count = result?;
                    self.last += count;
                    self.at_end = count == 0;
                    if self.at_end && self.last == 0 {
                        // Many logs may wait here for their next line.
                        self.buffer = Vec::new();
                    }
                    return Ok(count > 0);
                }
            }
        }
    }

    /// Releases the file and the memory, if everything in the file was read.
    pub(crate) fn close(&mut self) {
        if self.at_end {
            self.file = None;
            self.empty();
            self.buffer = Vec::new();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.file.is_none()
    }

    /// Takes the file again after [`close`](Self::close).
    pub(crate) fn reopen(&mut self, file: File) {
        self.file = Some(file);
    }

    /// Drops what is read and not returned, since the file, which now has `length` bytes, has changed. What
    /// was skipped is not read again if the line is still the same.
    pub(crate) fn read_again(&mut self, length: u64) -> io::Result<()> {
        self.at_end = false;
        self.empty();
        if self.position > length || (self.is_skipping && !self.has(self.start, &self.skipped)?) {
            self.is_skipping = false;
        }
        if !self.is_skipping {
            self.position = self.start;
        }
        Ok(())
    }

    fn empty(&mut self) {
        (self.first, self.last, self.searched) = (0, 0, 0);
    }

    /// Whether the file has these bytes, at most [`BEGINNING`], at that place.
    pub(crate) fn has(&self, at: u64, bytes: &[u8]) -> io::Result<bool> {
        let mut found = [0; BEGINNING];
        let found = &mut found[..bytes.len()];
        let Some(file) = &self.file else { return Ok(false) };
        match file.read_exact_at(found, at) {
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            result => result.map(|()| found == bytes),
        }
    }

    /// Another handle of the file.
    pub(crate) fn file(&self) -> io::Result<Option<File>> {
        self.file.as_ref().map(File::try_clone).transpose()
    }

    /// Bytes of memory that hold what was read.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.buffer.capacity()
    }
}
