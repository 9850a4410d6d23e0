//! `lookahead init`: a commented config for a kind of data, and beside it the schema by which editors complete and check
//! it.

mod images;
mod template;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use lookahead_run::event::Task;
use lookahead_run::program_name;
use toml::{Table, Value};

use super::prose::indented;
use super::schema::{of_config, title_of_config};
use crate::cli;
use crate::config::key::REQUIRED;
use crate::config::keys;
use crate::config::kinds::{Kinds, Schema};
use crate::config::lookahead;
use crate::config::{Config, Override};
use crate::console::{Stdout, eprint_line, stdout_width};
use crate::data::table;
use crate::hints::quoted;
use crate::nearest::similar;
use crate::usage::UsageError;

/// Writes the config and the schema, if there is none, and prints what to do next. Without a kind, lists the kinds.
pub fn init(kinds: &Kinds, arguments: &cli::Init) -> anyhow::Result<()> {
    let Some(name) = &arguments.kind else { return list(kinds) };
    let schema = kinds.data.iter().find(|schema| schema.name == name);
    let schema = schema.ok_or_else(|| not_data(kinds, name))?;
    let to_stdout = arguments.output.as_deref() == Some(Path::new("-"));
    let path = match &arguments.output {
        Some(path) if !to_stdout => path.clone(),
        _ => PathBuf::from(format!("{name}.toml")),
    };
    if !to_stdout && !arguments.force && path.symlink_metadata().is_ok() {
        return Err(exists(&path).into());
    }
    let mut values = starter(kinds, schema)?;
    let mut notes = Vec::new();
    let mut sets = of_your_own(schema, arguments, &mut notes)?;
    sets.extend(arguments.overrides.iter().cloned());
    fill(kinds, &mut values, &sets)?;
    let placeholders = add_required(kinds, &mut values);
    let train = format!("{} train {}", program_name(), quoted(&path));
    let filled = filled(kinds, &values)?;
    let text = template::write(kinds, schema, &values, &filled, &train);
    let of_editors = path.with_file_name(format!("{}.schema.json", program_name()));
    for note in notes {
        eprint_line(note);
    }
    if to_stdout {
        let mut stdout = Stdout::new()?;
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        return Ok(());
    }
    write(&path, &text, arguments.force)?;
    let is_new = of_editors.symlink_metadata().is_err();
    if is_new || (arguments.force && is_schema(&of_editors)) {
        write(&of_editors, &of_config(kinds), arguments.force)?;
    } else if arguments.force {
        eprint_line(format_args!(
            "Note: {} is not a schema of this program, and stays as it is. Editors read it for this config: move it, and \
             run `{} schema > {}`.",
            of_editors.display(),
            program_name(),
            quoted(&of_editors)
        ));
    }
    let edit = match &placeholders[..] {
        [] => "Next".to_owned(),
        keys => format!("Edit {} there, then", keys.join(" and ")),
    };
    let also =
        if is_new { format!(" and, for editors, {}", of_editors.display()) } else { String::new() };
    eprint_line(format_args!("Wrote {}{also}. {edit}: {train}", path.display()));
    Ok(())
}

fn not_data(kinds: &Kinds, name: &str) -> UsageError {
    let names: Vec<&str> = kinds.data.iter().map(|schema| schema.name).collect();
    let names = names.join(", ");
    let program = program_name();
    UsageError::new(if kinds.models.iter().any(|schema| schema.name == name) {
        format!(
            "`{name}` is a kind of model, and a config begins with its data. Choose it with \
             `{program} init KIND --set model.kind={name}`, where KIND is one of these: {names}."
        )
    } else {
        let all = kinds.data.iter().map(|schema| schema.name);
        let meant = similar(all, name).map(|kind| format!(" Did you mean `{kind}`?"));
        let meant = meant.unwrap_or_default();
        format!("`{name}` is not a kind of data.{meant} Use one of these: {names}.")
    })
}

fn list(kinds: &Kinds) -> anyhow::Result<()> {
    let width = stdout_width().unwrap_or(100);
    let longest = kinds.data.iter().map(|schema| schema.name.len()).max().unwrap_or_default() + 2;
    let mut text = String::new();
    for schema in &kinds.data {
        let about = indented(schema.about(), longest, width);
        let rest = about.get(longest..).unwrap_or("\n");
        text += &format!("{:<longest$}{rest}", schema.name);
    }
    text += &format!(
        "\n`{} init KIND` writes a config for one of them to KIND.toml.\n",
        program_name()
    );
    let mut stdout = Stdout::new()?;
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// The kind's own starter, with Lookahead and a model.
fn starter(kinds: &Kinds, schema: &Schema) -> anyhow::Result<Table> {
    let values = schema.starter().parse();
    let mut values: Table =
        values.with_context(|| format!("The starter of the kind {} is not TOML.", schema.name))?;
    section(&mut values, "lookahead");
    section(&mut values, "data").insert("kind".to_owned(), schema.name.into());
    let learns = |task: &Task, model: &Schema| model.tasks.is_empty() || model.tasks.contains(task);
    let fits = |model: &&Schema| schema.tasks.iter().all(|task| learns(task, model));
    // Fully connected layers take inputs of any shape.
    let general = kinds.models.iter().find(|model| model.name == "mlp").filter(fits);
    let model = section(&mut values, "model");
    if let Some(model_kind) = general.or_else(|| kinds.models.iter().find(fits)) {
        model.entry("kind").or_insert_with(|| model_kind.name.into());
    }
    Ok(values)
}

/// A section, which is added if there is none.
fn section<'a>(values: &'a mut Table, name: &str) -> &'a mut Table {
    let value = values.entry(name).or_insert_with(|| Value::Table(Table::new()));
    if !value.is_table() {
        *value = Value::Table(Table::new());
    }
    value.as_table_mut().expect("It was made one.")
}

