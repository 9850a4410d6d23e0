use serde_json::json;

use super::*;

fn all(configs: &[Value]) -> (Vec<Settings>, Vec<String>) {
    let mut all: Vec<Settings> = configs.iter().map(flat).collect();
    add_sections(&mut all);
    let keys = differing(&all.iter().collect::<Vec<_>>());
    (all, keys)
}

fn labels(configs: &[Value]) -> Vec<String> {
    let (all, keys) = all(configs);
    all.iter().map(|settings| label(settings, &keys)).collect()
}

#[test]
fn a_label_has_only_what_differs() {
    let sgd = json!({"optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9},
        "lookahead": {"k": 5, "alpha": 0.5}, "train": {"seed": 1, "epochs": 3}});
    let mut ten = sgd.clone();
    ten["lookahead"]["k"] = json!(10);
    ten["train"]["seed"] = json!(2);
    let adam = json!({"optimizer": {"kind": "adam", "lr": 0.1, "beta1": 0.9},
        "train": {"seed": 1, "epochs": 3}});
    assert_eq!(labels(&[sgd.clone(), ten.clone()]), ["lookahead.k=5", "lookahead.k=10"]);
    assert_eq!(
        labels(&[sgd.clone(), ten, adam.clone()]),
        [
            "lookahead.k=5 optimizer.kind=sgd",
            "lookahead.k=10 optimizer.kind=sgd",
            "lookahead=false optimizer.kind=adam",
        ]
    );
    assert_eq!(
        labels(&[sgd.clone(), adam]),
        ["lookahead=true optimizer.kind=sgd", "lookahead=false optimizer.kind=adam"]
    );
    assert_eq!(labels(&[sgd.clone(), sgd]), ["", ""]);
}

#[test]
fn a_key_that_one_lacks_counts_if_nothing_else_differs() {
    let limited = json!({"train": {"epochs": 3, "max_steps": 10}});
    let free = json!({"train": {"epochs": 3}});
    assert_eq!(labels(&[limited, free]), ["train.max_steps=10", ""]);
}

#[test]
fn what_does_not_matter_is_left_out() {
    let config = json!({"train": {"seed": 1, "threads": 2, "device": "cpu", "epochs": 2,
        "channels_last": true, "autocast": "bf16"},
        "checkpoint": {"keep": 3}, "probe": {"samples": 9}, "data": {"dir": "/d", "kind": "x"},
        "model": {"hidden": [1, 2], "none": null}});
    let keys: Vec<String> = flat(&config).into_keys().collect();
    assert_eq!(keys, ["data.kind", "model.hidden", "train.autocast", "train.epochs"]);
}

#[test]
fn what_only_watches_or_alerts_is_left_out_and_a_default_is_no_switch() {
    let plain = json!({"train": {"epochs": 3}});
    let mut watched = plain.clone();
    watched["watchdog"] = json!({"stall_seconds": 30, "stall": "stop"});
    watched["alert"] = json!({"command": ["true"]});
    assert_eq!(labels(&[plain.clone(), watched]), ["", ""]);
    let mut acting = plain.clone();
    acting["watchdog"] = json!({"spike": "roll_back"});
    assert_eq!(labels(&[plain, acting]), ["", "watchdog.spike=roll_back"]);
}

#[test]
fn settings_are_in_the_order_of_their_numbers() {
    let with = |k: Value| Settings::from([("k".to_owned(), k)]);
    let keys = ["k".to_owned()];
    let less = |a: Value, b: Value| order(&with(a), &with(b), &keys).is_lt();
    assert!(less(json!(5), json!(10)) && less(json!(0.5), json!(1)));
    assert!(less(json!(false), json!(true)) && less(json!("a"), json!("b")));
    assert!(order(&Settings::new(), &with(json!(0)), &keys).is_lt());
    assert_eq!(written(&json!(1.0)), "1");
    assert_eq!(written(&json!([1, 2])), "[1,2]");
}
