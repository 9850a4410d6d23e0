//! The event log of a run, `events.jsonl`: one event a line, appended, never rewritten.
//!
//! A line has at most [`LARGEST_LINE`] bytes, for who writes and for who reads, so that neither needs
//! more memory for a longer log: [`records`] holds two lines at most, and [`EventLog::open`] reads
//! from the end as far as the last line but one. [`timeline`] holds no more, and [`read`] holds all events that it returns, and
//! [`EventLog::gather`] those that wait to be written.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::iter::Peekable;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::IgnoredAny;

use crate::disk::{self, At, shown};
use crate::error::{Error, Result};
use crate::event::{self, Event, Record};
use crate::hold::Hold;

/// Most bytes of a line, its line feed counted in: a configuration of the largest size fits several
/// times.
pub const LARGEST_LINE: usize = 4 << 20;

/// The event log, opened for appending. Only the holder of the run's lock may do that.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    path: PathBuf,
    /// Bytes of the file up to the end of the last whole line.
    end: u64,
    /// Whether there may be a part of a line after `end`.
    torn: bool,
    /// Whole lines that are to be written after `end`.
    gathered: Vec<u8>,
    /// How many they are.
    lines: usize,
    hold: Option<Arc<Hold>>,
}

impl EventLog {
    /// Opens the log at `path` for appending, and makes it where there is none. A torn last line
    /// is cut off, or else it would swallow the next one.
    ///
    /// However long the log is, only its last whole line and what is torn after that is read, and
    /// no more than one line is held: what a power cut left behind may be longer than a line.
    pub fn open(path: &Path) -> Result<EventLog> {
        EventLog::open_held(path, None)
    }

    /// As [`open`](Self::open), in a folder that may be held open.
    pub(crate) fn open_held(path: &Path, hold: Option<Arc<Hold>>) -> Result<EventLog> {
        break_links(path)?;
        let file = disk::open_own(path, File::options().read(true).append(true));
        let mut file = file.at("open", path)?;
        let length = file.metadata().at("look at", path)?.len();
        let end = end_of_whole_lines(&mut file, length).at("read", path)?;
        if end < length {
            file.set_len(end).at("cut off the torn last line of", path)?;
        }
        // A bare file name has an empty parent, which is no path that can be opened.
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        disk::sync_folder(folder.unwrap_or(Path::new(".")))?;
        let (path, gathered) = (path.to_owned(), Vec::new());
        Ok(EventLog { file, path, end, torn: false, gathered, lines: 0, hold })
    }

