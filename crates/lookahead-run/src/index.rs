//! Where in an event log a step lies, however long the log is, and the exact values there.
//!
//! Who draws a run of many million steps keeps a summary of them, and reads the few lines that a
//! single step is about again. An [`Index`] is filled while the log is followed:
//!
//! ```
//! use lookahead_run::event::{Event, Record};
//! use lookahead_run::follow::{Followed, Follower};
//! use lookahead_run::index::Index;
//!
//! # fn main() -> lookahead_run::Result<()> {
//! # let temp = tempfile::tempdir().unwrap();
//! # let path = temp.path().join("events.jsonl");
//! # let line = r#"{"time":1.5,"step":7,"event":"step","epoch":0,"loss":0.5,"learning_rate":0.1,"samples_per_second":900.0,"phase":2}"#;
//! # std::fs::write(&path, format!("{line}\n")).unwrap();
//! let mut follower = Follower::new(&path);
//! let mut index = Index::new();
//! for item in follower.read(100_000)? {
//!     match item {
//!         Followed::Record { record: Record { step, event: Event::Step(_), .. }, at } => {
//!             index.push(step, at)
//!         }
//!         Followed::Record { record: Record { step, event: Event::Resumed(_), .. }, .. } => {
//!             index.truncate_after(step)
//!         }
//!         Followed::Restarted => index = Index::new(),
//!         _ => {}
//!     }
//! }
//! let found = index.exact(&path, 7)?;
//! assert_eq!(found.step.map(|record| record.step), Some(7));
//! # Ok(())
//! # }
//! ```

use std::fs::File;
use std::io;
use std::path::Path;

use crate::disk::{self, At};
use crate::error::{Error, Result};
use crate::event::{Evaluation, Event, Record, Split, Weights};
use crate::follow::Lines;

/// Most entries of an index.
pub const ENTRIES: usize = 1 << 16;
/// Bytes of a log after which [`exact`] stops.
pub const FURTHEST: u64 = 64 << 20;
/// Bytes of a log that [`Index::exact`] reads in search of the kinds that are rarer than steps.
const FURTHEST_BACK: u64 = 8 << 20;
/// How many times as many entries it goes back each time.
const FURTHER: usize = 8;

/// A sparse index from steps to bytes of the event log. It has at most [`ENTRIES`], a few megabytes,
/// whatever the run's length: when it is full every second one goes, and the distance between those
/// that come is twice what it was.
///
/// The first step after a resumption that abandoned some is always among them, and is one of those
/// that stay (the latest 32,768 such ones at least). So the part of the log from
/// [`before`](Self::before) of a step up to that step is of the one line of time that holds.
#[derive(Debug, Clone)]
pub struct Index {
    /// With ascending steps, and ascending bytes.
    entries: Vec<Entry>,
    /// Most entries.
    most: usize,
    /// One of so many steps gets an entry.
    stride: u64,
    /// Steps since the last one that got an entry.
    since: u64,
    /// The last step.
    last: Option<u64>,
    /// The step up to which the run was cut, until the first step after that.
    cut: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    step: u64,
    /// The byte at which its line begins.
    at: u64,
    /// The step from which the run went on, where this is the first after that and others were
    /// abandoned.
    resumed: Option<u64>,
}

impl Default for Index {
    fn default() -> Self {
        Index::new()
    }
}

impl Index {
    /// An empty index.
    pub fn new() -> Index {
        Index::with_at_most(ENTRIES)
    }

    fn with_at_most(most: usize) -> Index {
        Index { entries: Vec::new(), most, stride: 1, since: 0, last: None, cut: None }
    }

    /// Takes up a [`Step`](Event::Step) record whose line begins at the byte `at`. Steps ascend; one
    /// that does not is ignored.
    pub fn push(&mut self, step: u64, at: u64) {
        if self.last.is_some_and(|last| step <= last) {
            return;
        }
        self.last = Some(step);
        self.since += 1;
        if self.since < self.stride && self.cut.is_none() && !self.entries.is_empty() {
            return;
        }
        if self.entries.len() >= self.most {
            self.thin();
        }
        self.entries.push(Entry { step, at, resumed: self.cut.take() });
        self.since = 0;
    }

