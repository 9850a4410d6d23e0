//! How the events of an abandoned timeline leave the log.
//!
//! The log has two successors: what is kept, and what goes to `abandoned/`. Both are written under
//! hidden names first, and which of the two names are there tells after a crash how far it came:
//!
//! | `.events.jsonl.tmp` in the run | in `abandoned/` | so | and next |
//! |---|---|---|---|
//! | yes | no | what is kept was being written | it is removed |
//! | yes | yes | the log is the old one still | both are removed, that in `abandoned/` first |
//! | no | yes | the log is the new one | that in `abandoned/` gets its name |

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::disk::{self, At};
use crate::error::Result;
use crate::lines::Lines;
use crate::timeline::Rewinds;

const DRAFT: &str = ".events.jsonl.tmp";

/// Replaces the log at `path`, whose whole lines are its first `end` bytes, by one without the lines
/// that are abandoned when the run goes back to `step`. Returns the new log, its length, and the
/// abandoned lines, which still need a name; nothing if no line is abandoned.
pub(crate) fn rewind(
    log: &File,
    path: &Path,
    end: u64,
    step: u64,
) -> Result<Option<(File, u64, Abandoned)>> {
    let folder = disk::folder_of(path);
    let draft = folder.join(DRAFT);
    let abandoned = Abandoned { folder: folder.join(disk::ABANDONED) };
    clean_up(folder, &draft, &abandoned)?;
    let clone = || log.try_clone().at("read", path);
    let ranges = abandoned_ranges(clone()?, clone()?, end, step).at("read", path)?;
    if ranges.is_empty() {
        return Ok(None);
    }
    let written = (|| {
        let (file, length) = write_draft(log, &draft, kept(&ranges, end))?;
        disk::sync_folder(folder)?;
        disk::ensure_folder(&abandoned.folder)?;
        write_draft(log, &abandoned.draft(), ranges)?;
        disk::sync_folder(&abandoned.folder)?;
        disk::rename(&draft, path, "put a new version in place of", path)?;
        Ok((file, length))
    })();
    let (file, length) = written.inspect_err(|_| drop(clean_up(folder, &draft, &abandoned)))?;
    disk::sync_folder(folder)?;
    Ok(Some((file, length, abandoned)))
}

/// Lines that the log has no more.
pub(crate) struct Abandoned {
    folder: PathBuf,
}

impl Abandoned {
    fn draft(&self) -> PathBuf {
        self.folder.join(DRAFT)
    }

    /// Gives them a name that is free.
    pub(crate) fn publish(&self) -> Result<PathBuf> {
        let names = (1u64..).map(|number| self.folder.join(format!("events-{number}.jsonl")));
        let mut free = names.skip_while(|path| disk::is_taken(path));
        let path = free.next().unwrap_or_else(|| self.draft());
        disk::rename(&self.draft(), &path, "move to `abandoned`", &path)?;
        disk::sync_folder(&self.folder)?;
        Ok(path)
    }
}

/// Finishes or undoes what a crash has left half done.
fn clean_up(folder: &Path, draft: &Path, abandoned: &Abandoned) -> Result<()> {
    match (disk::is_taken(draft), disk::is_taken(&abandoned.draft())) {
        (false, false) => Ok(()),
        (false, true) => abandoned.publish().map(drop),
        (true, there) => {
            if there {
                disk::remove_folder(&abandoned.draft())?;
                disk::sync_folder(&abandoned.folder)?;
            }
            disk::remove_folder(draft)?;
            disk::sync_folder(folder)
        }
    }
}

/// The bytes of the lines that are abandoned, in ascending order, neighbours joined.
fn abandoned_ranges(log: File, again: File, end: u64, step: u64) -> io::Result<Vec<Range<u64>>> {
    let mut rewinds = Rewinds::find(log, end)?;
    rewinds.push(end, step);
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut is_abandoned = false;
    let mut lines = Lines::up_to(again, end);
    while let Some(line) = lines.next(u64::MAX)? {
        // A damaged line goes where the one before it goes.
        if let Some(head) = line.head() {
            is_abandoned = rewinds.abandon(line.at, head.step);
        }
        match ranges.last_mut() {
            Some(last) if is_abandoned && last.end == line.at => last.end = line.end,
            _ if is_abandoned => ranges.push(line.at..line.end),
            _ => {}
        }
    }
    Ok(ranges)
}

/// What is between the ranges, and before and after them, up to `end`.
fn kept(ranges: &[Range<u64>], end: u64) -> Vec<Range<u64>> {
    let starts = std::iter::once(0).chain(ranges.iter().map(|range| range.end));
    let ends = ranges.iter().map(|range| range.start).chain(std::iter::once(end));
    starts.zip(ends).map(|(start, end)| start..end).collect()
}

/// Writes parts of the log into a new file, which is then open for appending, and returns its length.
fn write_draft(log: &File, path: &Path, ranges: Vec<Range<u64>>) -> Result<(File, u64)> {
    let mut draft = disk::create_log(path)?;
    let mut length = 0;
    for Range { start, end } in ranges {
        let mut part = log;
        part.seek(SeekFrom::Start(start)).at("read", path)?;
        length += disk::copy(part, end - start, &mut draft).at("write", path)?;
    }
    disk::sync_file(&draft, path)?;
    Ok((draft, length))
}

#[cfg(test)]
mod tests;