    /// Appends one event, after those that were gathered: a JSON object and a newline, in one write,
    /// so that somebody who follows the file meanwhile finds whole lines.
    ///
    /// After an error the log can be used again, and the event is not in it: what a full disk took of
    /// a line is cut off before the next one.
    ///
    /// # Errors
    /// [`Error::EventTooLarge`] for one of more than [`LARGEST_LINE`] bytes, of which nothing is
    /// written; where the disk says no.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        let before = self.gathered.len();
        self.gather(record)?;
        let line = self.gathered.len() - before;
        self.write().inspect_err(|_| {
            // It is the last that waits.
            self.gathered.truncate(self.gathered.len() - line);
            self.lines -= 1;
        })
    }

    /// Lets one event wait in memory until [`write`](Self::write) or [`append`](Self::append), which
    /// write all that wait at once: for events that come by the thousand a second, where a write each
    /// would cost more than all else. A crash of the process takes what waits.
    ///
    /// # Errors
    /// [`Error::EventTooLarge`] for one of more than [`LARGEST_LINE`] bytes, which does not wait.
    pub fn gather(&mut self, record: &Record) -> Result<()> {
        let before = self.gathered.len();
        let encoded = serde_json::to_writer(&mut self.gathered, record).map_err(io::Error::from);
        self.gathered.push(b'\n');
        let found = self.gathered.len() - before;
        if encoded.is_err() || found > LARGEST_LINE {
            self.gathered.truncate(before);
        }
        encoded.at("encode an event for", &self.path)?;
        if found > LARGEST_LINE {
            let path = shown(&self.path);
            return Err(Error::EventTooLarge { path, found, largest: LARGEST_LINE });
        }
        self.lines += 1;
        Ok(())
    }

    /// How many events wait.
    pub fn gathered(&self) -> usize {
        self.lines
    }

    /// Writes all events that wait, in one write.
    ///
    /// # Errors
    /// Where the disk says no. Those of which it took the whole line are in the log then, and the
    /// others go on waiting.
    pub fn write(&mut self) -> Result<()> {
        if self.lines == 0 {
            return Ok(());
        }
        if let Some(hold) = self.hold.as_ref().filter(|hold| hold.is_taken_over()) {
            // It is another process's log now.
            return Err(Error::TakenOver { path: shown(hold.base()) });
        }
        if self.torn {
            self.file.set_len(self.end).at("cut off the torn last line of", &self.path)?;
        }
        self.torn = true;
        let (taken, written) = disk::write_counted(&mut self.file, &self.gathered);
        // Who follows the file may have read those lines already: they stay.
        let whole = self.gathered[..taken].iter().rposition(|&byte| byte == b'\n');
        let whole = whole.map_or(0, |at| at + 1);
        self.torn = written.is_err();
        self.end += whole as u64;
        self.lines -= self.gathered[..whole].iter().filter(|&&byte| byte == b'\n').count();
        self.gathered.drain(..whole);
        written.at("append to", &self.path)
    }

    /// The byte of the log at which the line begins that is appended or gathered next.
    pub fn end(&self) -> u64 {
        self.end + self.gathered.len() as u64
    }

    /// A handle that does what [`sync`](Self::sync) does, for another thread.
    ///
    /// # Errors
    /// Where the system gives no other handle of the file.
    pub fn syncer(&self) -> Result<LogSyncer> {
        let file = self.file.try_clone().at("share", &self.path)?;
        Ok(LogSyncer { file, path: self.path.clone() })
    }

    /// Waits until all events that were written would survive a power cut. A crash of the process
    /// alone loses none of them, with or without this.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().at("sync", &self.path)
    }
}

/// A handle by which another thread makes sure that what was appended survives a power cut.
#[derive(Debug)]
pub struct LogSyncer {
    file: File,
    path: PathBuf,
}

impl LogSyncer {
    /// Waits until all events that were written before would survive a power cut.
    ///
    /// # Errors
    /// Where the disk says no.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().at("sync", &self.path)
    }
}

/// The events of a log as one line of time, in their order, all in memory: several times the size of
/// the log. [`timeline`] reads them one by one.
///
/// # Errors
/// As [`records`].
pub fn read(path: &Path) -> Result<Vec<Record>> {
    timeline(path)?.collect()
}

/// The events of a log as one line of time, in their order, read one by one: never more than two lines
/// are in memory, and a few bytes for each `resumed` event.
///
/// At each `resumed` event the earlier events of a later step are dropped: they belong to an
/// abandoned line of time. A torn last line is the end of the log. Events and fields that are not
/// known here are no error: see [`Event::Unknown`]. What is appended meanwhile is not read.
///
/// # Errors
/// As [`records`].
pub fn timeline(path: &Path) -> Result<Timeline> {
    let mut lines = records(path)?;
    let mut cuts = Vec::new();
    let mut count = 0;
    while let Some(line) = lines.next_line()? {
        count += 1;
        let line = line.unwrap_or_default();
        // Cheaper than to parse each line twice.
        let may_resume = line.windows(RESUMED.len()).any(|bytes| bytes == RESUMED);
        if let (true, Ok(record)) = (may_resume, event::parse(&line))
            && let Event::Resumed(_) = record.event
        {
            cuts.push((count, record.step));
        }
    }
    // From each on, the earliest step that any of the later ones goes back to.
    let mut earliest = u64::MAX;
    for (_, step) in cuts.iter_mut().rev() {
        earliest = earliest.min(*step);
        *step = earliest;
    }
    Ok(Timeline { records: records(path)?, count, cuts: cuts.into_iter().peekable() })
}

