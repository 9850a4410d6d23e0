//! Parameter groups with options of their own: `[[optimizer.group]]`.

use lookahead_core::LookaheadConfig;
use toml::{Table, Value};

use super::bounds::SINGLE;
use super::issue::{ConfigIssue, format_number, listed, quoted, unknown_choice};
use super::key::Key;
use super::kinds::{Kinds, Section};
use super::optimizer::OptimizerConfig;
use crate::nearest::similar;

/// One table of `[[optimizer.group]]`, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupConfig {
    /// Patterns of names, one of which must match. Empty: all names do.
    pub patterns: Vec<String>,
    /// Numbers of dimensions, one of which the parameter must have. Empty: any number.
    pub dims: Vec<usize>,
    /// The learning rate is this times that of the other parameters.
    pub lr_scale: f64,
    /// Its own weight decay.
    pub weight_decay: Option<f64>,
    /// Its own slow step size.
    pub alpha: Option<f64>,
    /// Its own inner optimizer, and the keys of that kind.
    pub kind: Option<(String, Table)>,
}

/// The keys of a table, besides those of its kind.
pub const KEYS: &[Key] = &[
    Key::texts(
        "match",
        "names of parameters, in which `*` is any characters: one, or a list of which one must match. Tied weights match \
         by each of their names",
    )
    .not_empty()
    .default("all; without `dims` required"),
    Key::wholes(
        "dims",
        "numbers of dimensions, one or a list of which the parameter must have one: biases and norms have 1. With `match`, \
         both must hold",
    )
    .at_least(0.0)
    .not_empty()
    .default("any; without `match` required"),
    Key::number(
        "lr_scale",
        "the learning rate is this times that of the rest, also as the schedule and `ctl set optimizer.lr` change it",
    )
    .at_least(0.0)
    .at_most(SINGLE)
    .default("1"),
    Key::number("weight_decay", "the group's own weight decay")
        .at_least(0.0)
        .at_most(SINGLE)
        .default("that of `[optimizer]`, or of `kind`"),
    Key::number(
        "alpha",
        "the group's own slow step size; needs `[lookahead]`, and excludes `adaptive_alpha`. `lookahead.alpha` is that of \
         the others",
    )
    .above(0.0)
    .at_most(100.0)
    .default("`lookahead.alpha`"),
    Key::choice(
        "kind",
        &[],
        "another inner optimizer for the group. Its keys follow; all that are left out have the defaults of the kind, not \
         the values of `[optimizer]`",
    )
    .default("that of `[optimizer]`"),
];

impl OptimizerConfig {
    /// The parameter groups, in their order.
    ///
    /// # Errors
    /// For the first bad value.
    pub fn groups(&self, kinds: &Kinds) -> Result<Vec<GroupConfig>, ConfigIssue> {
        let read = |(i, table)| {
            GroupConfig::read(kinds, table).map_err(|ConfigIssue { key, message }| {
                // The key's place in the file has the table's number.
                let key = format!("optimizer.group.{i}.{key}");
                ConfigIssue::new(key, message)
            })
        };
        self.group.iter().enumerate().map(read).collect()
    }

    /// The groups with a slow step size of their own, by the number of the group, which is 0 for the other parameters.
    pub fn alphas(&self, kinds: &Kinds) -> Vec<(usize, f64)> {
        let groups = self.groups(kinds).unwrap_or_default();
        let all = groups.iter().enumerate();
        all.filter_map(|(i, group)| Some((i + 1, group.alpha?))).collect()
    }

    /// Checks the groups' slow step sizes against `[lookahead]`.
    pub(super) fn check_alphas(
        &self,
        lookahead: Option<&LookaheadConfig>,
        kinds: &Kinds,
    ) -> Result<(), ConfigIssue> {
        for (group, alpha) in self.alphas(kinds) {
            let key = format!("optimizer.group.{}.alpha", group - 1);
            let found = format!("`optimizer.group.alpha` is {}", format_number(alpha));
            let message = match lookahead {
                None => format!(
                    "{found}, but there are no slow weights without the section `[lookahead]`. Add it, or remove the key."
                ),
                Some(config) if config.adaptive_alpha > 0.0 => format!(
                    "{found}, but `lookahead.adaptive_alpha` chooses one α for all parameters. Remove one of the two."
                ),
                Some(config) => match (LookaheadConfig { alpha, ..config.clone() }).check() {
                    Ok(()) => continue,
                    Err(refused) => {
                        refused.to_string().replace("`alpha`", "`optimizer.group.alpha`")
                    }
                },
            };
            return Err(ConfigIssue::new(key, message));
        }
        Ok(())
    }
}

