use super::*;
use crate::fixture;

#[test]
fn every_chart_has_its_key() {
    let model = fixture::model(false);
    let of_key = |key| model.keys().find(|(digit, _)| *digit == key).map(|(_, chart)| chart);
    assert_eq!(model.charts(), Chart::ALL);
    for chart in Chart::ALL {
        assert_eq!(of_key(model.key_of(chart)), Some(chart));
    }
    assert_eq!(of_key('1'), Some(Chart::Loss));
    assert_eq!(of_key('0'), Some(Chart::Speed));
    assert_eq!(of_key('x'), None);
}