/// As the kind of an event is written.
const RESUMED: &[u8] = b"\"resumed\"";

/// What [`timeline`] returns.
#[derive(Debug)]
pub struct Timeline {
    records: Records,
    /// Lines that were there at first.
    count: usize,
    /// The lines of `resumed` events that are still to come, each with the earliest step that it or a
    /// later one goes back to.
    cuts: Peekable<std::vec::IntoIter<(usize, u64)>>,
}

impl Iterator for Timeline {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.records.number < self.count {
            let record = match self.records.next()? {
                Ok(record) => record,
                error => return Some(error),
            };
            let number = self.records.number;
            while self.cuts.next_if(|(line, _)| *line <= number).is_some() {}
            if self.cuts.peek().is_none_or(|(_, step)| record.step <= *step) {
                return Some(Ok(record));
            }
        }
        None
    }
}

/// The events of a log in the order of the file, those of abandoned lines of time too, read one by
/// one: never more than two lines, of [`LARGEST_LINE`] at most, are in memory.
///
/// # Errors
/// [`Error::LogMissing`] if there is no such file; in the place of a record, and as the last,
/// [`Error::LogLine`] for a line that is not an event and not the torn end.
pub fn records(path: &Path) -> Result<Records> {
    let file = match disk::open_plain(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            return Err(Error::LogMissing { path: shown(path) });
        }
        result => result.at("read", path)?,
    };
    Ok(Records { lines: BufReader::new(file), path: path.to_owned(), number: 0, over: false })
}

/// What [`records`] returns.
#[derive(Debug)]
pub struct Records {
    lines: BufReader<File>,
    path: PathBuf,
    /// Lines read.
    number: usize,
    over: bool,
}

impl Iterator for Records {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.next_record().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Records {
    fn next_record(&mut self) -> Result<Option<Record>> {
        let Some(line) = self.next_line()? else { return Ok(None) };
        self.number += 1;
        let number = self.number;
        let cause = match line {
            Some(line) => match event::parse(&line) {
                Ok(record) => return Ok(Some(record)),
                // JSON that is no event was never torn, since no part of an object is JSON.
                Err(cause) if serde_json::from_slice::<IgnoredAny>(&line).is_ok() => {
                    let cause = cause.to_string();
                    return Err(Error::LogLine { path: shown(&self.path), line: number, cause });
                }
                Err(cause) => cause.to_string(),
            },
            None => format!("it has more than {LARGEST_LINE} bytes"),
        };
        // A power cut can leave blocks of zeros or of other files, with line feeds among them, but
        // only at the end.
        match self.next_line()? {
            None => Ok(None),
            Some(_) => Err(Error::LogLine { path: shown(&self.path), line: number, cause }),
        }
    }

    /// The next line that has an end, with its line feed; nothing in its place where it is too long.
    fn next_line(&mut self) -> Result<Option<Option<Vec<u8>>>> {
        let mut line = Vec::new();
        let mut too_long = false;
        loop {
            let bytes = match self.lines.fill_buf() {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                result => result.at("read", &self.path)?,
            };
            if bytes.is_empty() {
                return Ok(None);
            }
            let end = bytes.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
            let count = end.unwrap_or(bytes.len());
            too_long = too_long || line.len() + count > LARGEST_LINE;
            match too_long {
                true => line = Vec::new(),
                false => line.extend_from_slice(&bytes[..count]),
            }
            self.lines.consume(count);
            if end.is_some() {
                return Ok(Some((!too_long).then_some(line)));
            }
        }
    }
}

/// Gives a log with several names its own copy under this one: in a folder that was copied by hard
/// links the original's log has the same bytes, and what is appended is not to be in both.
fn break_links(path: &Path) -> Result<()> {
    let found = path.symlink_metadata();
    if !found.is_ok_and(|found| found.is_file() && found.nlink() > 1) {
        return Ok(());
    }
    let copy = path.with_extension("jsonl.tmp");
    disk::remove_folder(&copy)?;
    fs::copy(path, &copy).and_then(|_| File::open(&copy)?.sync_all()).at("copy", path)?;
    disk::rename(&copy, path, "put a new version in place of", path)
}

/// Bytes of a log without a torn last line: one without a newline or, where a power cut left blocks
/// of zeros or of other files, one that is not JSON. Reads backwards from the end, and no more than
/// it must.
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

/// Where the bytes before `end` have their last newline, and one more; 0 where they have none.
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
mod tests {
    use super::*;
    use crate::event::{Probe, Warning};
    use crate::testing::{append_all, info, resumed, step};
    use std::io::Write;