    /// Forgets all steps after `step`: the run went on from there, at a
    /// [`Resumed`](Event::Resumed) record.
    pub fn truncate_after(&mut self, step: u64) {
        if self.last.is_none_or(|last| last <= step) {
            return;
        }
        self.entries.truncate(self.up_to(step));
        self.last = Some(step);
        self.cut = Some(step);
    }

    /// The byte at which the line of the greatest indexed step up to `step` begins. Nothing where
    /// no step is so early.
    pub fn before(&self, step: u64) -> Option<u64> {
        self.entries[..self.up_to(step)].last().map(|entry| entry.at)
    }

    /// The exact values at a step: the last record of each kind up to it, as [`exact`] finds them
    /// from [`before`](Self::before) on; and those that are not there are looked for in what comes
    /// before that, back over resumptions, as far as 8 MiB of the log allow.
    ///
    /// What a run recorded between a resumption and its first step counts as not recorded, unless
    /// nothing was abandoned.
    ///
    /// # Errors
    /// As [`exact`].
    pub fn exact(&self, path: &Path, step: u64) -> Result<Exact> {
        let mut found = Exact::default();
        let mut end = self.up_to(step);
        if end == 0 {
            return Ok(found);
        }
        let file = open(path)?;
        // Beyond the last step there may be abandoned ones, after which no step has come yet.
        let mut until = self.last.map_or(step, |last| step.min(last));
        let (mut reach, mut left) = (1, FURTHEST);
        while end > 0 {
            let seam = self.entries[..end].iter().rposition(|entry| entry.resumed.is_some());
            let begin = end.saturating_sub(reach).max(seam.unwrap_or(0));
            let Entry { step: first, at, resumed } = self.entries[begin];
            let (part, bytes) = gather(&file, at, until, left).at("read", path)?;
            found.complete(part);
            left = match reach {
                1 => FURTHEST_BACK,
                _ => left.saturating_sub(bytes),
            };
            if found.is_complete() || left == 0 {
                break;
            }
            (end, reach) = (begin, reach.saturating_mul(FURTHER));
            until = match resumed {
                Some(step) => step,
                None => first.saturating_sub(1),
            };
        }
        Ok(found)
    }

    /// How many entries are of steps up to `step`.
    fn up_to(&self, step: u64) -> usize {
        self.entries.partition_point(|entry| entry.step <= step)
    }

    /// Lets every second entry go, but for those that begin a line of time.
    fn thin(&mut self) {
        let seams = self.entries.iter().filter(|entry| entry.resumed.is_some()).count();
        if seams > self.most / 2 {
            // There must be an end to it, so the oldest ones become as the others.
            let oldest = self.entries.iter_mut().filter(|entry| entry.resumed.is_some());
            oldest.take(seams - self.most / 2).for_each(|entry| entry.resumed = None);
        }
        let mut stays = false;
        self.entries.retain(|entry| {
            stays = !stays;
            stays || entry.resumed.is_some()
        });
        self.stride = self.stride.saturating_mul(2);
    }
}

/// The last record of each kind up to some step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exact {
    /// The inner step: an [`Event::Step`].
    pub step: Option<Record>,
    /// The sync: an [`Event::Sync`].
    pub sync: Option<Record>,
    /// The losses on the probe batch: an [`Event::Probe`].
    pub probe: Option<Record>,
    /// The evaluation of φ, or of the average, on the validation split: an [`Event::Evaluation`].
    pub slow: Option<Record>,
    /// The same of θ.
    pub fast: Option<Record>,
}

impl Exact {
    fn fields(&mut self) -> [&mut Option<Record>; 5] {
        [&mut self.step, &mut self.sync, &mut self.probe, &mut self.slow, &mut self.fast]
    }

    /// Which of the fields an event belongs in.
    fn field(event: &Event) -> Option<usize> {
        match event {
            Event::Step(_) => Some(0),
            Event::Sync(_) => Some(1),
            Event::Probe(_) => Some(2),
            Event::Evaluation(Evaluation { split: Split::Validation, weights, .. }) => {
                Some(match weights {
                    // No run has both.
                    Weights::Slow | Weights::Average => 3,
                    Weights::Fast => 4,
                })
            }
            _ => None,
        }
    }

    /// Takes what is missing from an earlier part of the log.
    fn complete(&mut self, mut earlier: Exact) {
        for (mine, other) in self.fields().into_iter().zip(earlier.fields()) {
            if mine.is_none() {
                *mine = other.take();
            }
        }
    }

