use super::*;

#[test]
fn the_time_left_is_by_steps() {
    let left = |seconds: f64, steps: u64, totals: &[u64], waiting: &[Option<u64>]| {
        let estimate = Estimate { seconds, steps, totals: totals.to_vec() };
        estimate.left(&[], waiting, 2).map(|left| left.as_secs_f64())
    };
    // 0.1 s a step; 100 and 300 steps wait, two at once.
    assert_eq!(left(10.0, 100, &[100], &[Some(100), Some(300)]), Some(20.0));
    // Unknown ones count with the mean of the known.
    assert_eq!(left(10.0, 100, &[100, 300], &[None]), Some(20.0));
    assert_eq!(left(10.0, 0, &[100], &[None]), None);
    assert_eq!(left(1.0, 1, &[], &[None]), None);
}
