//! A log as one timeline.
//!
//! A `resumed` event of step S abandons the earlier events of later steps. [`EventLog::rewind_to`]
//! moves them out of the log before it is written; only earlier versions left them there. This module
//! decides which lines are abandoned, for that move and for all readers.
//!
//! [`EventLog::rewind_to`]: crate::EventLog::rewind_to

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use crate::disk::{self, At, shown};
use crate::error::{Error, Result};
use crate::event::Record;
use crate::lines::Lines;

/// The kind of a `resumed` event in JSON.
const RESUMED: &[u8] = b"\"resumed\"";

/// The places in a log at which its run went back.
#[derive(Debug, Default)]
pub(crate) struct Rewinds(Vec<Rewind>);

#[derive(Debug)]
struct Rewind {
    /// The byte at which the line of the `resumed` event begins.
    at: u64,
    /// The earliest step that it or a later one goes back to.
    step: u64,
}

impl Rewinds {
    /// Those in the first `length` bytes of a log.
    pub(crate) fn find(file: File, length: u64) -> io::Result<Rewinds> {
        Rewinds::of(Lines::up_to(file, length))
    }

    /// Those in some lines of a log.
    fn of(mut lines: Lines) -> io::Result<Rewinds> {
        let mut rewinds = Rewinds::default();
        while let Some(line) = lines.next(u64::MAX)? {
            // Cheaper than parsing each line twice.
            let may_resume = line.bytes.windows(RESUMED.len()).any(|bytes| bytes == RESUMED);
            if let (true, Some(head)) = (may_resume, line.head())
                && head.event == "resumed"
            {
                rewinds.push(line.at, head.step);
            }
        }
        Ok(rewinds)
    }

    /// Adds one at the end.
    pub(crate) fn push(&mut self, at: u64, step: u64) {
        for earlier in self.0.iter_mut().rev().take_while(|earlier| earlier.step > step) {
            earlier.step = step;
        }
        self.0.push(Rewind { at, step });
    }

    /// Whether an event of that step is abandoned whose line begins at the byte `at`.
    pub(crate) fn abandon(&self, at: u64, step: u64) -> bool {
        let later = self.0.partition_point(|rewind| rewind.at <= at);
        self.0.get(later).is_some_and(|rewind| step > rewind.step)
    }
}

/// The events of a log in order, all in memory, which takes several times the size of the log; [`records`]
/// reads them one by one.
///
/// # Errors
/// As [`records`].
pub fn read(path: &Path) -> Result<Vec<Record>> {
    records(path)?.collect()
}

/// The first event of a log, without reading the rest; none in an empty log.
///
/// # Errors
/// As [`records`].
pub fn first(path: &Path) -> Result<Option<Record>> {
    let whole = |file, length| Ok((Lines::up_to(file, length), Rewinds::default()));
    Records::new(path, whole)?.next().transpose()
}

/// As [`records`], only those in the last `most` bytes of the log, in a time that does not depend on its length. A
/// damaged line's number counts from the first that is read.
///
/// # Errors
/// As [`records`].
pub fn last(path: &Path, most: u64) -> Result<Records> {
    Records::new(path, |file, length| {
        let rewinds = Rewinds::of(Lines::last(file.try_clone()?, length, most)?)?;
        Ok((Lines::last(file, length, most)?, rewinds))
    })
}

/// The events of a log in order, read one by one: at most two lines, each of at most
/// [`LARGEST_LINE`](crate::log::LARGEST_LINE) bytes, are in memory, and a few bytes for each `resumed`
/// event.
///
/// Events that a later `resumed` event abandons are left out. A torn last line is the end of the log.
/// Unknown events and fields are not errors: see [`Event::Unknown`](crate::event::Event::Unknown). What is
/// appended meanwhile is not read.
///
/// # Errors
/// [`Error::LogMissing`] if there is no such file; in place of a record, and as the last,
/// [`Error::LogLine`] for a line that is not an event and not the torn end.
pub fn records(path: &Path) -> Result<Records> {
    Records::new(path, |file, length| {
        let rewinds = Rewinds::find(file.try_clone()?, length)?;
        Ok((Lines::up_to(file, length), rewinds))
    })
}

/// The iterator of [`records`].
#[derive(Debug)]
pub struct Records {
    lines: Lines,
    rewinds: Rewinds,
    path: PathBuf,
    is_done: bool,
    skips_damaged: bool,
    /// The first line that was skipped.
    damage: Option<Error>,
}

impl Records {
    fn new(
        path: &Path,
        find: impl FnOnce(File, u64) -> io::Result<(Lines, Rewinds)>,
    ) -> Result<Records> {
        let file = match disk::open_plain(path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(Error::LogMissing(shown(path)));
            }
            result => result.at("read", path)?,
        };
        let length = file.metadata().at("look at", path)?.len();
        let (lines, rewinds) = find(file, length).at("read", path)?;
        let path = path.to_owned();
        Ok(Records { lines, rewinds, path, is_done: false, skips_damaged: false, damage: None })
    }

    /// Skips damaged lines, as [`LogTail`](crate::LogTail) does, for those who only show what a run is doing.
    pub(crate) fn skipping_damaged(self) -> Records {
        Records { skips_damaged: true, ..self }
    }

    /// The error about the first line that was skipped.
    pub(crate) fn damage(self) -> Option<Error> {
        self.damage
    }

    /// The next event, abandoned or not, and the byte at which its line begins.
    fn next_line(&mut self) -> Result<Option<(Record, u64)>> {
        let (is_json, error) = loop {
            let Some(line) = self.lines.next(u64::MAX).at("read", &self.path)? else {
                return Ok(None);
            };
            let cause = match line.parse() {
                Ok(record) => return Ok(Some((record, line.at))),
                Err(cause) => cause,
            };
            let (path, number) = (shown(&self.path), line.number as usize);
            if self.skips_damaged {
                self.damage.get_or_insert(Error::LogLine { path, line: number, cause });
                continue;
            }
            let is_json = serde_json::from_slice::<IgnoredAny>(line.bytes).is_ok();
            break (is_json, Error::LogLine { path, line: number, cause });
        };
        // JSON that is not an event was not torn, since no part of an object is JSON. A power cut can leave
        // blocks of zeros or of other files, with line feeds among them, but only at the end.
        if is_json || self.lines.next(u64::MAX).at("read", &self.path)?.is_some() {
            return Err(error);
        }
        Ok(None)
    }
}

impl Iterator for Records {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_done {
            match self.next_line() {
                Ok(Some((record, at))) if self.rewinds.abandon(at, record.step) => {}
                Ok(Some((record, _))) => return Some(Ok(record)),
                Ok(None) => self.is_done = true,
                Err(error) => {
                    self.is_done = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
