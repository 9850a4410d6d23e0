use super::*;

#[test]
fn probes_take_a_small_part_of_the_work_by_default() {
    for (samples, batch_size, k) in [(128, 64, 5), (128, 32, 5), (1, 100, 5), (128, 1, 1)] {
        let interval = usual_interval(samples, batch_size, k);
        let share = |interval: u64| {
            2.0 * samples as f64 / (3.0 * batch_size as f64 * (k * interval) as f64)
        };
        assert!(share(interval) <= SHARE, "{samples} {batch_size} {k}");
        assert!(interval == 1 || share(interval - 1) > SHARE, "no rarer than necessary");
    }
    assert_eq!(usual_interval(128, 64, 5), 18);
}
