use super::*;

#[test]
fn a_file_gives_the_arrangement_back() {
    // A number may have the name of a chart of the trainer.
    let pinned = vec![ChartName::Scalar("loss".into()), ChartName::Usual("loss".into())];
    let arrangement = Arrangement { grid: true, pinned, filter: "a b".into() };
    assert_eq!(Arrangement::from_json(&arrangement.to_json()), Some(arrangement));
    assert_eq!(Arrangement::from_json(&json!({})), Some(Arrangement::default()));
}

#[test]
fn another_value_is_no_arrangement() {
    for value in [
        json!(null),
        json!([1]),
        json!({ "grid": "yes" }),
        json!({ "pinned": {} }),
        json!({ "pinned": ["loss"] }),
        json!({ "filter": 3 }),
    ] {
        assert_eq!(Arrangement::from_json(&value), None, "{value}");
    }
}
