use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use lookahead_study::sweep::SweepFile;
use serde_json::Value;

use super::*;
use crate::config::Config;
use crate::config::key::{Key, ValueType};
use crate::config::kinds::KindOptions;
use crate::registry::Registry;

mod exceptions;
mod mutations;

fn validator(schema: &str) -> Validator {
    jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap()
}

/// The keys of all faults, dotted. Empty if there is none.
fn faults(validator: &Validator, instance: &Value) -> Vec<String> {
    let mut keys = Vec::new();
    for error in validator.iter_errors(instance) {
        let place = error.instance_path().to_string();
        let mut place: Vec<&str> = place.split('/').filter(|part| !part.is_empty()).collect();
        place.truncate(2);
        let within = |name: &str| [&place[..1], &[name]].concat().join(".");
        let path = error.schema_path().to_string();
        // `dependencies/KEY` of a section: its kind doesn't have the key.
        if let Some((_, key)) = path.split_once("/dependencies/") {
            keys.push(within(key.split('/').next().unwrap()));
        } else {
            match error.kind() {
                ValidationErrorKind::AdditionalProperties { unexpected } if place.len() < 2 => {
                    keys.extend(
                        unexpected
                            .iter()
                            .map(|name| if place.is_empty() { name.clone() } else { within(name) }),
                    );
                }
                ValidationErrorKind::Required { property } if place.len() == 1 => {
                    keys.push(within(property.as_str().unwrap()));
                }
                _ => keys.push(place.join(".")),
            }
        }
    }
    keys
}

/// What the parser says, if it refuses a config.
fn refusal(registry: &Registry, table: &toml::Table) -> Option<String> {
    let text = toml::to_string(table).unwrap();
    let refused = Config::parse(registry.kinds(), "test", &text, &[]).err();
    refused.map(|error| error.message().to_owned())
}

fn json(table: &toml::Table) -> Value {
    serde_json::to_value(table).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of a folder of the project, each as a table.
fn files(folder: &str) -> Vec<(PathBuf, toml::Table)> {
    let entries = fs::read_dir(root().join(folder)).unwrap().flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|name| name == "toml")).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let table = text.parse().unwrap();
        (path, table)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn the_projects_configs_and_sweeps_fit_their_schemas() {
    let registry = Registry::builtin();
    for (folder, schema, line) in [
        ("configs", of_config(registry.kinds()), "#:schema ../docs/config.schema.json\n"),
        ("configs/sweeps", of_sweep(registry.kinds()), "#:schema ../../docs/sweep.schema.json\n"),
    ] {
        let validator = validator(&schema);
        for (path, table) in files(folder) {
            assert_eq!(faults(&validator, &json(&table)), [""; 0], "{}", path.display());
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with(line), "{} does not begin with {line}", path.display());
        }
    }
}

#[test]
fn a_fault_of_a_sweep_is_one_of_its_schema() {
    let validator = validator(&of_sweep(Registry::builtin().kinds()));
    let good = "config = \"a.toml\"\nseeds = 2\n";
    for (text, is_good) in [
        ("[grid]\n\"optimizer.lr\" = [0.1, 1]\n", true),
        ("[grid.optimizer]\nlr = [0.1, 1]\n", true),
        ("[set]\nlookahead = false\ntrain.max_steps = false\n", true),
        ("[random]\ncount = 2\noptimizer.lr = { log = [0.1, 1] }\n", true),
        ("[[variants]]\nname = \"a\"\n[variants.grid]\n\"lookahead.k\" = [1, 2]\n", true),
        ("[grid]\n\"optimizer.lr\" = 0.1\n", false),
        ("[grid]\n\"optimizer.lr\" = []\n", false),
        ("[grid]\n\"optimizer.lr\" = [1, 1.0]\n", false),
        ("[random]\noptimizer.lr = { log = [0.1, 1] }\n", false),
        ("[random]\ncount = 2\noptimizer.lr = { log = [0, 1] }\n", false),
        ("[random]\ncount = 2\noptimizer.lr = { normal = [0, 1] }\n", false),
        ("jobs = 0\n", false),
        ("gird = 1\n", false),
        ("[[variants]]\nlookahead = false\n", false),
    ] {
        let text = format!("{good}{text}");
        let accepts = faults(&validator, &json(&text.parse().unwrap())).is_empty();
        assert_eq!(accepts, is_good, "the schema: {text}");
        assert_eq!(SweepFile::parse(Path::new("b.toml"), &text).is_ok(), is_good, "{text}");
    }
    // The parser leaves these to the configs of the runs.
    for text in ["[set]\n\"optimizer.lrr\" = 1\n", "[grid]\n\"lookahead.k\" = [0, 1]\n"] {
        let text = format!("{good}{text}");
        assert!(!faults(&validator, &json(&text.parse().unwrap())).is_empty(), "{text}");
    }
}

