use super::*;

#[test]
fn the_time_left_is_by_steps() {
    let seconds = |found: Option<Duration>| found.map(|left| left.as_secs_f64());
    // 0.1 s a step; 100 and 300 steps wait, two at once.
    let waiting = [Some(100), Some(300)];
    assert_eq!(seconds(left(10.0, 100, &[100.0], &[], &waiting, 2)), Some(20.0));
    // Of unknown ones the mean of the known.
    assert_eq!(seconds(left(10.0, 100, &[100.0, 300.0], &[], &[None], 2)), Some(20.0));
    assert_eq!(left(10.0, 0, &[100.0], &[], &[None], 2), None);
    assert_eq!(left(1.0, 1, &[], &[], &[None], 2), None);
}