impl GroupConfig {
    /// The issues' keys are those within the table.
    fn read(kinds: &Kinds, table: &Table) -> Result<Self, ConfigIssue> {
        let mut group = GroupConfig {
            patterns: Vec::new(),
            dims: Vec::new(),
            lr_scale: 1.0,
            weight_decay: None,
            alpha: None,
            kind: None,
        };
        let mut options = Table::new();
        let mut kind = None;
        for (key, value) in table {
            match key.as_str() {
                "match" => group.patterns = list(key, value, "a pattern of names", text)?,
                "dims" => group.dims = list(key, value, "a number of dimensions", count)?,
                "lr_scale" => group.lr_scale = number(key, value)?,
                "weight_decay" => group.weight_decay = Some(number(key, value)?),
                "alpha" => group.alpha = Some(number(key, value)?),
                "kind" => kind = Some(text(value).ok_or_else(|| wrong(key, value, "a name"))?),
                _ => {
                    options.insert(key.clone(), value.clone());
                }
            }
        }
        match kind {
            Some(kind) => group.take_kind(kinds, kind, options)?,
            None => refuse_options(kinds, &options)?,
        }
        if group.patterns.is_empty() && group.dims.is_empty() {
            let message = "A group of `[[optimizer.group]]` has neither `match` nor `dims`, which say what belongs to \
                           it. Add one, for example `match = \"*.bias\"`.";
            return Err(ConfigIssue::new("", message));
        }
        Ok(group)
    }

    fn take_kind(
        &mut self,
        kinds: &Kinds,
        kind: String,
        options: Table,
    ) -> Result<(), ConfigIssue> {
        const COMMON: &[&str] = &["match", "dims", "lr_scale", "weight_decay", "alpha", "kind"];
        let all = &kinds.optimizers;
        let Some(schema) = all.iter().find(|known| known.name == kind) else {
            let known: Vec<&str> = all.iter().map(|known| known.name).collect();
            let unknown = unknown_choice("optimizer.group.kind", &kind, &known);
            return Err(ConfigIssue::new("kind", unknown.message));
        };
        if let (Some(given), None) = (self.weight_decay, schema.weight_decay) {
            let message = format!(
                "`optimizer.group.weight_decay` is {}, but {kind} has no weight decay. Remove it.",
                format_number(given)
            );
            return Err(ConfigIssue::new("weight_decay", message));
        }
        self.weight_decay = self.weight_decay.or(schema.weight_decay);
        let section =
            Section { name: "optimizer.group", common: COMMON, neutral: Table::new(), kinds: all };
        let own = section.check_types(&kind, &options);
        let own = own.and_then(|()| section.resolve(schema, options)).map_err(|issue| {
            let key = issue.key.rsplit('.').next().unwrap_or_default().to_owned();
            // A kind checks its keys by their names in `[optimizer]`.
            let (found, named) = (format!("`optimizer.{key}`"), format!("`optimizer.group.{key}`"));
            ConfigIssue::new(key, issue.message.replace(&found, &named))
        })?;
        self.kind = Some((kind, own));
        Ok(())
    }
}

/// Refuses keys of a kind in a group without one.
fn refuse_options(kinds: &Kinds, options: &Table) -> Result<(), ConfigIssue> {
    let Some(key) = options.keys().next() else { return Ok(()) };
    let owners = kinds.optimizers.iter().filter(|kind| kind.has(key)).map(|kind| kind.name);
    let owners: Vec<&str> = owners.collect();
    let names = KEYS.iter().map(|known| known.name);
    let message = if owners.is_empty() {
        let remedy = match similar(names.clone(), key) {
            Some(meant) => format!("Did you mean `optimizer.group.{meant}`?"),
            None => format!("The keys here are {}.", quoted(names)),
        };
        format!("There is no key `optimizer.group.{key}`. {remedy}")
    } else {
        format!(
            "`optimizer.group.{key}` is in a group without `kind`. It belongs to a group with a `kind` of its own: {}. \
             Add `kind`, or set it in `[optimizer]` for all.",
            listed(&owners)
        )
    };
    Err(ConfigIssue::new(key.clone(), message))
}

fn wrong(key: &str, value: &Value, wanted: &str) -> ConfigIssue {
    let message = format!("`optimizer.group.{key}` is {value}. Use {wanted}.");
    ConfigIssue::new(key.to_owned(), message)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn count(value: &Value) -> Option<usize> {
    value.as_integer().and_then(|count| usize::try_from(count).ok())
}

/// A number from 0 to the largest in single precision.
fn number(key: &str, value: &Value) -> Result<f64, ConfigIssue> {
    let number = value.as_float().or(value.as_integer().map(|whole| whole as f64));
    let fits = number.filter(|number| (0.0..=SINGLE).contains(number));
    fits.ok_or_else(|| wrong(key, value, "a number from 0 to 3.4e38"))
}

/// One value, or a list of them.
fn list<T>(
    key: &str,
    value: &Value,
    what: &str,
    read: fn(&Value) -> Option<T>,
) -> Result<Vec<T>, ConfigIssue> {
    let one = std::slice::from_ref(value);
    let values = value.as_array().map_or(one, Vec::as_slice);
    let items: Option<Vec<T>> = values.iter().map(read).collect();
    let found = items.filter(|items| !items.is_empty());
    found.ok_or_else(|| wrong(key, value, &format!("{what}, or a list of them")))
}
