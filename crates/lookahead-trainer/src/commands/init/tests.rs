use super::*;
use crate::config::Loaded;
use crate::registry::Registry;

fn written(kinds: &Kinds, kind: &str, sets: &[&str]) -> String {
    let schema = kinds.data.iter().find(|schema| schema.name == kind).unwrap();
    let mut values = starter(kinds, schema).unwrap();
    let sets: Vec<Override> = sets.iter().map(|set| set.parse().unwrap()).collect();
    fill(kinds, &mut values, &sets).unwrap();
    add_required(kinds, &mut values);
    let filled = filled(kinds, &values).unwrap();
    template::write(kinds, schema, &values, &filled, "lookahead train x.toml")
}

fn parse(kinds: &Kinds, text: &str) -> Config {
    let loaded: Result<Loaded, _> = Config::parse(kinds, "x.toml", text, &[]);
    loaded.unwrap_or_else(|error| panic!("{error}\n{text}")).config
}

#[test]
fn the_config_of_each_kind_is_valid_and_has_all_its_keys() {
    let kinds = Registry::builtin().kinds().clone();
    for schema in &kinds.data {
        let text = written(&kinds, schema.name, &[]);
        let config = parse(&kinds, &text);
        assert_eq!(config.data.kind, schema.name);
        assert!(config.lookahead.is_some());
        for section in keys::sections(&kinds) {
            let own = match section.name {
                "data" => &config.data.kind,
                "model" => &config.model.kind,
                "optimizer" => &config.optimizer.kind,
                _ => "",
            };
            let start = text.find(&format!("\n[{}]", section.name)).unwrap();
            let part = text[start + 1..].split("\n[").next().unwrap();
            for entry in section.keys.iter().filter(|entry| own.is_empty() || entry.is_of(own)) {
                let name = entry.key.name;
                let has =
                    |line: &str| line.trim_start_matches("# ").starts_with(&format!("{name} = "));
                assert_eq!(part.lines().filter(|line| has(line)).count(), 1, "{name} in {part}");
            }
        }
        assert!(text.lines().all(|line| line.chars().count() <= 116), "{text}");
    }
}

/// A key that is commented out has its default: with the comment signs removed, the config is the same.
#[test]
fn what_is_commented_out_are_the_defaults() {
    let kinds = Registry::builtin().kinds().clone();
    let text = written(&kinds, "digits", &["optimizer.kind=adam"]);
    let without = parse(&kinds, &text);
    let all: Vec<&str> = text.lines().collect();
    let mut removed = 0;
    for (at, line) in all.iter().enumerate() {
        let more = all[at + 1..].iter().take_while(|line| line.starts_with("  "));
        let comment: String = more.fold((*line).to_owned(), |all, line| all + line);
        // Keys of other kinds of a schedule or an average are refused without that kind.
        let is_other = [
            "steps: ",
            "polynomial: ",
            "wsd: ",
            "one_cycle: ",
            "ema: ",
            "primal: ",
            "schedule_free: ",
            "ema_nesterov: ",
            "[default",
            "; default",
        ];
        let is_key = line.starts_with("# ") && line.contains(" = ");
        if !is_key || is_other.iter().any(|part| comment.contains(part)) {
            continue;
        }
        let mut lines = all.clone();
        lines[at] = &line[2..];
        assert_eq!(parse(&kinds, &lines.join("\n")), without, "{line}");
        removed += 1;
    }
    assert!(removed > 20, "{removed}");
}

#[test]
fn a_default_that_depends_on_other_keys_is_that_of_the_file() {
    let kinds = Registry::builtin().kinds().clone();
    for (sets, of, decay) in [
        (&["averaging.kind=ema"][..], "slow", "0.995"),
        (&["averaging.kind=ema", "lookahead=false"], "fast", "0.999"),
        (&["averaging.kind=ema", "averaging.of=fast"], "fast", "0.999"),
    ] {
        let text = written(&kinds, "digits", sets);
        let has =
            |line: &str| text.lines().any(|own| own.trim_start_matches("# ").starts_with(line));
        assert!(has(&format!("of = \"{of}\"")) && has(&format!("decay = {decay}")), "{text}");
    }
}

#[test]
fn a_config_without_lookahead_has_that_section_in_a_comment() {
    let kinds = Registry::builtin().kinds().clone();
    let text = written(&kinds, "digits", &["lookahead=false", "model.kind=cnn"]);
    let config = parse(&kinds, &text);
    assert_eq!((config.lookahead, config.model.kind.as_str()), (None, "cnn"));
    assert!(text.contains("\n# [lookahead]"));
}

#[test]
fn the_likely_target_is_named_so_or_the_last() {
    let columns = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(likely_target(&columns(&["a", "Class", "b"])), "Class");
    assert_eq!(likely_target(&columns(&["a", "b"])), "b");
}

/// The starter's own learning rate is for the starter's kind, and one of the command line is for any.
#[test]
fn the_learning_rate_suits_the_optimizer() {
    let kinds = Registry::builtin().kinds().clone();
    for (kind, sets, lr) in [
        ("digits", &[][..], 0.1),
        ("digits", &["optimizer.kind=adam"], 0.001),
        ("digits", &["optimizer.kind=lion"], 0.0001),
        ("digits", &["optimizer.kind=lion", "optimizer.lr=0.3"], 0.3),
        ("text", &["optimizer.kind=sgd"], 0.1),
        ("quadratic", &[], 1.0),
        ("digits", &["lookahead.preset=ranger"], 0.001),
    ] {
        let config = parse(&kinds, &written(&kinds, kind, sets));
        assert_eq!(config.optimizer.lr, lr, "{kind} {sets:?}");
    }
    let config = parse(&kinds, &written(&kinds, "digits", &["optimizer.kind=muon"]));
    assert_eq!(config.optimizer.options["momentum"].as_float(), Some(0.95));
    for schema in &kinds.optimizers {
        let set = format!("optimizer.kind={}", schema.name);
        let config = parse(&kinds, &written(&kinds, "digits", &[&set]));
        assert_eq!(config.optimizer.lr, schema.learning_rate, "{}", schema.name);
        assert_eq!(schema.learning_rate == 0.1, schema.name == "sgd", "{}", schema.name);
    }
}
