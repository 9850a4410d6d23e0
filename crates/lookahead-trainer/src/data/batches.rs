//! Which samples make the next batch.
//!
//! The order of an epoch is a function of seed and epoch alone, so a resumed run needs no saved
//! generator, and changes of library leave it as it is: ChaCha8 is specified, and the shuffle is
//! written out here.

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
#[derive(Debug)]
pub struct Batches {
    count: usize,
    batch_size: usize,
    seed: u64,
    epoch: u64,
    cursor: u64,
    order: Vec<usize>,
}

impl Batches {
    /// A walk over `count` samples that stands before batch `cursor` of `epoch`, both from 0.
    pub fn new(count: usize, batch_size: usize, seed: u64, epoch: u64, cursor: u64) -> Self {
        let order = shuffled(count, seed, epoch);
        Batches { count, batch_size, seed, epoch, cursor, order }
    }

    /// Batches in an epoch.
    pub fn per_epoch(&self) -> u64 {
        self.count.div_ceil(self.batch_size) as u64
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
        let start = self.cursor as usize * self.batch_size;
        &self.order[start..(start + self.batch_size).min(self.count)]
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
}
