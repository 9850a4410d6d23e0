use serde::{Deserialize, Serialize};

use super::*;
use crate::config::kinds::KindOptions;
use crate::registry::Registry;

fn named(name: &str) -> Result<String, String> {
    let kinds = Registry::builtin().kinds().clone();
    let sections = keys::sections(&kinds);
    match find(&kinds, &sections, name) {
        Ok(Named::Section(section)) => Ok(format!("[{}]", section.name)),
        Ok(Named::Key(entries)) => Ok(format!("{} of {}", entries[0].dotted(), entries.len())),
        Ok(Named::Kind(section, schema)) => Ok(format!("{} {}", section.name, schema.name)),
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
        ("data.csv", "data csv"),
        ("adamw", "optimizer adamw"),
    ] {
        assert_eq!(named(name).as_deref(), Ok(found));
    }
}

#[test]
fn other_names_have_the_nearest_ones() {
    for (name, part) in [
        ("kind", "Name one of these: `data.kind`, `model.kind`, `optimizer.kind`"),
        ("quadratic", "`data.quadratic`, `model.quadratic`"),
        ("optimiser.lr", "Did you mean `optimizer.lr`?"),
        ("lookahead.alhpa", "`lookahead.alpha`"),
        ("train.batch_size", "Did you mean `data.batch_size`?"),
        ("zzz", "no key, section or kind `zzz`. `lookahead config` lists all."),
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
    let Ok(Named::Kind(section, schema)) = find(&kinds, &sections, "rings") else { panic!() };
    let text = page::kind(section, schema, 80);
    assert!(text.starts_with("data.kind = \"rings\".\n\n  count = 3\n  radius\n"), "{text}");
    let Ok(Named::Key(entries)) = find(&kinds, &sections, "data.count") else { panic!() };
    let text = page::key(&kinds, &entries, 80);
    assert!(text.contains("Type              a whole number\n"), "{text}");
    assert!(text.contains("--set data.count=3"), "{text}");
}
