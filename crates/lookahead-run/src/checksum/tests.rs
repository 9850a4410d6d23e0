use proptest::prelude::*;

use super::*;

fn of(bytes: &[u8]) -> u64 {
    let mut sum = Checksum::default();
    sum.update(bytes);
    sum.finish()
}

proptest! {
    #[test]
    fn pieces_of_any_length_make_the_same_sum(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..10)
    ) {
        let mut sum = Checksum::default();
        pieces.iter().for_each(|piece| sum.update(piece));
        prop_assert_eq!(sum.finish(), of(&pieces.concat()));
    }

    #[test]
    fn one_changed_byte_is_noticed(
        bytes in prop::collection::vec(any::<u8>(), 1..200), at: prop::sample::Index, to: u8
    ) {
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] = to;
        prop_assert_eq!(of(&changed) == of(&bytes), changed == bytes);
    }
}

#[test]
fn missing_zeros_and_exchanged_words_are_noticed() {
    assert_ne!(of(&[0; 64]), of(&[0; 63]));
    assert_ne!(of(&[]), of(&[0]));
    let words: Vec<u8> = (0..64).collect();
    for (one, other) in [(0, 8), (0, 32), (24, 32)] {
        let mut exchanged = words.clone();
        (0..8).for_each(|byte| exchanged.swap(one + byte, other + byte));
        assert_ne!(of(&exchanged), of(&words));
    }
}
