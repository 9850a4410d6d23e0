//! Which samples make the next batch.
//!
//! The order of an epoch is a function of seed and epoch alone, so a resumed run needs no saved
//! generator, and changes of library leave it as it is: ChaCha8 is specified, and the shuffle is
//! written out here.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A generator of its own for a purpose at a place in the run.
pub(crate) fn generator(seed: u64, epoch: u64, place: u64, purpose: &[u8; 8]) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (part, bytes) in key.chunks_exact_mut(8).zip([
        seed.to_le_bytes(),
        epoch.to_le_bytes(),
        place.to_le_bytes(),
        *purpose,
    ]) {
        part.copy_from_slice(&bytes);
    }
    ChaCha8Rng::from_seed(key)
}

/// A uniform number below `bound`, without the bias of a plain remainder.
pub(crate) fn below(generator: &mut ChaCha8Rng, bound: u64) -> u64 {
    // Numbers under 2⁶⁴ mod bound would make the small remainders likelier: draw again.
    let biased = bound.wrapping_neg() % bound;
    loop {
        let drawn = generator.next_u64();
        if drawn >= biased {
            return drawn % bound;
        }
    }
}

/// Fisher and Yates's shuffle of 0..count.
fn shuffled(count: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut generator = generator(seed, epoch, 0, b"shuffle ");
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        order.swap(i, below(&mut generator, i as u64 + 1) as usize);
    }
    order
}

