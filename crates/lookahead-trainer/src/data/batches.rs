//! Which samples make the next batch.
//!
//! The order of an epoch is a function of seed and epoch alone, so a resumed run needs no saved generator,
//! and other versions of a library don't change it: ChaCha8 is specified, and the shuffle is written out in `random`.

use std::ops::Range;

use super::random::{self, SampleKey};

/// The order of an epoch.
fn shuffled(count: usize, seed: u64, epoch: u64) -> Vec<usize> {
    random::shuffled(count, SampleKey { seed, epoch, cursor: 0 }, b"shuffle ")
}

/// The position in the training set: every sample once an epoch, in a new order each time. The last batch
/// of an epoch may be smaller.
///
/// With several processes, a global batch has one batch for each of them, and each takes its share. What is
/// left at the end of an epoch is shared out too. If that is less than one sample each, it is spread over the
/// batches before, some of which then have one more.
///
/// With gradient accumulation a step has several batches of each process. The position counts steps; within one,
/// the present batch is a part of the process's share. If a share is smaller, at the end of an epoch, it has fewer
/// parts. Their sizes differ by at most one.
#[derive(Debug, Clone)]
pub struct Batches {
    count: usize,
    batch_size: usize,
    /// This process's number, and how many there are.
    rank: usize,
    size: usize,
    /// Batches of a process in a step, and the number of the present one.
    accumulate: usize,
    part: usize,
    seed: u64,
    epoch: u64,
    cursor: u64,
    order: Vec<usize>,
}

impl Batches {
    /// The position before step `cursor` of `epoch`, both from 0, in `count` samples.
    pub fn new(count: usize, batch_size: usize, seed: u64, epoch: u64, cursor: u64) -> Self {
        let order = shuffled(count, seed, epoch);
        let (rank, size, accumulate, part) = (0, 1, 1, 0);
        Batches { count, batch_size, rank, size, accumulate, part, seed, epoch, cursor, order }
    }

    /// The same for the process `rank` of `size`. There must be at least as many samples as processes.
    #[must_use]
    pub fn for_rank(self, rank: usize, size: usize) -> Self {
        Batches { rank, size, ..self }
    }

    /// The same with this number of batches in a step of each process, at least 1.
    #[must_use]
    pub fn accumulating(self, batches: usize) -> Self {
        Batches { accumulate: batches, ..self }
    }

    /// Steps in an epoch.
    pub fn per_epoch(&self) -> u64 {
        let global = self.global_batch_size();
        let (full, left) = (self.count / global, self.count % global);
        (full + usize::from(left >= self.size || full == 0)) as u64
    }

    /// Samples in an epoch, of all processes.
    pub fn samples(&self) -> usize {
        self.count
    }

    /// Samples of a full batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Batches of a process in a full step.
    pub fn accumulate(&self) -> usize {
        self.accumulate
    }

    /// Samples of a full step of all processes together.
    pub fn global_batch_size(&self) -> usize {
        self.batch_size.saturating_mul(self.accumulate).saturating_mul(self.size)
    }

    /// Samples of the smallest batch that a process takes in an epoch, which is in its last step.
    pub fn smallest_batch(&self) -> usize {
        let before = (self.per_epoch() as usize - 1) * self.global_batch_size();
        let last = self.count - before;
        let (least, most) = (last / self.size, last.div_ceil(self.size));
        [least, most]
            .map(|share| share / self.parts_of(share))
            .into_iter()
            .fold(self.batch_size, usize::min)
    }

    /// Epochs completed.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Steps taken in this epoch.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// What fixes the random changes of this process's next batch. No two batches of a run have the same one.
    pub fn key(&self) -> SampleKey {
        let step = self.cursor * self.size as u64 + self.rank as u64;
        let cursor = step * self.accumulate as u64 + self.part as u64;
        SampleKey { seed: self.seed, epoch: self.epoch, cursor }
    }

    /// The indices of this process's next batch.
    pub fn current(&self) -> &[usize] {
        let all = self.step_range();
        let parts = self.parts_of(all.len());
        &self.order[share(all, self.part, parts)]
    }

    /// Samples that this process takes in this step.
    pub fn step_len(&self) -> usize {
        self.step_range().len()
    }

    fn step_range(&self) -> Range<usize> {
        share(self.global_batch(), self.rank, self.size)
    }

    /// How many batches a share of this many samples is.
    fn parts_of(&self, samples: usize) -> usize {
        samples.div_ceil(self.batch_size).clamp(1, self.accumulate)
    }

    /// Samples that all processes together take in this step.
    pub fn global_batch_len(&self) -> usize {
        self.global_batch().len()
    }

    fn global_batch(&self) -> Range<usize> {
        let global = self.global_batch_size();
        let start = self.cursor as usize * global;
        let last = self.cursor + 1 == self.per_epoch();
        start..if last { self.count } else { start + global }
    }

    /// Moves to the next batch of this step; false if there is none.
    pub fn next_part(&mut self) -> bool {
        let more = self.part + 1 < self.parts_of(self.step_len());
        self.part += usize::from(more);
        more
    }

    /// Moves to the next step; whether that completed an epoch.
    pub fn advance(&mut self) -> bool {
        self.part = 0;
        self.cursor += 1;
        if self.cursor < self.per_epoch() {
            return false;
        }
        self.epoch += 1;
        self.cursor = 0;
        self.order = shuffled(self.count, self.seed, self.epoch);
        true
    }
}

/// The part of `all` that belongs to a rank. The parts differ by at most one.
pub fn share(all: Range<usize>, rank: usize, size: usize) -> Range<usize> {
    let (base, extra) = (all.len() / size, all.len() % size);
    let start = all.start + rank * base + rank.min(extra);
    start..start + base + usize::from(rank < extra)
}

#[cfg(test)]
mod tests;