    use proptest::prelude::*;
    use tempfile::{TempDir, tempdir};

    fn log_path() -> (TempDir, PathBuf) {
        let temp = tempdir().unwrap();
        let path = temp.path().join("events.jsonl");
        (temp, path)
    }

    fn steps(records: &[Record]) -> Vec<u64> {
        records.iter().map(|record| record.step).collect()
    }

    #[test]
    fn what_is_appended_is_read_again_one_object_a_line() {
        let (_temp, path) = log_path();
        let start = Record { time: 0.25, step: 0, event: Event::RunStarted(info()) };
        let warning = Event::Warning(Warning { message: "two\nlines".into() });
        let records = [start, step(1, 0.5), Record { time: 2.0, step: 1, event: warning }];
        append_all(&path, &records[..1]);
        append_all(&path, &records[1..]);
        assert_eq!(read(&path).unwrap(), records);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 3);
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(["event", "step", "time"].iter().all(|key| line.get(key).is_some()));
        }
    }

    #[test]
    fn a_log_torn_at_any_byte_keeps_its_earlier_lines_and_takes_new_ones() {
        let (_temp, path) = log_path();
        append_all(&path, &[step(1, 0.5), step(2, 0.25)]);
        let two = fs::metadata(&path).unwrap().len() as usize;
        append_all(&path, &[resumed(2)]);
        let whole = fs::read(&path).unwrap();
        for cut in two..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(read(&path).unwrap(), [step(1, 0.5), step(2, 0.25)], "cut at {cut}");
            append_all(&path, &[step(3, 0.125)]);
            let expected = [step(1, 0.5), step(2, 0.25), step(3, 0.125)];
            assert_eq!(read(&path).unwrap(), expected, "cut at {cut}, then appended");
        }
    }

    #[test]
    fn a_last_line_that_is_not_json_is_torn_even_with_its_newline() {
        let (_temp, path) = log_path();
        for tail in ["\0\0\0\0\n", "{\"time\":\"\0\0\n", "\n", "}\n", "{\"time\":1}{\n{\"ti"] {
            let _ = fs::remove_file(&path);
            append_all(&path, &[step(1, 0.5)]);
            let mut file = File::options().append(true).open(&path).unwrap();
            file.write_all(tail.as_bytes()).unwrap();
            assert_eq!(read(&path).unwrap(), [step(1, 0.5)], "{tail:?}");
            append_all(&path, &[step(2, 0.5)]);
            assert_eq!(steps(&read(&path).unwrap()), [1, 2], "{tail:?}, then appended");
        }
    }

    #[test]
    fn a_bad_line_before_the_last_is_an_error_with_its_number() {
        let (_temp, path) = log_path();
        let good = serde_json::to_string(&step(1, 0.5)).unwrap();
        for bad in ["", "{\"time\":1.0,\"st", r#"{"time":1.0,"step":2,"event":"step"}"#, "7"] {
            fs::write(&path, format!("{good}\n{bad}\n{good}\n")).unwrap();
            let error = read(&path).unwrap_err();
            assert!(matches!(error, Error::LogLine { line: 2, .. }), "{error}");
            let start = format!("Line 2 of `{}` is not an event", path.display());
            assert!(error.to_string().starts_with(&start), "{error}");
        }
    }

    #[test]
    fn a_line_beyond_any_bound_is_not_kept() {
        let (_temp, path) = log_path();
        append_all(&path, &[step(1, 0.5)]);
        let one = fs::read(&path).unwrap();
        let long = [b"[".repeat(2 * LARGEST_LINE), b"\n".to_vec()].concat();
        fs::write(&path, [&one[..], &long, &one].concat()).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, Error::LogLine { line: 2, .. }), "{error}");
        assert!(error.to_string().contains("more than 4194304 bytes"), "{error}");
        // At the end it is torn, with or without its line feed.
        for end in [&long[..], &long[..long.len() - 1]] {
            fs::write(&path, [&one[..], end].concat()).unwrap();
            assert_eq!(read(&path).unwrap(), [step(1, 0.5)]);
            append_all(&path, &[step(2, 0.5)]);
            assert_eq!(steps(&read(&path).unwrap()), [1, 2]);
        }
        // One of the largest size is read.
        let mut event = step(1, 0.5);
        let Event::Step(_) = event.event else { panic!() };
        let room = LARGEST_LINE - serde_json::to_string(&warning("")).unwrap().len() - 1;
        event = warning(&"x".repeat(room));
        append_all(&path, std::slice::from_ref(&event));
        // One more byte could not be read again, so it is not written.
        let error = EventLog::open(&path).unwrap().append(&warning(&"x".repeat(room + 1)));
        let error = error.unwrap_err();
        assert!(matches!(error, Error::EventTooLarge { found: 4_194_305, .. }), "{error}");
        assert_eq!(read(&path).unwrap().pop(), Some(event));
    }

    #[test]
    fn bytes_of_every_kind_are_an_error_in_the_middle_and_at_the_end_as_documented() {
        let (_temp, path) = log_path();
        let one = serde_json::to_vec(&step(1, 0.5)).unwrap();
        let deep = [b"[".repeat(10_000), b"]".repeat(10_000)].concat();
        let inside =
            |value: &[u8]| [br#"{"time":1.0,"step":2,"event":"moon","x":"#, value, b"}"].concat();
        let huge = "9".repeat(100_000);
        // With whether it is JSON, which was never torn.
        let lines: [(Vec<u8>, bool); 11] = [
            (vec![0; 5000], false),
            (b"\xff\xfe\x80".to_vec(), false),
            (br#"{"time":1.0,"step":2,"event":"pau\xed\xa0\x80sed"}"#.to_vec(), false),
            (b"[".repeat(10_000), false),
            (deep.clone(), true),
            (inside(&deep), true),
            (br#"{"time":1e999,"step":2,"event":"paused"}"#.to_vec(), true),
            (br#"{"time":1.0,"step":1e999,"event":"paused"}"#.to_vec(), true),
            (br#"{"time":1.0,"step":-1,"event":"paused"}"#.to_vec(), true),
            (format!(r#"{{"time":1.0,"step":{huge},"event":"paused"}}"#).into(), true),
            (br#"[1.0,2,"paused"]"#.to_vec(), true),
        ];
        for (line, is_json) in lines {
            let start = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
            fs::write(&path, [&one[..], b"\n", &line, b"\n", &one, b"\n"].concat()).unwrap();
            let error = read(&path).unwrap_err();
            assert!(matches!(error, Error::LogLine { line: 2, .. }), "{start}: {error}");
            fs::write(&path, [&one[..], b"\n", &line, b"\n"].concat()).unwrap();
            assert_eq!(read(&path).is_err(), is_json, "{start}");
            append_all(&path, &[]);
            let length = fs::metadata(&path).unwrap().len() as usize;
            let torn = if is_json { 0 } else { line.len() + 1 };
            assert_eq!(length, one.len() + 1 + line.len() + 1 - torn, "{start}");
        }
    }

    #[test]
    fn records_come_one_by_one_in_the_order_of_the_file_and_end_at_an_error() {
        let (_temp, path) = log_path();
        append_all(&path, &[step(1, 0.5), step(2, 0.5), resumed(1), step(2, 0.25)]);
        let found: Vec<_> = records(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(found, [step(1, 0.5), step(2, 0.5), resumed(1), step(2, 0.25)]);

        let there = fs::read(&path).unwrap();
        fs::write(&path, [&there[..], b"7\n", &there].concat()).unwrap();
        let mut reader = records(&path).unwrap().skip(4);
        assert!(matches!(reader.next(), Some(Err(Error::LogLine { line: 5, .. }))));
        assert!(reader.next().is_none(), "what comes after an error is not guessed at");
    }

    #[test]
    fn neither_end_of_a_log_needs_the_rest_of_it() {
        let (_temp, path) = log_path();
        // More than any machine holds, or reads while somebody waits; on a disk it is a hole.
        let hole = 1 << 38;
        append_all(&path, &[step(1, 0.5)]);
        let start = fs::metadata(&path).unwrap().len();
        File::options().append(true).open(&path).unwrap().set_len(hole).unwrap();
        let line = serde_json::to_vec(&step(2, 0.5)).unwrap();
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(&[b"\n", &line[..], b"\n{\"time\":1.0,\"st"].concat()).unwrap();
        append_all(&path, &[step(3, 0.5)]);
        assert_eq!(fs::metadata(&path).unwrap().len(), hole + 2 + 2 * start - 1);
        assert_eq!(records(&path).unwrap().next().unwrap().unwrap(), step(1, 0.5));
    }

    #[test]
    fn another_thread_can_sync_while_events_are_appended() {
        let (_temp, path) = log_path();
        let mut log = EventLog::open(&path).unwrap();
        let syncer = log.syncer().unwrap();
        let same = |file: &File| {
            let found = file.metadata().unwrap();
            (found.dev(), found.ino())
        };
        assert_eq!(same(&syncer.file), same(&log.file));
        let syncing = std::thread::spawn(move || (0..10).try_for_each(|_| syncer.sync()));
        (1..=50).for_each(|i| log.append(&step(i, 0.5)).unwrap());
        syncing.join().unwrap().unwrap();
        assert_eq!(steps(&read(&path).unwrap()), (1..=50).collect::<Vec<_>>());

        // It says so where the disk says no: a pipe has nothing that could be on a disk.
        let (_reader, writer) = std::io::pipe().unwrap();
        let syncer = LogSyncer { file: File::from(std::os::fd::OwnedFd::from(writer)), path };
        let error = syncer.sync().unwrap_err();
        assert!(error.to_string().starts_with("Could not sync `"), "{error}");
    }

    fn warning(message: &str) -> Record {
        let event = Event::Warning(Warning { message: message.to_owned() });
        Record { time: 0.5, step: 3, event }
    }

    #[test]
    fn what_is_appended_while_it_is_read_is_left_out() {
        let (_temp, path) = log_path();
        append_all(&path, &[step(1, 0.5), step(2, 0.5)]);
        let reading = timeline(&path).unwrap();
        append_all(&path, &[resumed(1), step(2, 0.25)]);
        assert_eq!(reading.collect::<Result<Vec<_>>>().unwrap(), [step(1, 0.5), step(2, 0.5)]);
    }

    #[test]
    fn a_folder_or_a_pipe_is_no_log() {
        let (temp, path) = log_path();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        for path in [temp.path(), &path] {
            let errors = [read(path).unwrap_err(), EventLog::open(path).unwrap_err()];
            for error in errors {
                assert!(error.to_string().contains("no plain file"), "{error}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        /// However often a run was resumed, from wherever.
        #[test]
        fn one_line_of_time(runs in prop::collection::vec((0u64..12, 0u64..6), 1..8)) {
            let (_temp, path) = log_path();
            let mut all: Vec<Record> = Vec::new();
            let mut expected: Vec<Record> = Vec::new();
            for (from, taken) in runs {
                all.push(resumed(from));
                expected.retain(|earlier| earlier.step <= from);
                expected.push(resumed(from));
                let steps = (from + 1..=from + taken).map(|i| step(i, 0.5));
                all.extend(steps.clone());
                expected.extend(steps);
                // Its words are those of the event that is looked for.
                all.push(Record { step: from + taken, ..warning("\"resumed\"") });
                expected.push(all[all.len() - 1].clone());
            }
            append_all(&path, &all);
            prop_assert_eq!(timeline(&path).unwrap().collect::<Result<Vec<_>>>().unwrap(), expected);
        }

        /// Whatever happens to a log, reading it is safe; and what can be read goes on to be once it
        /// is appended to, whether it had a torn end or not.
        #[test]
        fn a_log_of_any_bytes(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
            tail in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'{'), any::<u8>()], 0..40),
        ) {
            let (_temp, path) = log_path();
            append_all(&path, &[step(1, f64::NAN), resumed(1), warning("\u{0}"), step(2, 1e-300)]);
            let mut bytes = fs::read(&path).unwrap();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(bytes.len() - cut.index(bytes.len()).min(300));
            bytes.extend(tail);
            fs::write(&path, &bytes).unwrap();
            if let Ok(before) = read(&path) {
                append_all(&path, &[step(7, 0.5)]);
                let after = read(&path).unwrap();
                prop_assert_eq!(format!("{:?}", &after[..before.len()]), format!("{before:?}"));
                prop_assert_eq!(steps(&after[before.len()..]), [7]);
            }
        }
    }

    #[test]
    fn json_that_is_no_event_is_neither_overlooked_nor_cut_off_at_the_end() {
        let (_temp, path) = log_path();
        let line = "{\"time\":1.0,\"step\":2,\"event\":\"step\"}\n";
        fs::write(&path, line).unwrap();
        assert!(matches!(read(&path), Err(Error::LogLine { line: 1, .. })));
        EventLog::open(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), line);
    }

    #[test]
    fn the_end_is_where_the_next_line_begins() {
        let (_temp, path) = log_path();
        let mut ends = Vec::new();
        for i in 1..=3 {
            let mut log = EventLog::open(&path).unwrap();
            ends.push(log.end());
            log.append(&step(i, 0.5)).unwrap();
            ends.push(log.end());
            log.append(&resumed(i)).unwrap();
            // What is torn is cut off, so it is not before the next line.
            let writable = std::mem::replace(&mut log.file, File::open(&path).unwrap());
            log.append(&step(9, 0.5)).unwrap_err();
            log.file = writable;
            log.file.write_all(b"{\"time\":").unwrap();
            ends.push(log.end());
            log.append(&step(i + 1, 0.5)).unwrap();
            log.file.write_all(b"{\"time\":").unwrap();
        }
        EventLog::open(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        let begins = |at: &usize| *at == 0 || bytes[at - 1] == b'\n';
        let expected: Vec<_> = (0..bytes.len()).filter(begins).map(|at| at as u64).collect();
        assert_eq!(ends, expected);
    }

    #[test]
    fn a_missing_log_is_named_and_an_empty_one_is_empty() {
        let (_temp, path) = log_path();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, Error::LogMissing { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        EventLog::open(&path).unwrap();
        assert_eq!(read(&path).unwrap(), []);
    }

    #[test]
    fn a_log_that_cannot_be_written_says_where() {
        let temp = tempdir().unwrap();
        let path = temp.path().join("missing/events.jsonl");
        let error = EventLog::open(&path).unwrap_err();
        assert!(error.to_string().contains("missing/events.jsonl"), "{error}");
    }

    #[test]
    fn the_rest_of_a_failed_append_is_cut_off_before_the_next() {
        let (_temp, path) = log_path();
        let mut log = EventLog::open(&path).unwrap();
        log.append(&step(1, 0.5)).unwrap();
        let writable = std::mem::replace(&mut log.file, File::open(&path).unwrap());
        let error = log.append(&step(2, 0.5)).unwrap_err();
        assert!(error.to_string().contains("Could not append to"), "{error}");
        // What a full disk takes of a line before it says no.
        log.file = writable;
        log.file.write_all(b"{\"time\":2.0,\"st").unwrap();
        log.append(&step(3, 0.5)).unwrap();
        log.append(&step(4, 0.5)).unwrap();
        assert_eq!(steps(&read(&path).unwrap()), [1, 3, 4]);
    }

    #[test]
    fn an_event_that_is_too_large_to_gather_leaves_nothing() {
        let (_temp, path) = log_path();
        let mut log = EventLog::open(&path).unwrap();
        log.gather(&step(1, 0.5)).unwrap();
        let end = log.end();
        let error = log.gather(&warning(&"x".repeat(LARGEST_LINE))).unwrap_err();
        assert!(matches!(error, Error::EventTooLarge { .. }), "{error}");
        assert_eq!((log.gathered(), log.end()), (1, end));
        log.append(&step(2, 0.5)).unwrap();
        assert_eq!((log.gathered(), steps(&read(&path).unwrap())), (0, vec![1, 2]));
    }

    #[test]
    fn resuming_drops_what_came_after_the_checkpoint() {
        let (_temp, path) = log_path();
        let first: Vec<_> = (1..=5).map(|i| step(i, 0.5)).collect();
        append_all(&path, &first);
        append_all(&path, &[resumed(3), step(4, 0.25), step(5, 0.25), step(6, 0.25)]);
        let records = read(&path).unwrap();
        assert_eq!(steps(&records), [1, 2, 3, 3, 4, 5, 6]);
        assert_eq!(records[2], step(3, 0.5), "the checkpoint's own step happened");
        assert_eq!(records[3], resumed(3));
        assert_eq!(records[4], step(4, 0.25));
    }

    #[test]
    fn resuming_twice_drops_from_both_lines_of_time() {
        let (_temp, path) = log_path();
        append_all(&path, &(1..=4).map(|i| step(i, 0.5)).collect::<Vec<_>>());
        append_all(&path, &[resumed(2), step(3, 0.25), step(4, 0.25)]);
        append_all(&path, &[resumed(3), step(4, 0.125)]);
        let records = read(&path).unwrap();
        assert_eq!(steps(&records), [1, 2, 2, 3, 3, 4]);
        assert_eq!(records[3], step(3, 0.25));
        assert_eq!(records[5], step(4, 0.125));

        // Further back than the first resumption, which then never happened.
        append_all(&path, &[resumed(1)]);
        assert_eq!(read(&path).unwrap(), [step(1, 0.5), resumed(1)]);
    }

    #[test]
    fn numbers_come_back_to_the_bit() {
        let (_temp, path) = log_path();
        let values = crate::testing::tricky_numbers();
        let probe = |fast_loss| {
            let event = Probe { sync: 1, fast_loss, slow_loss: -fast_loss, seconds: 0.0 };
            Record { time: 0.1 + 0.2, step: u64::MAX, event: Event::Probe(event) }
        };
        append_all(&path, &values.iter().map(|value| probe(*value)).collect::<Vec<_>>());
        for (value, record) in values.iter().zip(read(&path).unwrap()) {
            let Event::Probe(found) = record.event else { panic!("{record:?}") };
            assert_eq!(record.step, u64::MAX);
            assert_eq!(record.time.to_bits(), (0.1 + 0.2_f64).to_bits());
            if value.is_nan() {
                assert!(found.fast_loss.is_nan() && found.slow_loss.is_nan());
            } else {
                assert_eq!(found.fast_loss.to_bits(), value.to_bits(), "{value:e}");
                assert_eq!(found.slow_loss.to_bits(), (-value).to_bits(), "-{value:e}");
            }
        }
    }

    #[test]
    fn events_and_fields_of_a_later_version_are_no_error() {
        let (_temp, path) = log_path();
        let lines = concat!(
            r#"{"event":"moon_phase","step":1,"time":1.0,"full":true,"craters":[{"a":null}]}"#,
            "\n",
            r#"{"event":"sync","step":5,"time":2.0,"sync":1,"alpha":0.5,"mood":{"good":[1,2]}}"#,
            "\n",
            r#"{"event":"paused","step":5,"time":3.0,"by":"me"}"#,
            "\n",
        );
        fs::write(&path, lines).unwrap();
        let events: Vec<_> = read(&path).unwrap().into_iter().map(|record| record.event).collect();
        let sync = Event::Sync(crate::event::Sync {
            sync: 1,
            alpha: 0.5,
            distance: None,
            gradient_norm: None,
            last: false,
        });
        assert_eq!(events, [Event::Unknown, sync, Event::Paused]);
    }
}