/// A walk over the training set: every sample once an epoch, in a new order each time; the last
/// batch of an epoch may be smaller.
///
/// Several processes walk together, each on its share of what lies under the cursor, which is a batch for
/// each of them. What is left at the end of an epoch is shared out too: where that is less than one sample
/// each, it goes with the batches before, some of which then have one more.
#[derive(Debug)]
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
    /// A walk over `count` samples that stands before batch `cursor` of `epoch`, both from 0.
    pub fn new(count: usize, batch_size: usize, seed: u64, epoch: u64, cursor: u64) -> Self {
        let order = shuffled(count, seed, epoch);
        Batches { count, batch_size, rank: 0, size: 1, seed, epoch, cursor, order }
    }

    /// The share of the process `rank` of `size` in the same walk; there are at least as many samples.
    #[must_use]
    pub fn shared(self, rank: usize, size: usize) -> Self {
        Batches { rank, size, ..self }
    }

    /// Batches in an epoch.
    pub fn per_epoch(&self) -> u64 {
        let together = self.whole();
        let (whole, left) = (self.count / together, self.count % together);
        (whole + usize::from(left >= self.size || whole == 0)) as u64
    }

    /// Samples in an epoch, of all processes.
    pub fn samples(&self) -> usize {
        self.count
    }

    /// Samples of a whole batch of all processes; an epoch may have fewer.
    pub fn whole(&self) -> usize {
        self.batch_size.saturating_mul(self.size)
    }

    /// Samples of a whole batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Samples of the smallest batch that a process takes in an epoch: at its end, where they don't come
    /// out even.
    pub fn smallest(&self) -> usize {
        let before = (self.per_epoch() as usize - 1) * self.whole();
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

    /// The indices of the batch where the walk stands.
    pub fn current(&self) -> &[usize] {
        &self.order[share(self.current_range(), self.rank, self.size)]
    }

    /// Samples that all processes together take in this step.
    pub fn global_batch_len(&self) -> usize {
        self.current_range().len()
    }

    fn current_range(&self) -> Range<usize> {
        let together = self.whole();
        let start = self.cursor as usize * together;
        let last = self.cursor + 1 == self.per_epoch();
        start..if last { self.count } else { start + together }
    }

    /// Goes on to the next batch; tells whether that completed an epoch.
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

/// The part of `all` that is a rank's, as even as can be.
pub fn share(all: Range<usize>, rank: usize, size: usize) -> Range<usize> {
    let (base, extra) = (all.len() / size, all.len() % size);
    let start = all.start + rank * base + rank.min(extra);
    start..start + base + usize::from(rank < extra)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(walk: &mut Batches) -> Vec<Vec<usize>> {
        let mut batches = Vec::new();
        loop {
            batches.push(walk.current().to_vec());
            if walk.advance() {
                return batches;
            }
        }
    }

    #[test]
    fn every_sample_once_an_epoch_in_a_new_order() {
        let mut walk = Batches::new(10, 4, 7, 0, 0);
        assert_eq!(walk.per_epoch(), 3);
        let first = epoch(&mut walk);
        assert_eq!(first.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
        let mut all = first.concat();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        assert_eq!((walk.epoch(), walk.cursor()), (1, 0));
        assert_ne!(first, epoch(&mut walk));
    }

    #[test]
    fn a_walk_goes_on_from_any_place() {
        let mut whole = Batches::new(100, 7, 3, 0, 0);
        let all: Vec<Vec<usize>> = (0..40)
            .map(|_| {
                let batch = whole.current().to_vec();
                whole.advance();
                batch
            })
            .collect();
        for (taken, batch) in all.iter().enumerate() {
            let per_epoch = whole.per_epoch();
            let walk = Batches::new(100, 7, 3, taken as u64 / per_epoch, taken as u64 % per_epoch);
            assert_eq!(walk.current(), &batch[..]);
        }
    }

    #[test]
    fn several_processes_take_every_sample_once_and_none_goes_without() {
        for (count, batch_size, size) in
            [(100, 7, 3), (101, 10, 2), (9, 4, 2), (25, 4, 3), (24, 4, 3), (3, 8, 3), (50, 1, 4)]
        {
            let walk = |rank| Batches::new(count, batch_size, 7, 0, 0).shared(rank, size);
            let ranks: Vec<_> = (0..size).map(|rank| epoch(&mut walk(rank))).collect();
            assert!(ranks.iter().all(|batches| batches.len() == ranks[0].len()));
            assert_eq!(ranks[0].len() as u64, walk(0).per_epoch());
            let batches = || ranks.iter().flatten();
            assert_eq!(batches().map(Vec::len).min().unwrap(), walk(0).smallest());
            assert!(batches().all(|batch| !batch.is_empty() && batch.len() <= batch_size + 1));
            let mut all: Vec<usize> = batches().flatten().copied().collect();
            // In each step together what one process alone would have with larger batches.
            let mut alone = Batches::new(count, batch_size * size, 7, 0, 0);
            let mut first: Vec<usize> =
                ranks.iter().flat_map(|batches| batches[0].clone()).collect();
            first.sort_unstable();
            let mut expected = alone.current().to_vec();
            expected.sort_unstable();
            if ranks[0].len() > 1 {
                assert_eq!(first, expected);
            }
            all.sort_unstable();
            assert_eq!(all, (0..count).collect::<Vec<_>>(), "{count}, {batch_size}, {size}");
            assert!(alone.per_epoch() >= walk(0).per_epoch());
            alone.advance();
        }
    }

    /// Runs made by other versions resume only while this order stays: these values are part of
    /// the checkpoint format. They come from `tests/golden/order.py`, which writes ChaCha8 out.
    #[test]
    fn the_order_of_seed_0_is_fixed() {
        assert_eq!(Batches::new(10, 10, 0, 0, 0).current(), FIRST);
        assert_eq!(Batches::new(10, 10, 0, 1, 0).current(), SECOND);
    }

    const FIRST: [usize; 10] = [8, 7, 1, 9, 0, 6, 4, 3, 2, 5];
    const SECOND: [usize; 10] = [4, 2, 0, 1, 3, 8, 5, 6, 7, 9];

    #[test]
    fn bounded_numbers_are_uniform() {
        let mut generator = generator(1, 2, 3, b"testing ");
        let mut counts = [0u32; 3];
        for _ in 0..30_000 {
            counts[below(&mut generator, 3) as usize] += 1;
        }
        // Five standard deviations of a binomial with p = 1/3: √(30000 · 2/9) ≈ 82.
        assert!(counts.iter().all(|&n| n.abs_diff(10_000) < 410), "{counts:?}");
    }

    #[test]
    fn shares_are_even_and_together_all() {
        for (count, size) in [(10, 1), (10, 3), (2, 4), (0, 2), (12, 4)] {
            let shares: Vec<_> = (0..size).map(|rank| share(5..5 + count, rank, size)).collect();
            let all: Vec<usize> = shares.iter().cloned().flatten().collect();
            assert_eq!(all, (5..5 + count).collect::<Vec<_>>());
            let lengths: Vec<usize> = shares.iter().map(Range::len).collect();
            assert!(lengths.iter().max().unwrap() - lengths.iter().min().unwrap() <= 1);
        }
    }
}
