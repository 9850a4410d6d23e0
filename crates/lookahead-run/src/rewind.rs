//! Moving the events of an abandoned timeline out of the log.
//!
//! The log is split in two: what is kept, and what goes to `abandoned/`. Both parts are written under
//! hidden names first. After a crash, the names that exist show how far it got:
//!
//! | `.events.jsonl.tmp` in the run | in `abandoned/` | state | recovery |
//! |---|---|---|---|
//! | yes | no | the kept part was being written | remove it |
//! | yes | yes | the log is still the old one | remove both, that in `abandoned/` first |
//! | no | yes | the log is the new one | give that in `abandoned/` its name |

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::disk::{self, At};
use crate::error::Result;
use crate::lines::Lines;
use crate::timeline::Rewinds;

const TEMPORARY: &str = ".events.jsonl.tmp";

/// Replaces the log at `path`, whose whole lines are its first `end` bytes, by one without the lines
/// that are abandoned when the run goes back to `step`. Returns the new log, its length, and the
/// abandoned lines, which still need a name; `None` if no line is abandoned.
pub(crate) fn rewind(
    log: &File,
    path: &Path,
    end: u64,
    step: u64,
) -> Result<Option<(File, u64, Abandoned)>> {
    let folder = disk::folder_of(path);
    let kept = folder.join(TEMPORARY);
    let abandoned = Abandoned { folder: folder.join(disk::ABANDONED) };
    clean_up(folder, &kept, &abandoned)?;
    let clone = || log.try_clone().at("read", path);
    let ranges = abandoned_ranges(clone()?, clone()?, end, step).at("read", path)?;
    if ranges.is_empty() {
        return Ok(None);
    }
    let written = (|| {
        let (file, length) = write_ranges(log, &kept, between(&ranges, end))?;
        disk::sync_folder(folder)?;
        disk::ensure_folder(&abandoned.folder)?;
        write_ranges(log, &abandoned.temporary(), ranges)?;
        disk::sync_folder(&abandoned.folder)?;
        disk::rename(&kept, path, disk::REPLACE, path)?;
        Ok((file, length))
    })();
    let (file, length) = written.inspect_err(|_| drop(clean_up(folder, &kept, &abandoned)))?;
    disk::sync_folder(folder)?;
    Ok(Some((file, length, abandoned)))
}

/// Lines that were moved out of the log.
pub(crate) struct Abandoned {
    folder: PathBuf,
}

impl Abandoned {
    fn temporary(&self) -> PathBuf {
        self.folder.join(TEMPORARY)
    }

    /// Gives them a free name.
    pub(crate) fn publish(&self) -> Result<PathBuf> {
        let names = (1u64..).map(|number| self.folder.join(format!("events-{number}.jsonl")));
        let mut free = names.skip_while(|path| disk::is_taken(path));
        let path = free.next().unwrap_or_else(|| self.temporary());
        disk::rename(&self.temporary(), &path, "move to `abandoned`", &path)?;
        disk::sync_folder(&self.folder)?;
        Ok(path)
    }
}

/// Finishes or undoes what a crash left half done.
fn clean_up(folder: &Path, kept: &Path, abandoned: &Abandoned) -> Result<()> {
    let has_abandoned = disk::is_taken(&abandoned.temporary());
    if !disk::is_taken(kept) {
        return if has_abandoned { abandoned.publish().map(drop) } else { Ok(()) };
    }
    if has_abandoned {
        disk::remove_folder(&abandoned.temporary())?;
        disk::sync_folder(&abandoned.folder)?;
    }
    disk::remove_folder(kept)?;
    disk::sync_folder(folder)
}

/// The bytes of the abandoned lines, in ascending order, neighbors joined.
fn abandoned_ranges(log: File, again: File, end: u64, step: u64) -> io::Result<Vec<Range<u64>>> {
    let mut rewinds = Rewinds::find(log, end)?;
    rewinds.push(end, step);
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut is_abandoned = false;
    let mut lines = Lines::up_to(again, end);
    while let Some(line) = lines.next(u64::MAX)? {
        // A damaged line stays with the one before it.
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

/// What is before, between and after the ranges, up to `end`.
fn between(ranges: &[Range<u64>], end: u64) -> Vec<Range<u64>> {
    let starts = std::iter::once(0).chain(ranges.iter().map(|range| range.end));
    let ends = ranges.iter().map(|range| range.start).chain(std::iter::once(end));
    starts.zip(ends).map(|(start, end)| start..end).collect()
}

/// Writes parts of the log to a new file, which stays open for appending, and returns its length.
fn write_ranges(log: &File, path: &Path, ranges: Vec<Range<u64>>) -> Result<(File, u64)> {
    let mut file = disk::create_file(path)?;
    let mut length = 0;
    for Range { start, end } in ranges {
        let mut part = log;
        part.seek(SeekFrom::Start(start)).at("read", path)?;
        length += disk::copy(part, end - start, &mut file).at("write", path)?;
    }
    disk::sync_file(&file, path)?;
    Ok((file, length))
}

#[cfg(test)]
mod tests;