    fn is_complete(&mut self) -> bool {
        self.fields().iter().all(|field| field.is_some())
    }
}

/// The exact values at a step: the last record of each kind up to `step`, of those that the log has
/// from the byte `at` on. It reads up to the first step beyond, and [`FURTHEST`] bytes at most.
///
/// `at` is where a line begins, as [`Index::before`] of `step` tells, for a step that the run has
/// taken: then no line of time ends between the two. Otherwise it could be that the first step beyond
/// is of an abandoned line of time, and that what holds comes after it. A `resumed` record before the first
/// step beyond is heeded: what it abandons is not among what is found.
///
/// Lines that are no event are passed over, and there is nothing at or after a torn last line.
///
/// # Errors
/// [`Error::LogMissing`] if there is no such file; where the system does not let it be read, or it
/// is no plain file.
pub fn exact(path: &Path, at: u64, step: u64) -> Result<Exact> {
    let file = open(path)?;
    gather(&file, at, step, FURTHEST).at("read", path).map(|(found, _)| found)
}

fn open(path: &Path) -> Result<File> {
    match disk::open_plain(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            Err(Error::LogMissing { path: path.to_owned() })
        }
        result => result.at("read", path),
    }
}

/// What [`exact`] returns, and how many bytes it took.
fn gather(file: &File, at: u64, step: u64, most: u64) -> io::Result<(Exact, u64)> {
    // A resumption brings back what was the last one before, so all of them are kept: each with its
    // step and byte, which is little next to the record.
    let mut all: [Vec<(u64, u64)>; 5] = Default::default();
    let mut lines = Lines::new(file.try_clone()?, at);
    while lines.start - at < most {
        let Some(line) = lines.next()? else { break };
        let Ok(record) = line.parse() else { continue };
        match record.event {
            Event::Step(_) if record.step > step => break,
            Event::Resumed(_) => {
                for found in &mut all {
                    while found.pop_if(|(step, _)| *step > record.step).is_some() {}
                }
            }
            ref event => {
                if let Some(field) = Exact::field(event).filter(|_| record.step <= step) {
                    all[field].push((record.step, line.at));
                }
            }
        }
    }
    let mut found = Exact::default();
    for (field, all) in found.fields().into_iter().zip(&all) {
        if let Some((_, at)) = all.last() {
            let mut lines = Lines::new(file.try_clone()?, *at);
            *field = lines.next()?.and_then(|line| line.parse().ok());
        }
    }
    Ok((found, lines.start - at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::path::PathBuf;

    use proptest::prelude::*;
    use tempfile::{TempDir, tempdir};

    use crate::event::{Probe, Sync};
    use crate::follow::{Followed, Follower};
    use crate::log::{self, LARGEST_LINE};
    use crate::testing::{append_all, resumed, step};

    fn log_path() -> (TempDir, PathBuf) {
        let temp = tempdir().unwrap();
        let path = temp.path().join("events.jsonl");
        (temp, path)
    }

    /// Records of the other kinds, marked with a number of the caller's.
    fn sync(step: u64, sync: u64) -> Record {
        let (distance, gradient_norm) = (None, None);
        let event = Sync { sync, alpha: 0.5, distance, gradient_norm, last: false };
        Record { time: 0.0, step, event: Event::Sync(event) }
    }

    fn probe(step: u64, sync: u64) -> Record {
        let event = Probe { sync, fast_loss: 0.5, slow_loss: 0.25, seconds: 0.0 };
        Record { time: 0.0, step, event: Event::Probe(event) }
    }

    fn evaluation(step: u64, samples: u64, split: Split, weights: Weights) -> Record {
        let event = Evaluation {
            weights,
            split,
            loss: 0.5,
            accuracy: 0.5,
            samples,
            seconds: 0.0,
            model_step: None,
        };
        Record { time: 0.0, step, event: Event::Evaluation(event) }
    }

    fn index_of(path: &Path, most: usize) -> Index {
        let mut index = Index::with_at_most(most);
        for item in Follower::new(path).read(usize::MAX).unwrap() {
            let Followed::Record { record, at } = item else { continue };
            match record.event {
                Event::Step(_) => index.push(record.step, at),
                Event::Resumed(_) => index.truncate_after(record.step),
                _ => {}
            }
            assert!(index.entries.len() <= most);
        }
        index
    }

    /// The records that hold, as [`log::read`] has them, each with its byte.
    fn with_bytes(path: &Path) -> Vec<(Record, u64)> {
        let mut all: Vec<(Record, u64)> = Vec::new();
        for item in Follower::new(path).read(usize::MAX).unwrap() {
            let Followed::Record { record, at } = item else { panic!("{item:?}") };
            if let Event::Resumed(_) = record.event {
                all.retain(|(earlier, _)| earlier.step <= record.step);
            }
            all.push((record, at));
        }
        let records: Vec<_> = all.iter().map(|(record, _)| record.clone()).collect();
        assert_eq!(records, log::read(path).unwrap());
        all
    }

    /// The last of each kind up to a step among those from a byte on.
    fn expected(all: &[(Record, u64)], from: u64, step: u64) -> Exact {
        let last = |is: &dyn Fn(&Event) -> bool| {
            let mut those = all
                .iter()
                .filter(|(record, at)| *at >= from && record.step <= step && is(&record.event));
            those.next_back().map(|(record, _)| record.clone())
        };
        let evaluated = |event: &Event, which| matches!(event, Event::Evaluation(found) if found.split == Split::Validation && found.weights == which);
        Exact {
            step: last(&|event| matches!(event, Event::Step(_))),
            sync: last(&|event| matches!(event, Event::Sync(_))),
            probe: last(&|event| matches!(event, Event::Probe(_))),
            slow: last(&|event| evaluated(event, Weights::Slow)),
            fast: last(&|event| evaluated(event, Weights::Fast)),
        }
    }

    #[test]
    fn a_full_index_keeps_every_second_entry_and_goes_on_twice_as_sparsely() {
        let mut index = Index::new();
        let last = 1_000_000;
        let mut most = 0;
        for step in 1..=last {
            index.push(step, 100 * step);
            most = most.max(index.entries.len());
        }
        assert_eq!(most, ENTRIES);
        assert!(index.entries.len() > ENTRIES / 2 - 1, "{}", index.entries.len());
        let steps: Vec<_> = index.entries.iter().map(|entry| entry.step).collect();
        assert_eq!(steps[0], 1);
        let widest = steps.windows(2).map(|pair| pair[1] - pair[0]).max();
        // 1,000,000 / 65,536, rounded up to a power of two.
        assert!(widest <= Some(16 + 1), "{widest:?}");
        for step in [1, 2, 17, 65_536, 65_537, 500_000, last, u64::MAX] {
            let at = index.before(step).unwrap();
            assert!(
                at <= step.saturating_mul(100) && at + 2 * 1600 > 100 * step.min(last),
                "{step}: {at}"
            );
        }
        assert_eq!(index.before(0), None);
    }

    #[test]
    fn steps_that_do_not_ascend_are_ignored() {
        let mut index = Index::default();
        assert_eq!(index.before(u64::MAX), None);
        for (step, at) in [(5, 0), (5, 10), (4, 20), (6, 30)] {
            index.push(step, at);
        }
        assert_eq!([4, 5, 6].map(|step| index.before(step)), [None, Some(0), Some(30)]);
        // Further on than it has come there is nothing to forget.
        index.truncate_after(6);
        index.push(7, 40);
        assert_eq!(index.before(7), Some(40));
        index.truncate_after(5);
        assert_eq!([5, 6, 7].map(|step| index.before(step)), [Some(0); 3]);
        index.push(6, 50);
        assert_eq!([5, 6, 7].map(|step| index.before(step)), [Some(0), Some(50), Some(50)]);
    }

    #[test]
    fn however_often_a_run_is_resumed_its_index_is_bounded_and_the_latest_lines_of_time_begin_right()
     {
        let most = 16;
        let mut index = Index::with_at_most(most);
        let mut at = 0;
        for first in 1..1000 {
            // Two steps, the second of which is abandoned.
            for step in [first, first + 1] {
                at += 1;
                index.push(step, at);
                assert!(index.entries.len() <= most);
            }
            index.truncate_after(first);
        }
        let seams = index.entries.iter().rev().take(most / 2);
        let steps: Vec<_> = seams.map(|entry| (entry.step, entry.at, entry.resumed)).collect();
        let right = |step: u64| (step, 2 * step - 1, Some(step - 1));
        assert_eq!(steps, (0..most as u64 / 2).map(|i| right(999 - i)).collect::<Vec<_>>());
    }

    #[test]
    fn the_exact_values_are_of_the_line_of_time_that_holds() {
        let (_temp, path) = log_path();
        let slow = |step, mark| evaluation(step, mark, Split::Validation, Weights::Slow);
        let test = |step, mark| evaluation(step, mark, Split::Test, Weights::Slow);
        append_all(&path, &[step(1, 0.5), sync(1, 10), step(2, 0.5), slow(2, 20), test(2, 21)]);
        append_all(&path, &[step(3, 0.5), sync(3, 30), probe(3, 30), step(4, 0.5), sync(4, 40)]);
        append_all(&path, &[resumed(2), step(3, 0.25), probe(3, 31), step(4, 0.25)]);
        let index = index_of(&path, ENTRIES);
        let at = |step| exact(&path, index.before(step).unwrap(), step).unwrap();
        assert_eq!(at(1), Exact { step: Some(step(1, 0.5)), sync: Some(sync(1, 10)), ..at(9) });
        let found = at(2);
        assert_eq!((found.step, found.slow), (Some(step(2, 0.5)), Some(slow(2, 20))));
        assert_eq!(found.sync, None, "it is before the byte that was read from");
        let found = at(3);
        assert_eq!((found.step, found.probe), (Some(step(3, 0.25)), Some(probe(3, 31))));
        assert_eq!(found.sync, None, "it was abandoned");
        assert_eq!(at(9), Exact { step: Some(step(4, 0.25)), ..Exact::default() });

        let at = |step| index.exact(&path, step).unwrap();
        assert_eq!(at(0), Exact::default());
        assert_eq!(
            at(4),
            Exact {
                step: Some(step(4, 0.25)),
                sync: Some(sync(1, 10)),
                probe: Some(probe(3, 31)),
                slow: Some(slow(2, 20)),
                fast: None,
            }
        );
        // From the beginning as well, as long as no step beyond comes first.
        assert_eq!(exact(&path, 0, 4).unwrap(), at(4));
        append_all(&path, &[resumed(3)]);
        assert_eq!(exact(&path, 0, 4).unwrap(), at(3), "what was abandoned is not the last one");
    }

    #[test]
    fn steps_may_be_recorded_now_and_then_only() {
        let (_temp, path) = log_path();
        append_all(&path, &[step(10, 0.5), sync(12, 12), sync(18, 18), step(20, 0.5)]);
        append_all(&path, &[resumed(15), step(30, 0.25), sync(8, 8)]);
        let at = |step| exact(&path, 0, step).unwrap().sync;
        assert_eq!([10, 11, 12, 17].map(at), [None, None, Some(sync(12, 12)), Some(sync(12, 12))]);
        assert_eq!(at(25), Some(sync(12, 12)), "nothing is read after the first step beyond");
        let index = index_of(&path, ENTRIES);
        let found = index.exact(&path, 29).unwrap();
        assert_eq!((found.step, found.sync), (Some(step(10, 0.5)), Some(sync(12, 12))));

        // Of an abandoned line of time that went further than the one that holds.
        append_all(&path, &[probe(30, 30), step(40, 0.25), probe(48, 48), step(50, 0.25)]);
        append_all(&path, &[step(70, 0.25), resumed(45), step(60, 0.125)]);
        let found = index_of(&path, ENTRIES).exact(&path, 60).unwrap();
        assert_eq!((found.step, found.probe), (Some(step(60, 0.125)), Some(probe(30, 30))));
        assert_eq!(found.sync, Some(sync(8, 8)));
    }

    #[test]
    fn lines_that_are_no_event_are_passed_over() {
        let (_temp, path) = log_path();
        let line = |record| [&serde_json::to_vec(&record).unwrap()[..], b"\n"].concat();
        let bytes = [
            line(step(1, 0.5)),
            b"7\n\n\0\xff\n{\"time\":1.0,\"st\n".to_vec(),
            [&b"x".repeat(LARGEST_LINE + 1)[..], b"\n"].concat(),
            line(sync(1, 10)),
            line(step(2, 0.5)),
            b"{\"event\":\"moon\",\"step\":2,\"time\":1.0}\n".to_vec(),
            line(sync(2, 20))[..30].to_vec(),
        ];
        fs::write(&path, bytes.concat()).unwrap();
        let whole = Exact { step: Some(step(2, 0.5)), sync: Some(sync(1, 10)), ..Exact::default() };
        assert_eq!(exact(&path, 0, 2).unwrap(), whole);
        // A byte in the middle of a line, and bytes beyond the end.
        assert_eq!(exact(&path, 3, 2).unwrap(), whole);
        assert_eq!(exact(&path, 1 << 40, 2).unwrap(), Exact::default());
        assert!(exact(&path, u64::MAX, 2).is_err(), "no file is so long");
    }

    #[test]
    fn no_more_is_read_than_is_allowed() {
        let (_temp, path) = log_path();
        append_all(&path, &[step(1, 0.5)]);
        // Lines of NULs, on a disk a hole but for their line feeds.
        let mut file = File::options().append(true).open(&path).unwrap();
        for length in 1..=FURTHEST / (1 << 20) {
            file.set_len(length << 20).unwrap();
            file.write_all(b"\n").unwrap();
        }
        let last = serde_json::to_string(&sync(1, 10)).unwrap();
        writeln!(file, "{last}").unwrap();
        let found = exact(&path, 0, 1).unwrap();
        assert_eq!(found, Exact { step: Some(step(1, 0.5)), ..Exact::default() });
        let found = exact(&path, 1 << 20, 1).unwrap();
        assert_eq!(found, Exact { sync: Some(sync(1, 10)), ..Exact::default() });
    }

    #[test]
    fn a_missing_log_is_named_and_a_folder_is_none() {
        let (temp, path) = log_path();
        let error = exact(&path, 0, 1).unwrap_err();
        assert!(matches!(error, Error::LogMissing { .. }), "{error}");
        let error = exact(temp.path(), 0, 1).unwrap_err();
        assert!(error.to_string().contains("no plain file"), "{error}");
    }

    /// What happens in a run that is made up.
    #[derive(Debug, Clone)]
    enum Happens {
        /// A step, and which of the other kinds follow.
        Step([bool; 5]),
        /// It goes on from so many steps before.
        Resumed(u64),
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        /// Whatever is looked up in an index of whatever density is what reading all of the log
        /// finds.
        #[test]
        fn what_is_looked_up_is_what_reading_everything_finds(
            happens in prop::collection::vec(
                prop_oneof![
                    12 => any::<[bool; 5]>().prop_map(Happens::Step),
                    1 => (0u64..20).prop_map(Happens::Resumed),
                ],
                1..100,
            ),
            most in prop::sample::select(&[24, 32, 1000][..]),
        ) {
            let (_temp, path) = log_path();
            let mut records = Vec::new();
            let mut now = 0;
            let mut resumptions = 0;
            for (mark, what) in (0..).zip(happens) {
                match what {
                    // More lines of time than an index of this size can tell apart.
                    Happens::Resumed(_) if resumptions >= most / 2 => {}
                    Happens::Resumed(back) => {
                        now -= back.min(now);
                        resumptions += 1;
                        records.push(resumed(now));
                    }
                    Happens::Step(kinds) => {
                        now += 1;
                        records.push(step(now, mark as f64));
                        let others = [
                            sync(now, mark),
                            probe(now, mark),
                            evaluation(now, mark, Split::Validation, Weights::Slow),
                            evaluation(now, mark, Split::Validation, Weights::Fast),
                            evaluation(now, mark, Split::Test, Weights::Slow),
                        ];
                        let those = others.into_iter().zip(kinds).filter(|(_, is_there)| *is_there);
                        records.extend(those.map(|(record, _)| record));
                    }
                }
            }
            let line = |record| [&serde_json::to_vec(record).unwrap()[..], b"\n"].concat();
            fs::write(&path, records.iter().flat_map(line).collect::<Vec<_>>()).unwrap();
            let all = with_bytes(&path);
            let index = index_of(&path, most);
            for step in 0..now + 2 {
                let whole = expected(&all, 0, step);
                prop_assert_eq!(&index.exact(&path, step).unwrap(), &whole, "step {}", step);
                let Some(at) = index.before(step) else {
                    prop_assert_eq!(whole.step, None);
                    continue;
                };
                // What an index was not told of it can't tell.
                if index.last.is_some_and(|last| step <= last) {
                    let found = exact(&path, at, step).unwrap();
                    prop_assert_eq!(found, expected(&all, at, step), "step {}", step);
                }
            }
            prop_assert_eq!(exact(&path, 0, u64::MAX).unwrap(), expected(&all, 0, u64::MAX));
        }
    }
}
