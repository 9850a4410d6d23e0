use super::*;

#[test]
fn bounded_numbers_are_uniform() {
    let mut generator = generator(SampleKey { seed: 1, epoch: 2, cursor: 3 }, b"testing ");
    let mut counts = [0u32; 3];
    for _ in 0..30_000 {
        counts[below(&mut generator, 3) as usize] += 1;
    }
    // Five standard deviations of a binomial with p = 1/3: √(30000 · 2/9) ≈ 82.
    assert!(counts.iter().all(|&n| n.abs_diff(10_000) < 410), "{counts:?}");
}
