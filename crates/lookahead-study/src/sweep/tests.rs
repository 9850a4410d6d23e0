//! A sweep on paper: its file, its points, its plan.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use toml::Value;

use super::file::{Distribution, MOST, Setting};
use super::plan::difference;
use super::points::{SweepPoint, expand};
use super::*;

fn parse(text: &str) -> Result<SweepFile, SweepError> {
    SweepFile::parse(Path::new("sweeps/test.toml"), text)
}

fn points(text: &str) -> Vec<SweepPoint> {
    expand(&parse(text).unwrap()).unwrap()
}

fn names(text: &str) -> Vec<String> {
    points(text).into_iter().map(|point| point.name).collect()
}

/// What the points set, as `KEY=VALUE`, with blanks between.
fn sets(text: &str) -> Vec<String> {
    let shown = |point: SweepPoint| {
        let sets = point.sets.iter().map(|set| format!("{}={}", set.key, set.value));
        sets.collect::<Vec<_>>().join(" ")
    };
    points(text).into_iter().map(shown).collect()
}

#[test]
fn a_file_is_read_with_the_lines_of_its_keys() {
    let file = parse(
        r#"config = "../digits.toml"
           seeds = 2
           jobs = 3
           [set]
           "model.kind" = "mlp"
           train.threads = 1
           [random]
           count = 4
           optimizer.lr = { log = [1e-4, 1] }
           "lookahead.k" = { integers = [1, 20] }
        "#,
    )
    .unwrap();
    assert_eq!((file.name.as_str(), file.jobs), ("test", Some(3)));
    assert_eq!(file.config, Path::new("sweeps/../digits.toml"));
    assert_eq!(file.seeds, [0, 1]);
    let set: Vec<_> = file.set.iter().map(|set| (set.key.as_str(), set.line)).collect();
    assert_eq!(set, [("model.kind", 5), ("train.threads", 6)]);
    let random = file.random.unwrap();
    assert_eq!((random.count, random.seed), (4, 0));
    assert_eq!(random.keys[0].from, Distribution::Log(1e-4, 1.0));
    assert_eq!((random.keys[1].key.as_str(), random.keys[1].line), ("lookahead.k", 10));
}