/// The inner optimizer's kind.
fn kind_of_optimizer(values: &Table) -> &str {
    let section = values.get("optimizer").and_then(Value::as_table);
    section.and_then(|own| own.get("kind")?.as_str()).unwrap_or("sgd")
}

/// Whether a file is a schema that this program wrote.
fn is_schema(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let json = serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
    json.get("title").and_then(serde_json::Value::as_str) == Some(&*title_of_config())
}

/// What `--data` and `--target` set.
fn of_your_own(
    schema: &Schema,
    arguments: &cli::Init,
    notes: &mut Vec<String>,
) -> Result<Vec<Override>, UsageError> {
    let set = |key: &str, value: &str| Override::of_value(format!("data.{key}"), value.into());
    let name = schema.name;
    let mut sets = Vec::new();
    let mut target = arguments.target.clone();
    if target.is_some() && !schema.has("target") {
        return Err(UsageError::new(format!(
            "`--target` names a column, and {name} has no columns. Remove it, or choose the kind csv."
        )));
    }
    if let Some(path) = &arguments.data {
        let key = ["file", "dir"].into_iter().find(|key| schema.has(key)).ok_or_else(|| {
            UsageError::new(format!(
                "`--data` names files of your own, and {name} has none. Remove it."
            ))
        })?;
        if !path.exists() {
            return Err(UsageError::new(format!(
                "`--data` is {}, which does not exist. Check the path.",
                path.display()
            )));
        }
        let text = path.to_str().ok_or_else(|| {
            UsageError::new(format!("`--data` is {}, which is not UTF-8.", path.display()))
        })?;
        sets.push(set(key, text));
        if name == "images" {
            sets.extend(images::of_folder(path, notes)?);
        }
        if schema.has("target") && schema.has("delimiter") {
            let (delimiter, columns) = table::columns(path, target.as_deref())?;
            if delimiter != ',' {
                sets.push(set("delimiter", &delimiter.to_string()));
            }
            if target.is_none() {
                let found = likely_target(&columns);
                notes.push(format!(
                    "`data.target`, the column to predict, is set to {found:?}, one of {} columns. Choose another \
                     with `--target`.",
                    columns.len()
                ));
                target = Some(found.to_owned());
            }
        }
    }
    sets.extend(target.map(|target| set("target", &target)));
    Ok(sets)
}

/// The column that is most likely the one to predict.
fn likely_target(columns: &[String]) -> &str {
    let usual = ["target", "label", "class", "y"];
    let named = columns.iter().find(|column| usual.contains(&column.to_lowercase().as_str()));
    named.or(columns.last()).map_or("", String::as_str)
}

/// Sets the keys that the user gave, those of a preset, and a learning rate for the optimizer.
fn fill(kinds: &Kinds, values: &mut Table, sets: &[Override]) -> anyhow::Result<()> {
    let before = kind_of_optimizer(values).to_owned();
    apply(kinds, values, sets)?;
    if kind_of_optimizer(values) != before {
        // The starter's other settings are for its own kind.
        let is_given = |key: &str| sets.iter().any(|set| set.key == format!("optimizer.{key}"));
        section(values, "optimizer").retain(|key, _| key == "kind" || is_given(key));
    }
    lookahead::expand_preset(values);
    let kind = kind_of_optimizer(values);
    if let Some(schema) = kinds.optimizers.iter().find(|schema| schema.name == kind) {
        section(values, "optimizer").entry("lr").or_insert(schema.learning_rate.into());
    }
    Ok(())
}

/// Sets the keys that the user gave, checked as `train --set` does.
fn apply(kinds: &Kinds, values: &mut Table, sets: &[Override]) -> anyhow::Result<()> {
    // Keys that are dropped were the starter's.
    Config::apply(kinds, values, sets)?;
    // The ranges are checked with all that must be set.
    let mut complete = values.clone();
    add_required(kinds, &mut complete);
    Config::parse(kinds, "The starter of this kind", &toml::to_string(&complete)?, sets)?;
    Ok(())
}

/// Sets the keys that must be set to their examples, and returns those that were missing.
fn add_required(kinds: &Kinds, values: &mut Table) -> Vec<String> {
    let mut added = Vec::new();
    for section in keys::sections(kinds) {
        let Some(own) = values.get_mut(section.name).and_then(Value::as_table_mut) else {
            continue;
        };
        let kind = own.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_missing =
            |entry: &&keys::KeyEntry| entry.key.default == REQUIRED && entry.is_of(&kind);
        for entry in section.keys.iter().filter(is_missing) {
            let example = format!("value = {}", entry.example()).parse::<Table>();
            let value = example.ok().and_then(|mut table| table.remove("value"));
            if let (false, Some(value)) = (own.contains_key(entry.key.name), value) {
                own.insert(entry.key.name.to_owned(), value);
                added.push(entry.dotted());
            }
        }
    }
    added
}

/// The config with all its defaults.
fn filled(kinds: &Kinds, values: &Table) -> anyhow::Result<Table> {
    let loaded = Config::parse(kinds, "The new config", &toml::to_string(values)?, &[])?;
    Ok(loaded.config.to_toml().parse()?)
}

fn write(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(exists(path).into()),
        other => other.with_context(|| format!("{} can't be written.", path.display())),
    }
}

fn exists(path: &Path) -> UsageError {
    UsageError::new(format!(
        "{} exists. Use another name with `--output`, or `--force` to replace it.",
        path.display()
    ))
}

#[cfg(test)]
mod tests;
