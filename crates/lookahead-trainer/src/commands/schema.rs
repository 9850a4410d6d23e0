//! `lookahead schema`: the JSON Schema of a config or of a sweep, by which editors complete and check it.
//!
//! It is made from the tables of [keys](crate::config::keys), whose bounds the checks use too, so also kinds of your own are in
//! it. It is draft 07, of which only what Taplo and Even Better TOML know is used.
//!
//! | module | what is in it |
//! |---|---|
//! | `value` | the values of a key |
//! | `sections` | a config: its sections, and which kind has which key |
//! | `sweep` | a sweep: keys with values, with lists of them and with distributions |

mod sections;
mod sweep;
mod value;

use std::io::Write;

use lookahead_run::program_name;
use serde_json::{Value, json};

use crate::cli::{self, SchemaOf};
use crate::config::keys;
use crate::config::kinds::Kinds;
use crate::console::Stdout;

/// Prints the schema.
pub fn schema(kinds: &Kinds, arguments: &cli::Schema) -> anyhow::Result<()> {
    let text = match arguments.of {
        SchemaOf::Config => of_config(kinds),
        SchemaOf::Sweep => of_sweep(kinds),
    };
    let mut stdout = Stdout::new()?;
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// The JSON Schema of a config, as text.
pub fn of_config(kinds: &Kinds) -> String {
    let sections = keys::sections(kinds);
    let properties =
        sections.iter().map(|section| (section.name.to_owned(), sections::section(kinds, section)));
    let mut config = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties.collect::<serde_json::Map<_, _>>(),
    });
    if let (Some(config), Value::Object(rule)) =
        (config.as_object_mut(), sections::kind_or_preset(&sections))
    {
        config.extend(rule);
    }
    document("config", config)
}

/// The JSON Schema of a sweep, as text.
pub fn of_sweep(kinds: &Kinds) -> String {
    document("sweep", sweep::sweep(kinds))
}

/// The title of the schema of a config.
pub(super) fn title_of_config() -> String {
    title("config")
}

fn title(what: &str) -> String {
    format!("A {what} of {}", program_name())
}

fn document(what: &str, schema: Value) -> String {
    let mut document = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": title(what),
    });
    if let (Some(document), Value::Object(schema)) = (document.as_object_mut(), schema) {
        document.extend(schema);
    }
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests;