#[test]
fn faults_have_their_lines_and_what_is_allowed() {
    for (text, line, words) in [
        ("seeds = 1", None, "`config` is missing"),
        ("config = 3", Some(1), "`config` is 3"),
        ("config = \"c\"\nsed = 1", Some(2), "`sed` is not a key of a sweep, which has `config`"),
        ("config = \"c\"\n\nseeds = [1, 1]", Some(3), "different whole numbers"),
        ("config = \"c\"\nseeds = 0", Some(2), "`seeds` is 0"),
        ("config = \"c\"\nseeds = [-1]", Some(2), "at least 0"),
        ("config = \"c\"\njobs = 0", Some(2), "from 1 to 1024"),
        ("config = \"c\"\nname = \"a/b\"", Some(2), "\"a/b\" can't be the name"),
        ("config = \"c\"\ngrid = 1", Some(2), "`grid` is 1"),
        ("config = \"c\"\n[grid]\na.b = 1", Some(3), "`a.b` is 1. Use a list"),
        ("config = \"c\"\n[grid]\na.b = []", Some(3), "Use a list"),
        ("config = \"c\"\n[grid]\na.b = [1, 1.0]", Some(3), "has the value 1.0 twice"),
        ("config = \"c\"\n[grid]\n\"a..b\" = [1]", Some(3), "not a dotted key"),
        ("config = \"c\"\n[grid]\na.b = [1]\n\"a.b\" = [2]", Some(4), "given twice"),
        ("config = \"c\"\n[set]\na.b = 1\n[grid]\na.b = [1]", Some(5), "in `[set]`"),
        ("config = \"c\"\nseeds = 1\n[set]\ntrain.seed = 1", Some(4), "`seeds` gives `train.seed`"),
        ("config = \"c\"\n[random]\na.b = {log=[1,2]}", Some(2), "needs `count`"),
        ("config = \"c\"\n[random]\ncount = 2", Some(2), "draws no key"),
        ("config = \"c\"\n[random]\ncount = 1.5\na.b = {log=[1,2]}", Some(3), "`count` is 1.5"),
        ("config = \"c\"\n[random]\ncount = 2\na.b = {log=[0,2]}", Some(4), "above 0"),
        ("config = \"c\"\n[random]\ncount = 2\na.b = {uniform=[2,1]}", Some(4), "lower one first"),
        ("config = \"c\"\n[random]\ncount = 2\na.b = {uniform=[0,nan]}", Some(4), "two numbers"),
        ("config = \"c\"\n[random]\ncount = 2\na.b = {integers=[0,1.5]}", Some(4), "whole numbers"),
        (
            "config = \"c\"\n[random]\ncount = 2\na.b = {gauss=[0,1]}",
            Some(4),
            "Write what is drawn as",
        ),
        ("config = \"c\"\n[random]\ncount = 3\na.b = {choice=[0,1]}", Some(2), "no other. Lower"),
        ("config = \"c\"\n[[variants]]\na.b = 1", Some(2), "no `name`"),
        ("config = \"c\"\nvariants = [1]", Some(2), "`[[variants]]`, each with a `name`"),
        ("config = \"c\"\n[set]\na = false\n[grid]\na.b = [1]", Some(5), "Write `[[variants]]`"),
        ("\nconfig = [\n", Some(2), "Close the list"),
    ] {
        let error = parse(text).and_then(|file| expand(&file)).unwrap_err();
        let said = error.to_string();
        let place = line
            .map_or("sweeps/test.toml: ".into(), |line| format!("sweeps/test.toml, line {line}: "));
        assert!(said.starts_with(&place) && said.contains(words), "{text:?}: {said}");
        assert!(error.is_usage());
    }
}

/// A table in braces is the value of a key, and after one word the keys of a section.
#[test]
fn a_key_can_be_a_table_in_braces() {
    let file = parse(
        r#"config = "c"
           [set]
           "lookahead.alpha_schedule" = { kind = "linear", to = 1.0 }
           lookahead.k_schedule = { kind = "linear", to = 9 }
           train = { threads = 1, epochs = 2 }
           [[variants]]
           name = "steps"
           "lookahead.alpha_schedule" = { kind = "steps", every = 5 }
        "#,
    )
    .unwrap();
    let keys = |set: &[Setting]| -> Vec<String> { set.iter().map(|set| set.key.clone()).collect() };
    let set = ["lookahead.alpha_schedule", "lookahead.k_schedule", "train.threads", "train.epochs"];
    assert_eq!(keys(&file.set), set);
    assert_eq!(file.set[0].value.get("to").and_then(Value::as_float), Some(1.0));
    assert_eq!(keys(&file.variants[0].set), ["lookahead.alpha_schedule"]);
}

#[test]
fn a_grid_is_every_combination_with_every_seed() {
    let text = r#"config = "c"
        seeds = [3, 7]
        [set]
        train.threads = 1
        [grid]
        optimizer.lr = [0.1, 1e-5]
        optimizer.kind = ["sgd", "adam"]"#;
    assert_eq!(
        names(text),
        [
            "lr0.1-sgd-s3",
            "lr0.1-sgd-s7",
            "lr0.1-adam-s3",
            "lr0.1-adam-s7",
            "lr1e-5-sgd-s3",
            "lr1e-5-sgd-s7",
            "lr1e-5-adam-s3",
            "lr1e-5-adam-s7"
        ]
    );
    // The kind comes first: it would remove keys that came before it.
    assert_eq!(
        sets(text)[0],
        "train.threads=1 optimizer.kind=\"sgd\" optimizer.lr=0.1 train.seed=3"
    );
}

