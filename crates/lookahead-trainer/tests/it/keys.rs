//! The keys of a config: what `config` and `init` print and write, and the pages that list all keys.

use std::fmt::Write;

use lookahead_trainer::Registry;
use lookahead_trainer::config::groups;
use lookahead_trainer::config::key::REQUIRED;
use lookahead_trainer::config::keys::{Changes, KeyEntry, SectionKeys, sections};

use crate::common::root;
use crate::common::session::Session;

#[test]
fn keys_are_explained() {
    let mut session = Session::new();
    session.run("lookahead config | head -5");
    session.run("lookahead config lookahead.k");
    session.run("lookahead config width");
    session.run("lookahead config optimizer.kind");
    session.run("lookahead config probe");
    session.run("lookahead config quadratic");
    session.run("lookahead config data.csv | head -12");
    session.run("lookahead config wsd");
    session.run("lookahead config schedule.kind | head -15");
    session.run("lookahead config ranger");
    session.run("lookahead config optimiser.lr");
    session.run("lookahead config kind");
    session.run("lookahead config lr --json");
    session.assert_snapshot("keys are explained");
}

#[test]
fn a_config_is_written_for_a_table() {
    let mut session = Session::new();
    std::fs::copy(root().join("configs/data/wine.csv"), session.path().join("wine.csv")).unwrap();
    session.run("lookahead init");
    session.run("lookahead init csv");
    session.run("head -30 csv.toml");
    let (shown, status) = session.quietly("lookahead train csv.toml --no-tui");
    assert!(status == 2 && shown.contains("table.csv of `data.file`"), "{shown}");
    session.run("lookahead init csv --data wine.csv");
    session.run("lookahead init csv --data wine.csv --force");
    session.run("echo '{\"title\": \"mine\"}' > lookahead.schema.json");
    session.run("lookahead init csv --data wine.csv --force");
    session.run("cat lookahead.schema.json");
    session.run(
        "lookahead train csv.toml --no-tui --quiet --set train.max_steps=10 --set train.threads=1",
    );
    session.run("lookahead init csv --data wine.csv --target cultivr -o wine.toml");
    session.run("lookahead init cvs");
    session.run("lookahead init torchscript");
    session.run("lookahead init csv --data wine.csv --set model.kind=torchscript -o net.toml");
    session.run("grep 'net.pt' net.toml");
    session.run("lookahead init digits --data wine.csv");
    session.run("lookahead init text --data missing.txt");
    session.run("lookahead init quadratic -o - | head -7");
    session.assert_snapshot("a config is written for a table");
}

/// Every kind of data that needs no download.
#[test]
fn the_config_of_each_kind_trains() {
    let session = Session::new();
    std::fs::copy(root().join("docs/guide.md"), session.path().join("book.txt")).unwrap();
    std::fs::copy(root().join("configs/data/wine.csv"), session.path().join("table.csv")).unwrap();
    for class in ["light", "dark"] {
        let folder = session.path().join("photos").join(class);
        std::fs::create_dir_all(&folder).unwrap();
        for number in 0..10 {
            let shade = if class == "light" { 200 + number } else { 20 + number };
            let image = image::GrayImage::from_pixel(8, 8, image::Luma([shade]));
            image.save(folder.join(format!("{number}.png"))).unwrap();
        }
    }
    std::fs::write(session.path().join("train.safetensors"), two_numbers()).unwrap();
    for (kind, options) in [
        ("digits", ""),
        ("csv", "--target cultivar"),
        ("images", "--set data.dir=photos"),
        ("arrays", "--data train.safetensors"),
        ("text", "--set data.length=16 --set model.kind=transformer"),
        ("noisy-quadratic", ""),
        ("quadratic", "--set lookahead=false"),
    ] {
        let line = format!("lookahead init {kind} {options}");
        let (shown, status) = session.quietly(&line);
        assert_eq!(status, 0, "{line}: {shown}");
        let line = format!(
            "lookahead train {kind}.toml --no-tui --quiet --set train.max_steps=10 --set train.threads=1"
        );
        let (shown, status) = session.quietly(&line);
        assert_eq!((status, shown.as_str()), (0, ""), "{line}: {shown}");
    }
}

