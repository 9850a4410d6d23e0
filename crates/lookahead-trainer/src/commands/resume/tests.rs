use super::*;
use serde_json::json;

#[test]
fn changes_are_found_by_dotted_key() {
    let before = json!({"train": {"seed": 1, "epochs": 2}, "lookahead": {"k": 5}});
    let after = json!({"train": {"seed": 1, "epochs": 3}, "probe": {"samples": 4}});
    let found = Value::Object(differences(&before, &after));
    assert_eq!(found, json!({"lookahead.k": null, "probe.samples": 4, "train.epochs": 3}));
}

#[test]
fn keys_that_the_saved_kind_did_not_have_yet_are_new_if_they_have_their_defaults() {
    let saved = json!({
        "data": {"kind": "digits"},
        "optimizer": {"kind": "adam", "lr": 0.1, "beta1": 0.8},
        "model": {"kind": "mlp"},
        "train": {"epochs": 2},
    });
    let registry = Registry::builtin();
    for (key, now, expected) in [
        ("optimizer.amsgrad", json!(false), true),
        ("optimizer.amsgrad", json!(true), false),
        ("optimizer.beta1", json!(0.9), false),
        ("optimizer.beta2", json!(0.999), true),
        // A key of other kinds, of none, and of a section without kinds.
        ("optimizer.momentum", json!(0.9), false),
        ("optimizer.beta3", json!(0.9), false),
        ("train.seed", json!(0), true),
        ("train.seed", json!(1), false),
        ("model.hidden", json!([256, 128]), true),
        // Of a section that is written without its defaults.
        ("watchdog.spike_window", json!(50), true),
        ("watchdog.spike", json!("stop"), false),
    ] {
        assert_eq!(is_default(registry.kinds(), &saved, key, &now), expected, "{key} {now}");
    }
}

#[test]
fn defaults_that_an_earlier_version_wrote_and_this_one_leaves_out_have_not_changed() {
    let saved = json!({"watchdog": {"spike": "stop", "lr_factor": 1.0}, "alert": {"timeout": 7}});
    let registry = Registry::builtin();
    let gone = |key| is_default(registry.kinds(), &saved, key, &Value::Null);
    assert!(gone("watchdog.lr_factor"));
    assert!(!gone("watchdog.spike") && !gone("alert.timeout"));
}