/// A baseline without a section has none of its keys.
#[test]
fn a_variant_replaces_keys_and_leaves_those_of_a_section_that_it_takes_out() {
    let text = r#"config = "c"
        [grid]
        "lookahead.k" = [5, 10]
        "optimizer.lr" = [0.1, 0.2]
        [[variants]]
        name = "alone"
        lookahead = false
        [variants.grid]
        "optimizer.lr" = [0.3]
        [[variants]]
        name = "with it"
        "optimizer.lr" = 0.5"#;
    assert_eq!(
        sets(text),
        [
            "lookahead=false optimizer.lr=0.3",
            "optimizer.lr=0.5 lookahead.k=5",
            "optimizer.lr=0.5 lookahead.k=10"
        ]
    );
    assert_eq!(names(text), ["alone-lr0.3", "with-it-k5", "with-it-k10"]);
}

#[test]
fn draws_stay_the_same_when_there_are_more_and_are_in_their_ranges() {
    let text = |count: u64, more: &str| {
        format!(
            "config = \"c\"\n[random]\ncount = {count}\n{more}\
             a.log = {{ log = [1e-4, 1.0] }}\na.even = {{ uniform = [-1.0, 2.0] }}\n\
             a.whole = {{ integers = [-3, 3] }}\na.one = {{ choice = [\"x\", \"y\"] }}"
        )
    };
    let few = names(&text(5, ""));
    let many = points(&text(500, ""));
    let first: Vec<&str> = many[..5].iter().map(|point| point.name.as_str()).collect();
    assert_eq!(first, few);
    assert_ne!(names(&text(5, "seed = 1\n")), few);
    let value = |point: &SweepPoint, key: &str| {
        point.varied.iter().find(|(name, _)| name == key).unwrap().1.clone()
    };
    let numbers = |key: &str| -> Vec<f64> {
        many.iter().map(|point| value(point, key).as_float().unwrap()).collect()
    };
    let (log, even) = (numbers("a.log"), numbers("a.even"));
    assert!(log.iter().all(|found| (1e-4..=1.0).contains(found)));
    assert!(even.iter().all(|found| (-1.0..=2.0).contains(found)));
    // Half of each below its middle, within four standard deviations of √500 / 2.
    let below = |found: &[f64], middle| found.iter().filter(|value| **value < middle).count();
    assert!((205..=295).contains(&below(&log, 1e-2)), "{}", below(&log, 1e-2));
    assert!((205..=295).contains(&below(&even, 0.5)), "{}", below(&even, 0.5));
    let whole: BTreeSet<i64> =
        many.iter().map(|point| value(point, "a.whole").as_integer().unwrap()).collect();
    assert_eq!(whole, (-3..=3).collect());
    let ones: BTreeSet<String> =
        many.iter().map(|point| value(point, "a.one").to_string()).collect();
    assert_eq!(ones.len(), 2);
}

/// A variant without the drawn keys must not repeat its run for each draw.
#[test]
fn draws_that_are_alike_without_the_keys_that_a_variant_leaves_out_are_one() {
    let text = r#"config = "c"
        [random]
        count = 3
        "lookahead.k" = { integers = [1, 100] }
        [[variants]]
        name = "a"
        lookahead = false
        [[variants]]
        name = "b""#;
    let names = names(text);
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(names[0], "a");
}

#[test]
fn too_many_runs_are_refused_before_they_are_made() {
    let list: Vec<String> = (0..1000).map(|value| value.to_string()).collect();
    let list = list.join(", ");
    let text = |keys: &[&str]| {
        let axes: String = keys.iter().map(|key| format!("a.{key} = [{list}]\n")).collect();
        format!("config = \"c\"\n[grid]\n{axes}")
    };
    for keys in [&["a", "b"][..], &["a", "b", "c", "d", "e", "f", "g", "h"]] {
        let error = expand(&parse(&text(keys)).unwrap()).unwrap_err().to_string();
        assert!(error.contains(&format!("at most {MOST}")), "{error}");
    }
    assert_eq!(points(&text(&["a"])).len(), 1000);
}