/// 40 samples of two numbers in two classes, as safetensors.
fn two_numbers() -> Vec<u8> {
    let inputs: Vec<u8> = (0..80u16).flat_map(|n| (f32::from(n % 7) - 3.0).to_le_bytes()).collect();
    let targets: Vec<u8> = (0..40i64).flat_map(|n| (n % 2).to_le_bytes()).collect();
    let view = |dtype, shape: &[usize], data: &'static [u8]| {
        safetensors::tensor::TensorView::new(dtype, shape.to_vec(), data).unwrap()
    };
    let (inputs, targets) = (inputs.leak(), targets.leak());
    let tensors = [
        ("inputs", view(safetensors::Dtype::F32, &[40, 2], inputs)),
        ("targets", view(safetensors::Dtype::I64, &[40], targets)),
    ];
    safetensors::serialize(tensors, None).unwrap()
}

/// `UPDATE_DOCS=1` regenerates the tables.
#[test]
fn the_documentation_has_the_tables_of_all_keys() {
    let path = root().join("docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut generated = page.clone();
    for section in sections(Registry::builtin().kinds()) {
        generated = with_table(&generated, &section);
    }
    generated = with_rows(&generated, "\n### Parameter groups\n", &rows_of_groups());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, generated).unwrap();
    } else {
        let hint = "docs/configuration.md has other tables. Run this test with UPDATE_DOCS=1.";
        assert!(page == generated, "{hint}");
    }
}

/// `UPDATE_DOCS=1` regenerates them.
#[test]
fn the_schemas_are_those_of_the_program() {
    let kinds = Registry::builtin();
    for (name, schema) in [
        ("config", lookahead_trainer::commands::of_config(kinds.kinds())),
        ("sweep", lookahead_trainer::commands::of_sweep(kinds.kinds())),
    ] {
        let path = root().join(format!("docs/{name}.schema.json"));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &schema).unwrap();
        } else {
            let hint = "is not that of the program. Run this test with UPDATE_DOCS=1.";
            assert!(std::fs::read_to_string(&path).unwrap() == schema, "{} {hint}", path.display());
        }
    }
}

#[test]
fn a_config_of_the_project_names_every_key() {
    let text = std::fs::read_to_string(root().join("configs/fashion-mnist.toml")).unwrap();
    for section in sections(Registry::builtin().kinds()) {
        let start = text.find(&format!("\n[{}]", section.name)).unwrap();
        let part = text[start + 1..].split("\n[").next().unwrap();
        for entry in &section.keys {
            let start = format!("{} = ", entry.key.name);
            let has = part.lines().any(|line| line.trim_start_matches("# ").starts_with(&start));
            assert!(has, "configs/fashion-mnist.toml does not name {}", entry.dotted());
        }
    }
}

const HEADER: &str = "| key | default | allowed | meaning |\n|---|---|---|---|\n";

/// The page with these rows in the first table after the heading.
fn with_rows(page: &str, heading: &str, rows: &str) -> String {
    let start = page.find(heading).unwrap_or_else(|| panic!("no heading {heading}"));
    let table = start + page[start..].find(HEADER).unwrap();
    let end = table + page[table..].find("\n\n").unwrap() + 1;
    format!("{}{HEADER}{rows}{}", &page[..table], &page[end..])
}

