use super::*;

#[test]
fn a_time_span_is_in_its_largest_unit() {
    let spans = [-1.0, 1.9, 59.0, 60.0, 7199.0, 7200.0, 86_400.0, 1e9];
    let found = spans.map(ago);
    let wanted = [
        "0 seconds ago",
        "1 second ago",
        "59 seconds ago",
        "1 minute ago",
        "1 hour ago",
        "2 hours ago",
        "1 day ago",
        "11,574 days ago",
    ];
    assert_eq!(found, wanted);
}