#[test]
fn names_that_come_out_alike_or_too_long_get_a_hash() {
    let found = names("config = \"c\"\n[grid]\na.b = [\"x y\", \"x/y\", \"z\"]");
    assert!(found[0].starts_with("bx-y-") && found[1].starts_with("bx-y-"), "{found:?}");
    assert_ne!(found[0], found[1]);
    assert_eq!(found[2], "bz");
    let long = "ö".repeat(80);
    let found = names(&format!("config = \"c\"\n[grid]\na.b = [\"{long}x\", \"{long}y\"]"));
    assert!(found.iter().all(|name| name.len() <= 100), "{found:?}");
    assert_ne!(found[0], found[1]);
    // Keys with the same last part are named in full.
    assert_eq!(names("config = \"c\"\n[grid]\na.b = [1]\nc.b = [[2, 3]]"), ["a.b1-c.b2x3"]);
    assert_eq!(names("config = \"c\""), ["run"]);
}

/// A config with one key that can't be negative.
fn resolve(_: &Path, sets: &[(String, Value)]) -> Result<Json, Refused> {
    let mut config = json!({"train": {"threads": 1}});
    for (key, value) in sets {
        if value.as_integer().is_some_and(|value| value < 0) {
            let message = format!("`{key}` is {value}, and it must be at least 0.");
            return Err(Refused { key: Some(key.clone()), message });
        }
        config[key] = serde_json::to_value(value).unwrap();
    }
    Ok(config)
}

#[test]
fn every_config_is_checked_and_a_fault_has_its_line_and_its_run() {
    let plan = |text: &str| Plan::new(parse(text).unwrap(), &resolve);
    let error = plan("config = \"c\"\n[grid]\na.b = [1, -2]").unwrap_err();
    let said = error.to_string();
    for words in ["sweeps/test.toml, line 3: ", "`b-2`", "`a.b` is -2"] {
        assert!(said.contains(words), "{said}");
    }
    let twins = "config = \"c\"\n[[variants]]\nname = \"a\"\n[[variants]]\nname = \"b\"";
    let said = plan(twins).unwrap_err().to_string();
    assert!(said.contains("`b`") && said.contains("same as that of the run `a`"), "{said}");

    let found = plan("config = \"c\"\n[grid]\na.b = [1, 2]").unwrap();
    assert_eq!((found.points.len(), found.jobs(8), found.jobs(0)), (2, 8, 1));
    let found = plan("config = \"c\"\njobs = 3\n[set]\ntrain.threads = 2").unwrap();
    assert_eq!(found.jobs(8), 3);
}

#[test]
fn configs_differ_at_their_first_key() {
    let found = json!({"a": {"b": 1, "c": 2}, "d": {}});
    assert_eq!(difference(&found, &found), None);
    let wanted = json!({"a": {"b": 1, "c": 3}, "d": {"e": 1}});
    assert_eq!(difference(&found, &wanted), Some(("a.c".into(), "2".into(), "3".into())));
    let wanted = json!({"a": {"b": 1, "c": 2}, "d": {"e": 1}});
    assert_eq!(difference(&found, &wanted), Some(("d.e".into(), "not there".into(), "1".into())));
}

#[test]
fn a_folder_of_something_else_is_left_alone_and_a_sweep_has_one_process() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir(temp.path().join("other")).unwrap();
    std::fs::write(temp.path().join("other/file"), "mine").unwrap();
    std::fs::write(temp.path().join("file"), "mine").unwrap();
    for name in ["other", "file", "..", "a/b"] {
        let error = SweepFolder::create(temp.path(), name).unwrap_err();
        assert!(matches!(error, SweepError::NotASweep(_)), "{name}: {error}");
    }
    let folder = SweepFolder::create(temp.path(), "sweep").unwrap();
    let lock = folder.lock().unwrap();
    std::fs::write(folder.path().join("sweep.toml"), "").unwrap();
    std::fs::remove_dir(folder.path().join("output")).unwrap();
    let again = SweepFolder::create(temp.path(), "sweep").unwrap();
    assert!(again.path().join("output").is_dir(), "it was cleared away");
    assert!(matches!(again.lock(), Err(SweepError::InUse(_))));
    drop(lock);
    again.lock().unwrap();
}

