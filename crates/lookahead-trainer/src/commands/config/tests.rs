use serde::{Deserialize, Serialize};

use super::*;
use crate::config::kinds::{KindOptions, Schema};
use crate::registry::Registry;

fn named(name: &str) -> Result<String, String> {
    let kinds = Registry::builtin().kinds().clone();
    let sections = keys::sections(&kinds);
    match find(&sections, name) {
        Ok(Named::Section(section)) => Ok(format!("[{}]", section.name)),
        Ok(Named::Key(entries)) => Ok(format!("{} of {}", entries[0].dotted(), entries.len())),
        Ok(Named::Choice(choice)) => Ok(format!("{} = {}", choice.entry.dotted(), choice.name)),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn names_are_found_with_and_without_their_sections() {
    for (name, found) in [
        ("lookahead", "[lookahead]"),
        ("[lookahead]", "[lookahead]"),
        ("task", "[task]"),
        ("lookahead.k", "lookahead.k of 1"),
        ("K", "lookahead.k of 1"),
        ("lookahead.k=5", "lookahead.k of 1"),
        ("model.width", "model.width of 2"),
        ("data.csv", "data.kind = csv"),
        ("adamw", "optimizer.kind = adamw"),
        ("optimizer.kind=\"adamw\"", "optimizer.kind = adamw"),
        ("one_cycle", "schedule.kind = one_cycle"),
        ("cosine", "schedule.kind = cosine"),
        ("averaging.ema", "averaging.kind = ema"),
        ("snoo", "lookahead.preset = snoo"),
        ("lookahead.preset=diloco", "lookahead.preset = diloco"),
        ("pullback", "lookahead.momentum_policy = pullback"),
        ("data.task=regression", "data.task = regression"),
    ] {
        assert_eq!(named(name).as_deref(), Ok(found));
    }
}

#[test]
fn keys_of_a_group_are_found() {
    let kinds = Registry::builtin().kinds().clone();
    let group = keys::group(&kinds);
    let Some(Named::Key(entries)) = of_group(&group, "optimizer.group.lr_scale") else { panic!() };
    assert!(page::key(&kinds, &entries, 100).starts_with("optimizer.group.lr_scale\n"));
    assert!(of_group(&group, "optimizer.lr").is_none());
    let listed = page::group(&group, 100);
    for key in ["match", "dims", "lr_scale", "weight_decay", "alpha", "kind"] {
        assert!(listed.contains(&format!("\n  {key}")), "{key}: {listed}");
    }
}

/// The kinds of an average differ in a default.
#[test]
fn a_default_is_that_of_each_kind() {
    let kinds = Registry::builtin().kinds().clone();
    let sections = keys::sections(&kinds);
    let Ok(Named::Key(entries)) = find(&sections, "averaging.mu_y") else { panic!() };
    assert_eq!(entries[0].default_words(), "0.7 for primal; 0.9 for schedule_free");
}

#[test]
fn other_names_have_the_nearest_ones() {
    for (name, part) in [
        ("kind", "Name one of these: `data.kind`, `model.kind`, `optimizer.kind`"),
        ("quadratic", "`data.quadratic`, `model.quadratic`"),
        ("optimiser.lr", "Did you mean `optimizer.lr`?"),
        ("lookahead.alhpa", "`lookahead.alpha`"),
        ("train.batch_size", "Did you mean `data.batch_size`?"),
        ("optimiser", "Did you mean `optimizer`?"),
        ("scheduler", "Did you mean `schedule`?"),
        ("onecycle", "Did you mean `schedule.one_cycle`?"),
        ("optimizer.adma", "Did you mean `optimizer.adam`?"),
        ("dilco", "Did you mean `lookahead.diloco`?"),
        ("momentm", "Did you mean `optimizer.momentum`?"),
        ("learning_rate", "Did you mean `optimizer.lr`?"),
        ("accuracy", "several keys. Name one of these: `task.metrics`, `train.best_by`."),
        ("zzz", "no key, section, kind or other value `zzz`. `lookahead config` lists all."),
    ] {
        let error = named(name).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

/// The keys of a kind of a program's own, without documentation.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rings {
    count: u64,
    radius: Option<f64>,
}

impl Default for Rings {
    fn default() -> Self {
        Rings { count: 3, radius: None }
    }
}

impl KindOptions for Rings {}

#[test]
fn a_kind_without_documentation_has_its_keys_types_and_defaults() {
    let mut kinds = Registry::builtin().kinds().clone();
    kinds.data.push(Schema::of::<Rings>("rings"));
    let sections = keys::sections(&kinds);
    let Ok(Named::Choice(choice)) = find(&sections, "rings") else { panic!() };
    let text = page::choice(&kinds, choice, 80);
    assert!(text.starts_with("data.kind = \"rings\".\n\n  count = 3\n  radius\n"), "{text}");
    let Ok(Named::Key(entries)) = find(&sections, "data.count") else { panic!() };
    let text = page::key(&kinds, &entries, 80);
    assert!(text.contains("Type              a whole number\n"), "{text}");
    assert!(text.contains("--set data.count=3"), "{text}");
}

/// What is explained can be chosen, and every kind and preset is explained.
#[test]
fn kinds_and_presets_are_explained() {
    let kinds = Registry::builtin().kinds().clone();
    for section in keys::sections(&kinds) {
        for entry in &section.keys {
            let dotted = entry.dotted();
            for (name, _) in entry.key.explained {
                assert!(entry.choices.contains(name), "{dotted} can't be {name}");
            }
            let named = ["kind", "preset"].contains(&entry.key.name);
            for name in entry.choices.iter().filter(|_| named) {
                assert_ne!(entry.about_choice(&kinds, name), "", "{dotted} {name}");
            }
        }
    }
}
