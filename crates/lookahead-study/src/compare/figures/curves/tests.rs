use super::*;

#[test]
fn a_running_mean_is_free_of_its_initial_value() {
    // (0.5 · 4 + 2) / (0.5 + 1)
    assert_eq!(sampled(&[4.0, 2.0], 0.5, 2), [(1, 4.0), (2, 4.0 / 1.5)]);
    let long = sampled(&[1.0; 5000], 0.9, 5000);
    assert_eq!((long.len(), long[500].0), (501, 5000));
    assert!(long.iter().all(|(_, mean)| (mean - 1.0).abs() < 1e-12));
}