/// A preset may choose the kind that a key belongs to.
#[test]
fn a_key_of_the_presets_optimizer_needs_no_kind() {
    let registry = Registry::builtin();
    let validator = validator(&of_config(registry.kinds()));
    for (text, is_good) in [
        ("[optimizer]\nbeta1 = 0.9\n[lookahead]\npreset = \"ranger\"\n", true),
        ("[optimizer]\nbeta1 = 0.9\n[lookahead]\npreset = \"snoo\"\n", false),
        ("[optimizer]\nbeta1 = 0.9\n", false),
        ("lookahead = false\n[optimizer]\nbeta1 = 0.9\n", false),
        ("[optimizer]\nkind = \"adam\"\nbeta1 = 0.9\n", true),
        ("[optimizer]\nmomentum = 0.9\n", true),
    ] {
        let table = text.parse().unwrap();
        let message = refusal(&registry, &table);
        assert_eq!(message.is_none(), is_good, "{text}: {message:?}");
        assert_eq!(faults(&validator, &json(&table)).is_empty(), is_good, "the schema: {text}");
    }
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Springs {
    stiffness: f64,
    bodies: u32,
}

impl KindOptions for Springs {
    const KEYS: &'static [Key] =
        &[Key::number("stiffness", "force per length").above(0.0).example("2.0")];
}

#[test]
fn a_kind_of_ones_own_is_in_the_schema_and_its_bounds_are_checked() {
    let registry = Registry::builtin()
        .data("springs", |_: Springs, _: &crate::data::LoadContext| anyhow::bail!("not loaded"));
    let validator = validator(&of_config(registry.kinds()));
    for (options, key) in [
        ("stiffness = 0.5", None),
        ("stiffness = 0", Some("data.stiffness")),
        ("stiffness = \"soft\"", Some("data.stiffness")),
        ("stifness = 1", Some("data.stifness")),
        ("bodies = -1", Some("data.bodies")),
    ] {
        let text = format!("[data]\nkind = \"springs\"\n{options}\n[model]\nkind = \"mlp\"\n");
        let table = text.parse().unwrap();
        let message = refusal(&registry, &table);
        assert_eq!(message.is_some(), key.is_some(), "{options}: {message:?}");
        if let (Some(message), Some(key)) = (message, key) {
            assert!(message.contains(&format!("`{key}`")), "{message}");
            // The type of `bodies` is known only to serde.
            let expected = if key == "data.bodies" { vec![] } else { vec![key.to_owned()] };
            assert_eq!(faults(&validator, &json(&table)), expected, "{options}");
        }
    }
}

/// Each key has its bounds, at both ends: a random config may miss them.
#[test]
fn the_schema_has_the_bounds_of_each_key() {
    let registry = Registry::builtin();
    let (mut ends, mut lists) = (0, 0);
    for section in keys::sections(registry.kinds()) {
        for entry in &section.keys {
            let bounds = &entry.key.bounds;
            let is_whole = matches!(entry.key.value, ValueType::Whole | ValueType::Wholes);
            let is_list = matches!(entry.key.value, ValueType::Wholes | ValueType::Numbers);
            if !is_list && !matches!(entry.key.value, ValueType::Whole | ValueType::Number) {
                continue;
            }
            let schema = Value::Object(value::allowed(entry));
            let validator = jsonschema::validator_for(&schema).unwrap();
            let within = bounds.least.or(bounds.most).map_or(1.0, |(end, _)| end);
            let count = bounds.fewest.max(1);
            let number = |value: f64| if is_whole { json!(value as i64) } else { json!(value) };
            let agrees = |values: Vec<f64>| {
                let numbers: Vec<Value> = values.iter().copied().map(number).collect();
                let instance = if is_list { json!(numbers) } else { numbers[0].clone() };
                let allowed = values.iter().all(|value| bounds.contain(*value))
                    && (!is_list || bounds.fit(values.len()));
                let named = entry.dotted();
                assert_eq!(validator.is_valid(&instance), allowed, "{named}: {instance}");
            };
            for (end, _) in [bounds.least, bounds.most].into_iter().flatten() {
                for value in [end - 1.0, end, end + 1.0] {
                    agrees(vec![value; count]);
                    ends += 1;
                }
            }
            let allowed = [within, within + 0.5, within + 1.0]
                .into_iter()
                .find(|value| bounds.contain(*value) && (!is_whole || value.fract() == 0.0));
            let counts = [Some(bounds.fewest), bounds.longest].into_iter().flatten();
            for end in counts.filter(|_| is_list) {
                for count in [end.saturating_sub(1), end, end + 1] {
                    agrees(vec![allowed.unwrap(); count]);
                    lists += 1;
                }
            }
        }
    }
    assert!(ends > 100 && lists > 3, "{ends}, {lists}");
}
