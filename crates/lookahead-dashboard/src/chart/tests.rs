use super::*;

#[test]
fn every_chart_has_its_key() {
    for chart in Chart::ALL {
        assert_eq!(Chart::of_key(chart.key()), Some(chart));
        assert_eq!(chart.step(1).step(-1), chart);
        assert_eq!(chart.name().parse(), Ok(chart));
    }
    assert_eq!(Chart::of_key('1'), Some(Chart::Loss));
    assert_eq!(Chart::of_key('0'), Some(Chart::Speed));
    assert_eq!(Chart::of_key('x'), None);
    let error = "moon".parse::<Chart>().unwrap_err();
    assert!(error.contains("`moon`") && error.contains("validation-loss"), "{error}");
}
