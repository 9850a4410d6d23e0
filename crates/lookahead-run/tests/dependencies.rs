//! The crate is for loops that may know nothing of libtorch.

use std::collections::{BTreeMap, BTreeSet};

#[test]
fn nothing_of_libtorch_is_among_the_dependencies() {
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
    let lock: toml::Table = std::fs::read_to_string(lock).unwrap().parse().unwrap();
    let packages = lock["package"].as_array().unwrap().iter();
    let of: BTreeMap<&str, Vec<&str>> = packages
        .map(|package| {
            let all = package.get("dependencies").and_then(|all| all.as_array());
            let all = all.into_iter().flatten().filter_map(|name| name.as_str());
            // A version may follow the name.
            let names = all.filter_map(|name| name.split(' ').next()).collect();
            (package["name"].as_str().unwrap(), names)
        })
        .collect();
    let (mut found, mut next) = (BTreeSet::new(), vec!["lookahead-run"]);
    while let Some(name) = next.pop() {
        if found.insert(name) {
            next.extend(&of[name]);
        }
    }
    assert!(found.contains("serde"), "{found:?}");
    for name in ["tch", "torch-sys", "lookahead-sys", "lookahead-core", "cxx", "ratatui"] {
        assert!(of.contains_key(name), "{name} has another name now");
        assert!(!found.contains(name), "{found:?}");
    }
}