fn values() -> impl Strategy<Value = Vec<Value>> {
    let value = prop_oneof![
        any::<i16>().prop_map(|value| Value::Integer(value.into())),
        (-1e6..1e6f64).prop_map(|value| Value::Float(value + 0.25)),
        "[a-zA-Z0-9 ./ü_-]{0,12}".prop_map(Value::String),
        any::<bool>().prop_map(Value::Boolean),
    ];
    prop::collection::vec(value, 1..5).prop_map(|mut values| {
        let mut seen = BTreeSet::new();
        values.retain(|value| seen.insert(value.to_string()));
        values
    })
}

proptest! {
    /// Any values give as many points as combinations, each with a unique name that can be that of a folder
    /// and does not depend on the order of the other points.
    #[test]
    fn points_are_all_combinations_and_their_names_are_unique(
        axes in prop::collection::btree_map("[a-c]\\.(kind|[d-f]{1,2})", values(), 0..4),
        seeds in 0..3usize,
        variants in prop::collection::btree_set("[a-c-]{1,2}", 0..3),
    ) {
        let mut table = toml::Table::new();
        table.insert("config".into(), "c".into());
        if seeds > 0 {
            table.insert("seeds".into(), (seeds as i64).into());
        }
        let grid: toml::Table =
            axes.iter().map(|(key, values)| (key.clone(), values.clone().into())).collect();
        table.insert("grid".into(), grid.into());
        if !variants.is_empty() {
            let named = |name: &String| {
                let name = Value::String(name.clone());
                Value::Table([("name".to_owned(), name)].into_iter().collect())
            };
            table.insert("variants".into(), variants.iter().map(named).collect::<Vec<_>>().into());
        }
        let found = points(&toml::to_string(&table).unwrap());
        let product: usize = axes.values().map(Vec::len).product();
        prop_assert_eq!(found.len(), product * seeds.max(1) * variants.len().max(1));
        let names: BTreeSet<&str> = found.iter().map(|point| point.name.as_str()).collect();
        prop_assert_eq!(names.len(), found.len());
        for name in names {
            prop_assert!(name.len() <= 100 && lookahead_run::folder::fault_of_name(name).is_none(), "{:?}", name);
            prop_assert!(!name.starts_with('-'));
        }
        for point in &found {
            let keys: BTreeSet<&str> = point.sets.iter().map(|set| set.key.as_str()).collect();
            prop_assert_eq!(keys.len(), point.sets.len(), "a key is set once");
        }
    }

    /// No text makes the reader panic, and one that it accepts expands or is refused.
    #[test]
    fn any_text_is_read_or_refused(
        lines in prop::collection::vec(
            prop::sample::select(vec![
                "seeds = 3", "seeds = [1, 2]", "jobs = 1", "[set]", "[grid]",
                "[random]", "count = 2", "a.b = [1, 2]", "a.b = 1", "a = false", "name = \"x\"",
                "a.c = { uniform = [0, 1] }", "a.c = { choice = [1, {}] }", "[[variants]]",
                "[variants.grid]", "a.c = { integers = [-9223372036854775808, 9223372036854775807] }",
                "a.d = 1979-05-27", "\"\" = 1", "a.e = { log = [1e-300, 1e300] }", "seed = -1",
            ]),
            0..8,
        ),
    ) {
        if let Ok(file) = parse(&format!("config = \"c\"\n{}", lines.join("\n"))) {
            let _ = expand(&file);
        }
    }
}
