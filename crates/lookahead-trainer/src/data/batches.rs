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
#[derive(Debug, Clone)]
pub struct Batches {
    count: usize,
    batch_size: usize,
    /// This process's number, and how many there are.
    rank: usize,
    size: usize,
    seed: u64,
    epoch: u64,
    cursor: u64,
    order: Vec<usize>,
}

impl Batches {
    /// The position before batch `cursor` of `epoch`, both from 0, in `count` samples.
    pub fn new(count: usize, batch_size: usize, seed: u64, epoch: u64, cursor: u64) -> Self {
        let order = shuffled(count, seed, epoch);
        Batches { count, batch_size, rank: 0, size: 1, seed, epoch, cursor, order }
    }

    /// The same for the process `rank` of `size`. There must be at least as many samples as processes.
    #[must_use]
    pub fn for_rank(self, rank: usize, size: usize) -> Self {
        Batches { rank, size, ..self }
    }

    /// Batches in an epoch.
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

    /// Samples of a full batch of all processes together.
    pub fn global_batch_size(&self) -> usize {
        self.batch_size.saturating_mul(self.size)
    }

    /// Samples of the smallest batch that a process takes in an epoch, which is the last one.
    pub fn smallest_batch(&self) -> usize {
        let before = (self.per_epoch() as usize - 1) * self.global_batch_size();
        self.batch_size.min((self.count - before) / self.size)
    }

    /// Epochs completed.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Batches taken in this epoch.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// What fixes the random changes of this process's next batch. No two batches of a run have the same one.
    pub fn key(&self) -> SampleKey {
        let cursor = self.cursor * self.size as u64 + self.rank as u64;
        SampleKey { seed: self.seed, epoch: self.epoch, cursor }
    }

    /// The indices of this process's next batch.
    pub fn current(&self) -> &[usize] {
        &self.order[share(self.global_batch(), self.rank, self.size)]
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

    /// Moves to the next batch; whether that completed an epoch.
    pub fn advance(&mut self) -> bool {
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
