use serde_json::json;

use super::*;

/// The size of the validation set of a table is known once it is read, and the default of the metric too.
#[test]
fn what_follows_from_the_data_is_no_difference() {
    let found = json!({"data": {"validation": 14, "kind": "csv"}, "probe": {"samples": 14, "every_syncs": 3},
        "train": {"best_by": "r2", "epochs": 2}});
    let settled = |mut wanted: Json| {
        OF_THE_DATA.iter().for_each(|key| take_default(&mut wanted, &found, key));
        difference(&found, &wanted).map(|(key, ..)| key)
    };
    let plan = json!({"data": {"kind": "csv"}, "probe": {}, "train": {"epochs": 2}});
    assert_eq!(settled(plan.clone()), None);
    for (section, key, value) in [
        ("data", "validation", json!(15)),
        ("train", "best_by", json!("loss")),
        ("train", "epochs", json!(3)),
    ] {
        let mut plan = plan.clone();
        plan[section][key] = value;
        assert_eq!(settled(plan), Some(format!("{section}.{key}")));
    }
    assert_eq!(
        settled(json!({"data": {"kind": "csv"}, "train": {"epochs": 2}})),
        Some("probe".into())
    );
}