/// The keys of `[[optimizer.group]]`, and those of each kind.
fn rows_of_groups() -> String {
    let registry = Registry::builtin();
    let optimizers = &registry.kinds().optimizers;
    let mut rows = String::new();
    for key in groups::KEYS {
        let names = optimizers.iter().map(|kind| format!("`{}`", kind.name));
        let allowed = match key.name {
            "kind" => names.collect::<Vec<_>>().join(", "),
            _ => key.allowed_words(),
        };
        let row = format!("| `{}` | {} | {allowed} | {} |", key.name, key.default, key.meaning);
        writeln!(rows, "{}", row.replace("|  |", "| |")).unwrap();
    }
    let own = optimizers.iter().map(|kind| {
        let keys = kind.documented_keys().into_iter().map(|(key, _)| format!("`{}`", key.name));
        format!("{}: {}", kind.name, keys.collect::<Vec<_>>().join(", "))
    });
    let own = own.collect::<Vec<_>>().join("; ");
    writeln!(rows, "| keys of `kind` | those of the kind | as in `[optimizer]` | {own} |").unwrap();
    rows
}

/// The page with the section's table in place of the one that it has.
fn with_table(page: &str, section: &SectionKeys) -> String {
    let mut rows = String::new();
    let mut entries = &section.keys[..];
    while let [first, ..] = entries {
        // Meanings for several kinds are next to each other.
        let count = entries.iter().take_while(|other| other.key.name == first.key.name).count();
        let (own, rest) = entries.split_at(count);
        entries = rest;
        writeln!(rows, "{}", row(own)).unwrap();
    }
    with_rows(page, &format!("\n## `[{}]`\n", section.name), &rows)
}

fn row(entries: &[KeyEntry]) -> String {
    let defaults = joined(entries, entries.iter().map(defaults).collect());
    let allowed = joined(entries, entries.iter().map(allowed).collect());
    let meanings: Vec<String> = entries.iter().map(meaning).collect();
    let mark = match entries[0].changes() {
        Changes::Live => ". *Live*",
        Changes::OnResume => ". *Resume*",
        Changes::Never => "",
    };
    let cells = [defaults, allowed, meanings.join(". ") + mark];
    let [default, allowed, meaning] = cells.map(|cell| cell.replace('|', "\\|"));
    let line = format!("| `{}` | {default} | {allowed} | {meaning} |", entries[0].key.name);
    line.replace("|  |", "| |")
}

/// The texts of all entries, or one if they are equal.
fn joined(entries: &[KeyEntry], texts: Vec<String>) -> String {
    if texts.windows(2).all(|pair| pair[0] == pair[1]) {
        return texts[0].clone();
    }
    let of_kinds = texts.iter().zip(entries).map(|(text, entry)| match entry.defaults.len() {
        1 => format!("{}: {text}", entry.kinds.join(", ")),
        _ => text.clone(),
    });
    of_kinds.collect::<Vec<_>>().join("; ")
}

fn defaults(entry: &KeyEntry) -> String {
    if entry.key.default == REQUIRED {
        return REQUIRED.to_owned();
    }
    let words = |own: &lookahead_trainer::config::keys::KindDefault| {
        let value = match &own.value {
            Some(toml::Value::String(text)) => format!("`{text}`"),
            Some(value) => lookahead_trainer::config::keys::shown(value),
            None => entry.key.default.to_owned(),
        };
        if entry.defaults.len() > 1 { format!("{}: {value}", own.kinds.join(", ")) } else { value }
    };
    entry.defaults.iter().map(words).collect::<Vec<_>>().join("; ")
}

fn allowed(entry: &KeyEntry) -> String {
    if !entry.key.allowed.is_empty() || entry.choices.is_empty() {
        return entry.key.allowed_words();
    }
    let quoted = entry.choices.iter().map(|choice| format!("`{choice}`"));
    quoted.collect::<Vec<_>>().join(", ")
}

fn meaning(entry: &KeyEntry) -> String {
    if entry.kinds.is_empty() {
        return entry.key.meaning.to_owned();
    }
    format!("{}: {}", entry.kinds.join(", "), entry.key.meaning)
}
