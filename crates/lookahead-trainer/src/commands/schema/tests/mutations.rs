//! Configs with random changes, of which the schema and the parser must say the same.

use std::collections::BTreeMap;

use toml::{Table, Value as Toml};

use super::*;
use crate::config::key::ValueType;
use crate::config::keys::{KeyEntry, SectionKeys, sections};

const CONFIGS: usize = 1000;

/// A linear congruential generator (Knuth, MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % end
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Values that the documentation of a key has.
fn documented(entry: &KeyEntry) -> Vec<Toml> {
    let mut values: Vec<Toml> = entry.defaults.iter().filter_map(|own| own.value.clone()).collect();
    let example = format!("value = {}", entry.example()).parse::<Table>();
    values.extend(example.ok().and_then(|mut table| table.remove("value")));
    values.extend(entry.choices.iter().map(|&choice| match entry.key.value {
        ValueType::Texts => Toml::from(vec![choice]),
        _ => Toml::from(choice),
    }));
    values
}

/// Values in the bounds of a key, at their ends and outside, and of other types.
fn values(entry: &KeyEntry) -> Vec<Toml> {
    let mut values = documented(entry);
    let bounds = &entry.key.bounds;
    let ends = [bounds.least, bounds.most].into_iter().flatten().map(|(end, _)| end);
    let ends: Vec<f64> = ends.flat_map(|end| [end - 1.0, end, end + 1.0]).collect();
    match entry.key.value {
        ValueType::Whole => values.extend(ends.iter().map(|&end| Toml::from(end as i64))),
        ValueType::Number => values.extend(ends.iter().map(|&end| Toml::from(end))),
        ValueType::Wholes => {
            values.extend(ends.iter().map(|&end| Toml::from(vec![end as i64, end as i64])));
            values.extend([0, 1, 2, 3, 9].map(|count| Toml::from(vec![1i64; count])));
        }
        ValueType::Numbers => {
            values.extend(ends.iter().map(|&end| Toml::from(vec![end])));
            values.extend([0, 1, 2, 3].map(|count| Toml::from(vec![1.0; count])));
        }
        ValueType::Text if !entry.key.pattern.is_empty() => {
            values.extend(["", "cuda:0", "cuda:", "gpu", ";", "\"", "\t", "é"].map(Toml::from));
        }
        _ => {}
    }
    values.extend([
        Toml::from(true),
        Toml::from("x"),
        Toml::from(-1),
        Toml::from(1),
        Toml::from(0.5),
        Toml::from(-0.5),
        Toml::from(2.0),
        Toml::from(vec!["x"]),
        Toml::from(Table::new()),
        Toml::from(vec![Toml::from(Table::from_iter([("dims".to_owned(), Toml::from(1))]))]),
    ]);
    values
}

/// Changes a config in one place.
fn mutate(random: &mut Random, sections: &[SectionKeys], config: &mut Table) {
    let section = random.of(sections);
    let entry = random.of(&section.keys);
    if random.below(40) == 0 {
        let value = if random.below(2) == 0 { Toml::from(1) } else { Table::new().into() };
        config.insert((*random.of(&["extra", "optimiser", section.name])).to_owned(), value);
        return;
    }
    let own = config.entry(section.name).or_insert_with(|| Table::new().into());
    let Some(own) = own.as_table_mut() else { return };
    match random.below(10) {
        0 => own.remove(entry.key.name),
        1 => own.insert(format!("{}s", entry.key.name), 1.into()),
        2 => {
            let other = values(random.of(&section.keys));
            own.insert(entry.key.name.to_owned(), random.of(&other).clone())
        }
        _ => {
            // With a kind that has the key, more often than not.
            if !entry.kinds.is_empty() && random.below(4) > 0 {
                own.insert("kind".to_owned(), Toml::from(*random.of(&entry.kinds)));
            }
            let values = if random.below(2) == 0 { documented(entry) } else { values(entry) };
            own.insert(entry.key.name.to_owned(), random.of(&values).clone())
        }
    };
}

/// Any error of the schema is one of the parser, which names one of the same keys; what only the parser refuses is an
/// exception.
#[test]
fn the_schema_agrees_with_the_parser() {
    let registry = Registry::builtin();
    let validator = validator(&of_config(registry.kinds()));
    let sections = sections(registry.kinds());
    let bases = files("configs");
    let mut random = Random(1);
    let mut counts = BTreeMap::new();
    let mut differences = Vec::new();
    for _ in 0..CONFIGS {
        let mut config = random.of(&bases).1.clone();
        for _ in 0..=random.below(2) {
            mutate(&mut random, &sections, &mut config);
        }
        let faults = faults(&validator, &json(&config));
        let said = match refusal(&registry, &config) {
            None if faults.is_empty() => "accepted",
            None => {
                differences.push(format!("only the schema refuses {faults:?}\n{config}"));
                "only by the schema"
            }
            Some(message) => {
                let exception = exceptions::of(&message);
                let names = |key: &String| {
                    message.contains(&format!("`{key}")) || message.contains(&format!("`[{key}]`"))
                };
                // Of two faults, the parser may name the one that is an exception.
                if !faults.iter().any(names) && exception.is_none() {
                    let both = format!("the schema: {faults:?}, the parser: {message}");
                    differences.push(format!("{both}\n{config}"));
                }
                let exception = exception.filter(|_| faults.is_empty());
                exception.map_or("refused", |exception| exception.name)
            }
        };
        *counts.entry(said).or_insert(0) += 1;
    }
    println!("{counts:#?}");
    assert!(differences.is_empty(), "{}:\n{}", differences.len(), differences.join("\n"));
    let enough = |what| counts.get(what).is_some_and(|count| *count > CONFIGS / 5);
    assert!(enough("accepted") && enough("refused"), "{counts:?}");
}
