//! A checksum for bytes that are read back right after they were written.

/// Bytes that are taken at once.
const BLOCK: usize = 32;
/// An odd number with an irregular pattern of bits.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// A checksum of 64 bits, many times as fast as SHA-256, for accidents only: a disk that returns other bytes. Others
/// have the same one with a probability of 2⁻⁶⁴; if only one word of eight bytes differs, never. It is not kept
/// anywhere, so it may change from version to version.
#[derive(Debug, Clone)]
pub(crate) struct Checksum {
    lanes: [u64; BLOCK / 8],
    /// The start of a block that is not complete.
    rest: Vec<u8>,
    bytes: u64,
}

impl Default for Checksum {
    fn default() -> Self {
        // Different ones, so that words that change places are noticed.
        Checksum { lanes: [1, 2, 3, 4], rest: Vec::with_capacity(BLOCK), bytes: 0 }
    }
}

impl Checksum {
    /// Adds bytes. Only their sequence counts, not how it is cut into pieces.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if !self.rest.is_empty() {
            let missing = bytes.len().min(BLOCK - self.rest.len());
            self.rest.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            let (complete, _) = self.rest.as_chunks::<BLOCK>();
            let [block] = complete else { return };
            add(&mut self.lanes, block);
            self.rest.clear();
        }
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        let mut lanes = self.lanes;
        for block in blocks {
            add(&mut lanes, block);
        }
        self.lanes = lanes;
        self.rest.extend_from_slice(rest);
    }

    /// The checksum of all bytes.
    pub(crate) fn finish(mut self) -> u64 {
        self.rest.resize(BLOCK, 0);
        if let (&[block], _) = self.rest.as_chunks::<BLOCK>() {
            add(&mut self.lanes, &block);
        }
        self.lanes.iter().fold(self.bytes, |sum, &lane| mix(sum, lane))
    }
}

fn add(lanes: &mut [u64; BLOCK / 8], block: &[u8; BLOCK]) {
    for (lane, word) in lanes.iter_mut().zip(block.as_chunks().0) {
        *lane = mix(*lane, u64::from_le_bytes(*word));
    }
}

/// Different results for different words, and for different sums.
fn mix(sum: u64, word: u64) -> u64 {
    (sum ^ word).wrapping_mul(FACTOR).rotate_left(29)
}

#[cfg(test)]
mod tests;
