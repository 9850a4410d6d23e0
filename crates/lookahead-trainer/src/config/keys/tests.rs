use super::super::key::ValueType;
use super::super::kinds::field_names;
use super::*;
use crate::config::Config;
use crate::config::schedule::ScheduleConfig;
use crate::registry::Registry;

fn names(keys: &[Key]) -> Vec<&str> {
    keys.iter().map(|key| key.name).collect()
}

#[test]
fn the_tables_have_the_fields_of_the_sections() {
    let sections: Vec<&str> = SECTIONS.iter().map(|known| known.name).collect();
    assert_eq!(sections, field_names::<Config>());
    let fields = [
        ("task", field_names::<TaskConfig>()),
        ("averaging", field_names::<AveragingConfig>()),
        ("schedule", field_names::<ScheduleConfig>()),
        ("train", field_names::<TrainConfig>()),
        ("probe", field_names::<ProbeConfig>()),
        ("checkpoint", field_names::<CheckpointConfig>()),
        ("log", field_names::<LogConfig>()),
        ("alert", field_names::<AlertConfig>()),
        ("distributed", field_names::<DistributedConfig>()),
    ];
    for (section, fields) in fields {
        let known = SECTIONS.iter().find(|known| known.name == section).unwrap();
        assert_eq!(names(known.keys), fields, "[{section}]");
    }
    // A preset is not a setting of its own.
    let fields = [&["preset"], field_names::<lookahead_core::LookaheadConfig>()].concat();
    assert_eq!(names(lookahead::KEYS), fields, "[lookahead]");
    // The other sections have keys of their kinds too.
    let kinds = Registry::builtin().kinds().clone();
    assert_eq!(names(data::KEYS), data::section(&kinds).common);
    assert_eq!(names(model::KEYS), model::section(&kinds).common);
    assert_eq!(names(optimizer::KEYS), optimizer::section(&kinds).common);
}

#[test]
fn every_key_of_every_kind_is_documented() {
    let kinds = Registry::builtin().kinds().clone();
    for section in sections(&kinds) {
        assert!(!section.about.is_empty());
        for entry in &section.keys {
            let key = entry.dotted();
            assert!(!entry.key.meaning.is_empty(), "{key} has no meaning");
            assert_ne!(entry.default_words(), "none for ", "{key}");
            let is_free = entry.key.value == ValueType::Switch;
            assert!(is_free || !entry.allowed().is_empty() || entry.section == "data", "{key}");
            assert_ne!(entry.example(), "…", "{key} has no example");
            // Words stand for a default only where serde has none.
            let lacks_value = entry.defaults.iter().any(|own| own.value.is_none());
            assert_eq!(lacks_value, !entry.key.default.is_empty(), "the default of {key}");
        }
    }
}

/// An example must be accepted together with the kind that has the key.
#[test]
fn every_example_has_the_type_of_its_key() {
    let kinds = Registry::builtin().kinds().clone();
    for entry in sections(&kinds).iter().flat_map(|section| &section.keys) {
        let of_kinds = if entry.kinds.is_empty() { vec![""] } else { entry.kinds.clone() };
        for kind in of_kinds {
            let kind_line =
                if kind.is_empty() { String::new() } else { format!("kind = {kind:?}\n") };
            let kind_line = if entry.key.name == "kind" { String::new() } else { kind_line };
            let text = format!(
                "[{}]\n{kind_line}{} = {}\n",
                entry.section,
                entry.key.name,
                entry.example()
            );
            let table: Table = text.parse().unwrap();
            let read = Config::read_table(&kinds, &table);
            assert!(read.is_ok(), "{text}: {read:?}");
        }
    }
}

#[test]
fn a_key_is_found_by_its_kind() {
    let kinds = Registry::builtin().kinds().clone();
    let width = |kind| find(&kinds, "model.width", kind).unwrap();
    assert!(width(None).key.meaning.starts_with("channels"));
    let of_layers = width(Some("transformer"));
    assert_eq!(of_layers.kinds, ["lstm", "transformer"]);
    assert_eq!(of_layers.default_words(), "256 for lstm; 128 for transformer");
    assert!(find(&kinds, "model.wdth", None).is_none());
    let k = find(&kinds, "lookahead.k", None).unwrap();
    assert_eq!((k.default_words().as_str(), k.changes()), ("5", Changes::Live));
    assert_eq!(find(&kinds, "data.dir", None).unwrap().changes(), Changes::OnResume);
    assert_eq!(find(&kinds, "train.seed", None).unwrap().changes(), Changes::Never);
}
