use super::gauge;

#[test]
fn a_gauge_always_fills_its_cells() {
    assert_eq!(gauge(0.0, 4), "░░░░");
    assert_eq!(gauge(0.5, 3), "█▌░");
    assert_eq!(gauge(2.0, 3), "███");
    assert_eq!(gauge(f64::NAN, 2), "░░");
    for part in 0..=100 {
        for cells in 0..40 {
            let bar = gauge(f64::from(part) / 100.0, cells);
            assert_eq!(bar.chars().count(), usize::from(cells));
        }
    }
}
