use super::*;

const IMAGE: [u8; 6] = [1, 2, 3, 4, 5, 6]; // two rows of three

fn changed(shift: (isize, isize), mirror: bool) -> Vec<u8> {
    let mut out = Vec::new();
    shift_flip(&IMAGE, [1, 2, 3], shift, mirror, &mut out);
    out
}

#[test]
fn shifts_bring_zeros_in_and_mirrors_reverse_rows() {
    assert_eq!(changed((0, 0), false), IMAGE);
    assert_eq!(changed((1, 0), false), [0, 0, 0, 1, 2, 3]);
    assert_eq!(changed((0, -1), false), [2, 3, 0, 5, 6, 0]);
    assert_eq!(changed((0, 0), true), [3, 2, 1, 6, 5, 4]);
    assert_eq!(changed((2, 2), false), [0; 6]);
}

#[test]
fn a_batch_is_changed_the_same_way_each_time() {
    let batch = |cursor| {
        let key = SampleKey { seed: 1, epoch: 2, cursor };
        let mut out = Vec::new();
        let images = (0..20).map(|_| &IMAGE[..]);
        Augment::ShiftFlip.apply(key, images, [1, 2, 3], &mut out);
        out
    };
    assert_eq!(batch(5), batch(5));
    assert_ne!(batch(5), batch(6));
}
