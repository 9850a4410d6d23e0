use super::*;
use serde_json::json;

#[test]
fn changes_are_found_by_dotted_key() {
    let before = json!({"train": {"seed": 1, "epochs": 2}, "lookahead": {"k": 5}});
    let after = json!({"train": {"seed": 1, "epochs": 3}, "probe": {"samples": 4}});
    let found = Value::Object(differences(&before, &after));
    assert_eq!(found, json!({"lookahead.k": null, "probe.samples": 4, "train.epochs": 3}));
}
