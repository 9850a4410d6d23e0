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
use crate::event::{self, Record};
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

    /// Closes the file until there is something new in it, if all that it has now was read: for whoever
    /// follows more logs than a process may have files open.
    pub fn rest(&mut self) {
        if let Some(source) = &mut self.source
            && source.lines.at_end
        {
            source.lines.file = None;
            source.lines.empty();
            source.lines.buffer = Vec::new();
        }
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
            && source.goes_on(&found, &self.path).at("read", &self.path)?
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
    fn goes_on(&mut self, found: &Metadata, path: &Path) -> io::Result<bool> {
        if self.seen == seen(found) {
            return Ok(true);
        }
        if self.lines.file.is_none() {
            let file = match disk::open_plain(path) {
                // The next look reports it.
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(true),
                result => result?,
            };
            let opened = file.metadata()?;
            if (opened.dev(), opened.ino()) != (self.device, self.inode) {
                return Ok(false);
            }
            self.lines.file = Some(file);
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
    /// None while a [`Follower`] rests.
    file: Option<File>,
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
    /// All was read that the file had, and as far as is known nothing has come since.
    at_end: bool,
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
        event::parse(self.bytes).map_err(|cause| cause.to_string())
    }
}

impl Lines {
    pub(crate) fn new(file: File, at: u64) -> Lines {
        Lines {
            file: Some(file),
            start: at,
            position: at,
            number: 0,
            buffer: Vec::new(),
            first: 0,
            last: 0,
            searched: 0,
            passing: false,
            passed: Vec::new(),
            at_end: false,
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
        loop {
            match file.read_at(&mut self.buffer[self.last..], next) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    let count = result?;
                    self.last += count;
                    self.at_end = count == 0;
                    if self.at_end && self.last == 0 {
                        // Many may wait here for a next line.
                        self.buffer = Vec::new();
                    }
                    return Ok(count > 0);
                }
            }
        }
    }

    /// Forgets what is read and not handed out, since the file, which has `length` bytes now, has
    /// changed. What was passed over is not read again as long as the line is the same.
    fn read_again(&mut self, length: u64) -> io::Result<()> {
        self.at_end = false;
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
        let Some(file) = &self.file else { return Ok(false) };
        match file.read_exact_at(found, at) {
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            result => result.map(|()| found == bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    use proptest::prelude::*;
    use tempfile::{TempDir, tempdir};

    use crate::log::{self, EventLog};
    use crate::testing::{append_all, resumed, step};

    fn log_path() -> (TempDir, PathBuf) {
        let temp = tempdir().unwrap();
        let path = temp.path().join("events.jsonl");
        (temp, path)
    }

    fn append_bytes(path: &Path, bytes: &[u8]) {
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        file.write_all(bytes).unwrap();
    }

    fn line(record: &Record) -> Vec<u8> {
        [&serde_json::to_vec(record).unwrap()[..], b"\n"].concat()
    }

    /// All that is new, by calls of `limit` items.
    fn all(follower: &mut Follower, limit: usize) -> Vec<Followed> {
        let calls = std::iter::repeat_with(|| follower.read(limit).unwrap());
        let calls = calls.inspect(|items| assert!(items.len() <= limit));
        calls.take_while(|items| !items.is_empty()).flatten().collect()
    }

    #[test]
    fn one_that_rests_holds_no_file_and_misses_nothing() {
        let (_temp, path) = log_path();
        let mut follower = Follower::new(&path);
        let rest = |follower: &mut Follower| {
            follower.rest();
            let lines = &follower.source.as_ref().unwrap().lines;
            assert!(lines.file.is_none() && lines.buffer.capacity() == 0);
        };
        append_all(&path, &[step(1, 0.5)]);
        assert_eq!(follower.read(1).unwrap().len(), 1);
        follower.rest();
        assert!(follower.source.as_ref().unwrap().lines.file.is_some(), "it has not seen the end");
        assert_eq!(words(&mut follower), "");
        rest(&mut follower);
        assert_eq!(words(&mut follower), "");
        // More, a part of a line, and its rest.
        append_all(&path, &[step(2, 0.5)]);
        assert_eq!(words(&mut follower), "2");
        let whole = line(&step(3, 0.5));
        append_bytes(&path, &whole[..9]);
        assert_eq!(words(&mut follower), "");
        rest(&mut follower);
        append_bytes(&path, &whole[9..]);
        assert_eq!(words(&mut follower), "3");
        rest(&mut follower);
        // Another log, which may have got the inode of the first.
        fs::remove_file(&path).unwrap();
        assert_eq!(words(&mut follower), "");
        append_all(&path, &[step(7, 0.5), step(8, 0.5), step(9, 0.5), step(10, 0.5)]);
        assert_eq!(words(&mut follower), "restarted, 7, 8, 9, 10");
        rest(&mut follower);
        fs::write(&path, "").unwrap();
        assert_eq!(words(&mut follower), "restarted");
    }

    /// What is new, each item as a word: the step of a record, `restarted`, or `damaged` and the
    /// number of the line.
    fn words(follower: &mut Follower) -> String {
        let words = all(follower, 1000).into_iter().map(|item| match item {
            Followed::Record { record, .. } => record.step.to_string(),
            Followed::Restarted => "restarted".to_owned(),
            Followed::Damaged { line, .. } => format!("damaged {line}"),
        });
        words.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_is_appended_comes_once_and_the_byte_of_each_line_is_right() {
        let (_temp, path) = log_path();
        let mut follower = Follower::new(&path);
        assert_eq!(follower.read(1000).unwrap(), [], "a run that is just beginning has no log");
        assert_eq!(follower.progress(), (0, 0));
        let batches =
            [vec![step(1, 0.5), step(2, f64::INFINITY)], vec![resumed(1)], vec![step(2, 0.25)]];
        for batch in &batches {
            append_all(&path, batch);
            let items = all(&mut follower, 1);
            assert_eq!(items.len(), batch.len());
            let bytes = fs::read(&path).unwrap();
            for (item, expected) in items.iter().zip(batch) {
                let Followed::Record { record, at } = item else { panic!("{item:?}") };
                assert_eq!(record, expected);
                let rest = &bytes[*at as usize..];
                let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
                assert_eq!(&serde_json::from_slice::<Record>(&rest[..end]).unwrap(), expected);
            }
            assert_eq!(follower.progress(), (bytes.len() as u64, bytes.len() as u64));
        }
        follower.forget();
        assert_eq!(words(&mut follower), "1, 2, 1, 2");
    }

    #[test]
    fn no_more_comes_at_once_than_is_asked_for() {
        let (_temp, path) = log_path();
        // Several blocks.
        let records: Vec<_> = (1..=5000).map(|i| step(i, 0.5)).collect();
        let bytes = records.iter().flat_map(line).collect::<Vec<_>>();
        assert!(bytes.len() > 2 * BLOCK);
        fs::write(&path, &bytes).unwrap();
        let mut follower = Follower::new(&path);
        assert_eq!(follower.read(0).unwrap(), []);
        let mut found = Vec::new();
        for expected in [1, 7, 1000, 3992, 0] {
            let items = follower.read(expected.max(1)).unwrap();
            assert_eq!(items.len(), expected);
            found.extend(items);
            let (read, there) = follower.progress();
            assert_eq!(there, bytes.len() as u64);
            let handed_out = records[..found.len()].iter().map(|record| line(record).len());
            assert_eq!(read, handed_out.sum::<usize>() as u64);
            // That the log has grown meanwhile costs nothing of what was read already.
            let ending = File::options().append(true).open(&path).unwrap();
            ending.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        }
        let records_of = |items: Vec<Followed>| -> Vec<Record> {
            let record = |item| match item {
                Followed::Record { record, .. } => record,
                other => panic!("{other:?}"),
            };
            items.into_iter().map(record).collect()
        };
        assert_eq!(records_of(found), records);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        /// However a log's bytes come, it is read as if they had all been there.
        #[test]
        fn bytes_in_parts_of_any_size(
            parts in prop::collection::vec(0usize..200, 0..30),
            limit in 1usize..5,
        ) {
            let (_temp, path) = log_path();
            let records =
                [step(1, 0.5), step(2, 5e-324), resumed(1), step(2, 0.25), step(3, f64::INFINITY)];
            let bytes = records.iter().flat_map(line).collect::<Vec<_>>();
            let mut follower = Follower::new(&path);
            let mut found = Vec::new();
            let mut rest = &bytes[..];
            for part in parts {
                let (now, later) = rest.split_at(part.min(rest.len()));
                append_bytes(&path, now);
                rest = later;
                found.extend(all(&mut follower, limit));
            }
            append_bytes(&path, rest);
            found.extend(all(&mut follower, limit));
            let mut at = 0;
            let mut expected = Vec::new();
            for record in log::records(&path).unwrap() {
                let record = record.unwrap();
                let length = line(&record).len() as u64;
                expected.push(Followed::Record { record, at });
                at += length;
            }
            prop_assert_eq!(expected.len(), records.len());
            prop_assert_eq!(found, expected);
        }

        /// Bytes of any kind give as many items as there are line feeds.
        #[test]
        fn a_log_of_any_bytes(
            lines in prop::collection::vec(
                prop::collection::vec(prop_oneof![Just(b'{'), Just(b'}'), any::<u8>()], 0..20),
                0..20,
            ),
        ) {
            let (_temp, path) = log_path();
            let bytes = lines.join(&b'\n');
            fs::write(&path, &bytes).unwrap();
            let items = all(&mut Follower::new(&path), 3);
            let feeds = bytes.iter().filter(|byte| **byte == b'\n').count();
            prop_assert_eq!(items.len(), feeds);
            let damaged = |item: &Followed| matches!(item, Followed::Damaged { .. });
            prop_assert!(items.iter().all(damaged));
        }
    }

    #[test]
    fn a_torn_line_is_read_once_it_is_whole_and_what_takes_its_place_as_well() {
        let (_temp, path) = log_path();
        append_all(&path, &[step(1, 0.5)]);
        let mut follower = Follower::new(&path);
        assert_eq!(words(&mut follower), "1");
        let two = line(&step(2, 0.5));
        append_bytes(&path, &two[..20]);
        assert_eq!(words(&mut follower), "");
        append_bytes(&path, &two[20..two.len() - 1]);
        assert_eq!(words(&mut follower), "", "all but the line feed is not a line either");
        append_bytes(&path, b"\n");
        assert_eq!(words(&mut follower), "2");

        // A resumed run cuts it off, and its own line may be longer before anybody looks again.
        append_bytes(&path, &two[..20]);
        assert_eq!(words(&mut follower), "");
        append_all(&path, &[resumed(2), step(3, 0.5)]);
        assert_eq!(words(&mut follower), "2, 3");
        append_bytes(&path, &two[..20]);
        assert_eq!(words(&mut follower), "");
        EventLog::open(&path).unwrap();
        assert_eq!(words(&mut follower), "");
        append_all(&path, &[step(4, 0.5)]);
        assert_eq!(words(&mut follower), "4");
    }

    #[test]
    fn a_line_that_is_no_event_is_passed_over_with_its_number() {
        let (_temp, path) = log_path();
        for bad in ["", "7", "{\"time\":1.0,\"st", "\0\0\0", "[1.0,2,\"paused\"]"] {
            let _ = fs::remove_file(&path);
            append_all(&path, &[step(1, 0.5)]);
            append_bytes(&path, format!("{bad}\n").as_bytes());
            append_bytes(&path, &line(&step(2, 0.5)));
            let items = all(&mut Follower::new(&path), 2);
            let Followed::Damaged { line: 2, cause } = &items[1] else { panic!("{items:?}") };
            assert!(!cause.is_empty());
            assert!(matches!(&items[2], Followed::Record { record, .. } if record.step == 2));
            assert_eq!(items.len(), 3);
        }
    }

    #[test]
    fn a_line_beyond_any_bound_is_passed_over_and_not_kept() {
        let (_temp, path) = log_path();
        let one = line(&step(1, 0.5));
        // More than a call passes over; on a disk it is a hole.
        let hole = 3 * PASSED_OVER;
        append_bytes(&path, &one);
        append_bytes(&path, b"{");
        File::options().append(true).open(&path).unwrap().set_len(hole).unwrap();
        let mut follower = Follower::new(&path);
        assert_eq!(follower.read(1000).unwrap().len(), 1);
        let mut calls = 0;
        while follower.progress().0 < hole {
            let before = follower.progress().0;
            assert_eq!(follower.read(1000).unwrap(), []);
            assert!(before < follower.progress().0, "each call comes further");
            calls += 1;
        }
        assert!(calls > 1, "a call passes over a part");
        assert!(follower.source.as_ref().unwrap().lines.buffer.len() <= LARGEST_LINE + BLOCK);
        append_bytes(&path, b"}");
        assert_eq!(words(&mut follower), "", "it still has no end");
        assert!(follower.progress().0 > hole, "and is not read again");
        append_bytes(&path, &[b"\n", &line(&step(2, 0.5))[..]].concat());
        let items = all(&mut follower, 1000);
        let [Followed::Damaged { line: 2, cause }, Followed::Record { record, at }] = &items[..]
        else {
            panic!("{items:?}")
        };
        assert!(cause.contains("more than 4194304 bytes"), "{cause}");
        assert_eq!((record.step, *at), (2, hole + 2));

        // Of one that is cut short there is less to pass over.
        let mut follower = Follower::new(&path);
        fs::write(&path, [&one[..], &vec![b'x'; 2 * LARGEST_LINE]].concat()).unwrap();
        assert_eq!(words(&mut follower), "1");
        let file = File::options().append(true).open(&path).unwrap();
        file.set_len(LARGEST_LINE as u64 * 3 / 2).unwrap();
        append_bytes(&path, &[b"\n", &line(&step(2, 0.5))[..]].concat());
        assert_eq!(words(&mut follower), "damaged 2, 2");

        // One that is cut off again by a run that goes on, be it that the log is as long soon.
        for more in [None, Some(hole)] {
            fs::write(&path, &one).unwrap();
            let mut follower = Follower::new(&path);
            append_bytes(&path, b"\0");
            File::options().append(true).open(&path).unwrap().set_len(hole / 6).unwrap();
            assert_eq!(words(&mut follower), "1");
            assert!(follower.progress().0 > one.len() as u64);
            append_all(&path, &[step(2, 0.5)]);
            if let Some(length) = more {
                File::options().append(true).open(&path).unwrap().set_len(length).unwrap();
            }
            assert_eq!(words(&mut follower), "2");
        }
    }

    #[test]
    fn a_line_of_the_largest_size_is_an_event_and_one_byte_more_is_too_many() {
        let (_temp, path) = log_path();
        for (length, expected) in [(LARGEST_LINE, "1, 2"), (LARGEST_LINE + 1, "damaged 1, 2")] {
            let mut one = line(&step(1, 0.5));
            one.splice(0..0, vec![b' '; length - one.len()]);
            fs::write(&path, [&one[..], &line(&step(2, 0.5))].concat()).unwrap();
            assert_eq!(words(&mut Follower::new(&path)), expected);
            // However it came.
            let mut follower = Follower::new(&path);
            fs::write(&path, &one[..length - 1]).unwrap();
            assert_eq!(words(&mut follower), "");
            append_bytes(&path, &[b"\n", &line(&step(2, 0.5))[..]].concat());
            assert_eq!(words(&mut follower), expected);
            // And wherever in a block it begins.
            fs::write(&path, [&line(&step(0, 0.5))[..], &one, &line(&step(2, 0.5))].concat())
                .unwrap();
            let expected = format!("0, {}", expected.replace("damaged 1", "damaged 2"));
            assert_eq!(words(&mut Follower::new(&path)), expected);
        }
    }

    #[test]
    fn a_log_that_is_cut_is_read_from_its_beginning() {
        let (_temp, path) = log_path();
        let mut follower = Follower::new(&path);
        append_all(&path, &[step(1, 0.5), step(2, 0.5)]);
        assert_eq!(words(&mut follower), "1, 2");
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(0).unwrap();
        assert_eq!(words(&mut follower), "restarted");
        assert_eq!(words(&mut follower), "", "once");
        append_all(&path, &[step(7, 0.5)]);
        assert_eq!(words(&mut follower), "7");
        file.set_len(0).unwrap();
        append_all(&path, &[step(8, 0.5)]);
        assert_eq!(words(&mut follower), "restarted, 8");
        // In its middle: of what is left it is not known that it is the same.
        append_all(&path, &[step(9, 0.5)]);
        assert_eq!(words(&mut follower), "9");
        file.set_len(line(&step(8, 0.5)).len() as u64).unwrap();
        assert_eq!(words(&mut follower), "restarted, 8");
        // However far from its beginning.
        let there = fs::metadata(&path).unwrap().len();
        let last = 2 * BEGINNING as u64;
        append_all(&path, &(9..=last).map(|i| step(i, 0.5)).collect::<Vec<_>>());
        assert!(words(&mut follower).ends_with(&format!(", {last}")));
        file.set_len(fs::metadata(&path).unwrap().len() - there).unwrap();
        assert_eq!(follower.read(0).unwrap(), []);
        assert_eq!(follower.read(1).unwrap(), [Followed::Restarted]);
        assert!(words(&mut follower).starts_with("8, 9, 10, "));
    }

    #[test]
    fn a_log_written_anew_in_its_place_is_known_however_long_it_is() {
        let (_temp, path) = log_path();
        let mut follower = Follower::new(&path);
        fs::write(&path, line(&step(1, 0.5))).unwrap();
        assert_eq!(words(&mut follower), "1");
        let longer = [resumed(3), step(4, 0.5)];
        fs::write(&path, longer.iter().flat_map(line).collect::<Vec<_>>()).unwrap();
        assert_eq!(words(&mut follower), "restarted, 3, 4");
        // Of the same length, and with another time.
        let later = [Record { time: 0.75, ..resumed(3) }, step(5, 0.5)];
        let bytes: Vec<_> = later.iter().flat_map(line).collect();
        fs::write(&path, &bytes[..bytes.len()]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(words(&mut follower), "restarted, 3, 5");
    }

    #[test]
    fn another_log_of_the_name_is_read_instead() {
        let (temp, path) = log_path();
        let mut follower = Follower::new(&path);
        append_all(&path, &[step(1, 0.5)]);
        assert_eq!(words(&mut follower), "1");
        let other = temp.path().join("other");
        // It begins with the same bytes, and is another one all the same.
        append_all(&other, &[step(1, 0.5), step(2, 0.5)]);
        fs::rename(&other, &path).unwrap();
        assert_eq!(words(&mut follower), "restarted, 1, 2");

        // That it is gone says nothing yet; and it may come back.
        let aside = temp.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        assert_eq!(words(&mut follower), "");
        fs::rename(&aside, &path).unwrap();
        assert_eq!(words(&mut follower), "");
        append_all(&path, &[step(3, 0.5)]);
        assert_eq!(words(&mut follower), "3");
        fs::remove_file(&path).unwrap();
        assert_eq!(words(&mut follower), "");
        append_all(&path, &[]);
        assert_eq!(words(&mut follower), "restarted");
        append_all(&path, &[step(1, 0.5)]);
        assert_eq!(words(&mut follower), "1");
    }

    #[test]
    fn a_log_of_which_nothing_came_is_not_said_to_be_restarted() {
        let (_temp, path) = log_path();
        let mut follower = Follower::new(&path);
        fs::write(&path, "{\"time\"").unwrap();
        assert_eq!(words(&mut follower), "");
        fs::remove_file(&path).unwrap();
        append_all(&path, &[step(1, 0.5)]);
        assert_eq!(words(&mut follower), "1");
    }

    #[test]
    fn a_folder_or_a_pipe_is_no_log_and_a_log_in_its_place_is_read() {
        let (_temp, path) = log_path();
        let mut follower = Follower::new(&path);
        append_all(&path, &[step(1, 0.5)]);
        assert_eq!(words(&mut follower), "1");
        let fifo = || {
            assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        };
        fs::remove_file(&path).unwrap();
        for make in [&fifo as &dyn Fn(), &|| fs::create_dir(&path).unwrap()] {
            make();
            for _ in 0..2 {
                let error = follower.read(1000).unwrap_err().to_string();
                assert!(error.contains("no plain file"), "{error}");
                assert!(error.contains(path.to_str().unwrap()), "{error}");
            }
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        }
        append_all(&path, &[step(2, 0.5)]);
        assert_eq!(words(&mut follower), "restarted, 2");
    }

    #[test]
    fn a_run_that_writes_meanwhile_is_followed_to_its_end() {
        let (_temp, path) = log_path();
        let last = 20_000;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut log = EventLog::open(&path).unwrap();
                (1..=last).for_each(|i| log.append(&step(i, 0.5)).unwrap());
            });
            let mut follower = Follower::new(&path);
            let mut next = 1;
            let started = std::time::Instant::now();
            while next <= last {
                for item in follower.read(100).unwrap() {
                    let Followed::Record { record, .. } = item else { panic!("{item:?}") };
                    assert_eq!(record.step, next);
                    next += 1;
                }
                assert!(started.elapsed().as_secs() < 60, "step {next} never came");
            }
        });
    }
}
