//! Random numbers that are a function of seed, epoch and batch, so that no generator has to be saved.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Identifies a batch of a run. It fixes the batch's random changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleKey {
    /// `train.seed`.
    pub seed: u64,
    /// Epochs completed.
    pub epoch: u64,
    /// Batches of this epoch taken.
    pub cursor: u64,
}

/// A generator for one purpose and one batch.
pub(crate) fn generator(key: SampleKey, purpose: &[u8; 8]) -> ChaCha8Rng {
    let parts = [key.seed, key.epoch, key.cursor].map(u64::to_le_bytes);
    let mut seed = [0; 32];
    seed[..24].copy_from_slice(parts.as_flattened());
    seed[24..].copy_from_slice(purpose);
    ChaCha8Rng::from_seed(seed)
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

/// 0..count in the order of Fisher and Yates's shuffle.
pub(crate) fn shuffled(count: usize, key: SampleKey, purpose: &[u8; 8]) -> Vec<usize> {
    let mut generator = generator(key, purpose);
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        order.swap(i, below(&mut generator, i as u64 + 1) as usize);
    }
    order
}

/// A uniform number from 0 to below 1, with 53 random bits.
pub(crate) fn fraction(generator: &mut ChaCha8Rng) -> f64 {
    (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests;
