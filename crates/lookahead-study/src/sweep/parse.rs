//! Reading `SWEEP.toml`, with the lines of its faults.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lookahead_run::folder::fault_of_name;
use lookahead_run::toml_fault;
use toml::Spanned;
use toml::Value;
use toml::de::{DeTable, DeValue};

use super::error::SweepError;
use super::file::{Axis, Distribution, Drawn, MOST, Random, Setting, SweepFile, Variant};

const KEYS: &str =
    "`config`, `name`, `seeds`, `jobs`, `[set]`, `[grid]`, `[random]`, `[[variants]]`";
const DISTRIBUTIONS: [&str; 4] = ["uniform", "log", "integers", "choice"];
const HOW_TO_DRAW: &str = "`{ uniform = [LOW, HIGH] }`, `{ log = [LOW, HIGH] }`, \
                           `{ integers = [LOW, HIGH] }` or `{ choice = [VALUE, …] }`";

/// A fault at a line.
type Fault = (Option<usize>, String);

impl SweepFile {
    /// Reads a file.
    ///
    /// # Errors
    /// For the first fault, with its line.
    pub fn read(path: &Path) -> Result<SweepFile, SweepError> {
        let text = lookahead_run::folder::read_config(path).map_err(|error| SweepError::File {
            path: path.to_owned(),
            line: None,
            message: format!("The sweep can't be read. {error} Examples are in `configs/sweeps`."),
        })?;
        SweepFile::parse(path, &text)
    }

    /// As [`read`](Self::read), of the text of the file at `path`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(path: &Path, text: &str) -> Result<SweepFile, SweepError> {
        parse(path, text).map_err(|(line, message)| SweepError::File {
            path: path.to_owned(),
            line,
            message,
        })
    }
}

/// A key with its value and its line.
struct Entry<'a> {
    key: String,
    line: usize,
    value: &'a Value,
    spanned: &'a Spanned<DeValue<'a>>,
}

impl Entry<'_> {
    fn fault(&self, message: impl Into<String>) -> Fault {
        (Some(self.line), message.into())
    }

    /// `KEY is VALUE.`, then what to use instead.
    fn refuse(&self, remedy: impl std::fmt::Display) -> Fault {
        self.fault(format!("`{}` is {}. {remedy}", self.key, self.value))
    }
}

/// The entries of a table in the order of the text, which a parsed table has lost.
fn entries<'a>(text: &str, spanned: &'a DeTable<'a>, table: &'a toml::Table) -> Vec<Entry<'a>> {
    let mut found: Vec<(usize, Entry)> = spanned
        .iter()
        .filter_map(|(name, spanned)| {
            let at = name.span().start;
            let key = name.get_ref().to_string();
            let value = table.get(&key)?;
            Some((at, Entry { line: line_of(text, at), key, value, spanned }))
        })
        .collect();
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, entry)| entry).collect()
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).map_or(1, |before| before.matches('\n').count() + 1)
}

fn parse(path: &Path, text: &str) -> Result<SweepFile, Fault> {
    let syntax = |error: toml::de::Error| {
        let at = error.span().map_or(text.len(), |span| span.start);
        (Some(line_of(text, at)), toml_fault::describe(text, at, error.message()))
    };
    let table: toml::Table = toml::from_str(text).map_err(syntax)?;
    let spanned = DeTable::parse(text).map_err(syntax)?;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let mut file = SweepFile {
        path: path.to_owned(),
        text: text.to_owned(),
        name: stem.unwrap_or_default(),
        config: PathBuf::new(),
        seeds: Vec::new(),
        jobs: None,
        set: Vec::new(),
        grid: Vec::new(),
        random: None,
        variants: Vec::new(),
    };
    let mut name_line = None;
    for entry in entries(text, spanned.get_ref(), &table) {
        match entry.key.as_str() {
            "config" => {
                let folder = path.parent().unwrap_or(Path::new(""));
                file.config = folder.join(string(&entry)?);
            }
            "name" => {
                file.name = string(&entry)?.to_owned();
                name_line = Some(entry.line);
            }
            "seeds" => file.seeds = seeds(&entry)?,
            "jobs" => {
                let jobs = entry.value.as_integer().filter(|jobs| (1..=1024).contains(jobs));
                let jobs = jobs.ok_or_else(|| {
                    entry.refuse("Use a whole number from 1 to 1024, the processes at once.")
                })?;
                file.jobs = Some(jobs as usize);
            }
            "set" => file.set = settings(text, &entry)?,
            "grid" => file.grid = axes(text, &entry)?,
            "random" => file.random = Some(random(text, &entry)?),
            "variants" => file.variants = variants(text, &entry)?,
            other => {
                return Err(entry.fault(format!(
                    "`{other}` is not a key of a sweep, which has {KEYS}. Keys of the config go \
                     into `[set]`, `[grid]` or `[random]`."
                )));
            }
        }
    }
    if file.config.as_os_str().is_empty() {
        let message = "`config` is missing. Name the config that the runs share, for example \
                       `config = \"../digits.toml\"`, as a path from this file.";
        return Err((None, message.into()));
    }
    if fault_of_name(&file.name).is_some() {
        let message = format!(
            "{:?} can't be the name of a sweep, which is that of a folder. Use one without `/` and \
             control characters that does not start with a dot, for example `digits-lr`.",
            file.name
        );
        return Err((name_line, message));
    }
    check_keys(&file)?;
    Ok(file)
}

fn string<'a>(entry: &Entry<'a>) -> Result<&'a str, Fault> {
    let text = entry.value.as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| entry.refuse("Use a text in quotes."))
}

fn seeds(entry: &Entry) -> Result<Vec<i64>, Fault> {
    let refused = || {
        entry.refuse(format!(
            "Use different whole numbers of at least 0, for example `[0, 1, 2]`, or how many of \
             them from 0 on, at least 1 and at most {MOST}."
        ))
    };
    let found: Vec<i64> = match entry.value {
        Value::Integer(count) if (1..=MOST as i64).contains(count) => (0..*count).collect(),
        Value::Array(values) => {
            let whole = values.iter().map(|value| value.as_integer().filter(|seed| *seed >= 0));
            whole.collect::<Option<_>>().ok_or_else(refused)?
        }
        _ => return Err(refused()),
    };
    let distinct: BTreeSet<&i64> = found.iter().collect();
    if found.is_empty() || distinct.len() < found.len() { Err(refused()) } else { Ok(found) }
}

/// The dotted keys of a table, down to the values according to `is_value`.
fn flat<'a>(
    text: &str,
    entry: &Entry<'a>,
    is_value: &dyn Fn(&Entry) -> bool,
) -> Result<Vec<Entry<'a>>, Fault> {
    let (Some(table), Some(spanned)) = (entry.value.as_table(), entry.spanned.get_ref().as_table())
    else {
        return Err(entry.refuse(format!("Use a table of keys of the config, `[{}]`.", entry.key)));
    };
    let mut found = Vec::new();
    for inner in entries(text, spanned, table) {
        descend(text, inner, is_value, &mut found)?;
    }
    Ok(found)
}

fn descend<'a>(
    text: &str,
    entry: Entry<'a>,
    is_value: &dyn Fn(&Entry) -> bool,
    found: &mut Vec<Entry<'a>>,
) -> Result<(), Fault> {
    if let (Some(table), Some(spanned), false) =
        (entry.value.as_table(), entry.spanned.get_ref().as_table(), is_value(&entry))
    {
        for mut inner in entries(text, spanned, table) {
            inner.key = format!("{}.{}", entry.key, inner.key);
            descend(text, inner, is_value, found)?;
        }
        return Ok(());
    }
    let key = &entry.key;
    if key.split('.').any(str::is_empty) {
        let message = format!("`{key}` is not a dotted key of the config like `optimizer.lr`.");
        return Err(entry.fault(message));
    }
    if found.iter().any(|other| other.key == *key) {
        return Err(entry.fault(format!("`{key}` is given twice. Remove one of the two.")));
    }
    found.push(entry);
    Ok(())
}

/// Whether an entry is a key's value: anything but a table, or a table in braces as in
/// `lookahead.alpha_schedule = { kind = "linear", to = 1.0 }`. In braces after one word are the keys of a section.
fn is_plain_value(text: &str, entry: &Entry) -> bool {
    let in_braces = || text.get(entry.spanned.span()).is_some_and(|value| value.starts_with('{'));
    !entry.value.is_table() || (entry.key.contains('.') && in_braces())
}

fn settings(text: &str, entry: &Entry) -> Result<Vec<Setting>, Fault> {
    let keys = flat(text, entry, &|entry| is_plain_value(text, entry))?;
    Ok(keys.into_iter().map(setting).collect())
}

fn setting(entry: Entry) -> Setting {
    Setting { key: entry.key, value: entry.value.clone(), line: entry.line }
}

fn axes(text: &str, entry: &Entry) -> Result<Vec<Axis>, Fault> {
    let axis = |entry: Entry| {
        let values = values(&entry, entry.value, "the values to run")?;
        Ok(Axis { values, key: entry.key, line: entry.line })
    };
    flat(text, entry, &|entry| is_plain_value(text, entry))?.into_iter().map(axis).collect()
}

/// A list of different values.
fn values(entry: &Entry, list: &Value, of_what: &str) -> Result<Vec<Value>, Fault> {
    let key = &entry.key;
    let values = list.as_array().filter(|values| !values.is_empty()).ok_or_else(|| {
        let message = format!("`{key}` is {list}. Use a list of {of_what}, like `[0.1, 0.3]`.");
        entry.fault(message)
    })?;
    for (index, value) in values.iter().enumerate() {
        if values[..index].iter().any(|other| same(other, value)) {
            let message = format!("`{key}` has the value {value} twice. Remove one of them.");
            return Err(entry.fault(message));
        }
    }
    Ok(values.clone())
}

/// Whether two values are the same to a config, for which 1 is 1.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Integer(whole), Value::Float(number))
        | (Value::Float(number), Value::Integer(whole)) => *whole as f64 == *number,
        _ => a == b,
    }
}

fn random(text: &str, entry: &Entry) -> Result<Random, Fault> {
    let is_distribution = |entry: &Entry| {
        entry.value.as_table().is_none_or(|table| {
            !table.is_empty() && table.keys().all(|key| DISTRIBUTIONS.contains(&key.as_str()))
        })
    };
    let (mut count, mut seed, mut keys) = (None, 0, Vec::new());
    for entry in flat(text, entry, &is_distribution)? {
        let whole = entry.value.as_integer();
        match entry.key.as_str() {
            "count" => {
                let draws = whole.and_then(|count| u64::try_from(count).ok());
                let refused = || entry.refuse("Use a whole number of draws, at least 1.");
                count = Some(draws.filter(|count| *count >= 1).ok_or_else(refused)?);
            }
            "seed" => {
                let refused = || entry.refuse("Use a whole number, which fixes the draws.");
                seed = whole.ok_or_else(refused)?;
            }
            _ => keys.push(Drawn { from: distribution(&entry)?, line: entry.line, key: entry.key }),
        }
    }
    let missing = "`[random]` needs `count`, the number of draws, for example `count = 20`.";
    let count = count.ok_or_else(|| entry.fault(missing))?;
    if keys.is_empty() {
        return Err(entry.fault(format!("`[random]` draws no key. Add one as {HOW_TO_DRAW}.")));
    }
    Ok(Random { count, seed, keys, line: entry.line })
}

fn distribution(entry: &Entry) -> Result<Distribution, Fault> {
    let refused = || entry.refuse(format!("Write what is drawn as {HOW_TO_DRAW}."));
    let table = entry.value.as_table().filter(|table| table.len() == 1).ok_or_else(refused)?;
    let (kind, given) = table.iter().next().ok_or_else(refused)?;
    if kind == "choice" {
        return Ok(Distribution::Choice(values(entry, given, "the values to choose from")?));
    }
    let ends = given.as_array().filter(|ends| ends.len() == 2).ok_or_else(refused)?;
    let wrong_ends = |what: &str| {
        let key = &entry.key;
        let remedy = format!("`{kind}` takes two {what}, the lower one first");
        entry.fault(format!("`{key}` is drawn from {given}, and {remedy}."))
    };
    if kind == "integers" {
        let whole = ends.iter().map(Value::as_integer).collect::<Option<Vec<i64>>>();
        let whole = whole.filter(|ends| ends[0] <= ends[1]);
        let whole = whole.ok_or_else(|| wrong_ends("whole numbers"))?;
        return Ok(Distribution::Integers(whole[0], whole[1]));
    }
    let number = |value: &Value| {
        let found = value.as_float().or(value.as_integer().map(|whole| whole as f64));
        found.filter(|number| number.is_finite())
    };
    let (lowest, what) = match kind.as_str() {
        "log" => (f64::MIN_POSITIVE, "numbers above 0"),
        _ => (f64::MIN, "numbers"),
    };
    let ends = ends.iter().map(number).collect::<Option<Vec<f64>>>();
    let ends = ends.filter(|ends| lowest <= ends[0] && ends[0] < ends[1]);
    let ends = ends.ok_or_else(|| wrong_ends(what))?;
    Ok(match kind.as_str() {
        "log" => Distribution::Log(ends[0], ends[1]),
        _ => Distribution::Uniform(ends[0], ends[1]),
    })
}

fn variants(text: &str, entry: &Entry) -> Result<Vec<Variant>, Fault> {
    let refused = || entry.refuse("Use tables `[[variants]]`, each with a `name`.");
    let (Some(tables), Some(spanned)) =
        (entry.value.as_array(), entry.spanned.get_ref().as_array())
    else {
        return Err(refused());
    };
    let mut found: Vec<Variant> = Vec::new();
    for (value, spanned) in tables.iter().zip(spanned.iter()) {
        let line = line_of(text, spanned.span().start);
        let (Some(table), Some(de)) = (value.as_table(), spanned.get_ref().as_table()) else {
            return Err(refused());
        };
        found.push(variant(text, line, entries(text, de, table), &found)?);
    }
    if found.is_empty() { Err(refused()) } else { Ok(found) }
}

fn variant(
    text: &str,
    line: usize,
    entries: Vec<Entry>,
    others: &[Variant],
) -> Result<Variant, Fault> {
    let (mut name, mut set, mut grid) = (None, Vec::new(), Vec::new());
    for entry in entries {
        match entry.key.as_str() {
            "name" => {
                let given = string(&entry)?;
                if others.iter().any(|other| other.name == given) {
                    let message = format!("Two variants have the name `{given}`. Rename one.");
                    return Err(entry.fault(message));
                }
                name = Some(given.to_owned());
            }
            "grid" => grid = axes(text, &entry)?,
            _ => {
                let mut keys = Vec::new();
                descend(text, entry, &|entry| is_plain_value(text, entry), &mut keys)?;
                set.extend(keys.into_iter().map(setting));
            }
        }
    }
    let missing = "A variant has no `name`, by which its runs are named.";
    let name = name.ok_or_else(|| (Some(line), missing.to_owned()))?;
    let twice = |axis: &&Axis| set.iter().any(|set| set.key == axis.key);
    if let Some(Axis { key, line, .. }) = grid.iter().find(twice) {
        let message = format!(
            "`{key}` has one value in the variant `{name}` and several in its grid. Remove one of \
             the two."
        );
        return Err((Some(*line), message));
    }
    Ok(Variant { name, set, grid })
}

/// Refuses keys in two places whose combination is ambiguous.
fn check_keys(file: &SweepFile) -> Result<(), Fault> {
    let grid = file.grid.iter().map(|axis| (&axis.key, axis.line, "grid"));
    let drawn = file.random.iter().flat_map(|random| &random.keys);
    let varied: Vec<(&String, usize, &str)> =
        grid.chain(drawn.map(|drawn| (&drawn.key, drawn.line, "random"))).collect();
    for (index, (key, line, place)) in varied.iter().enumerate() {
        let fault = |message| Err((Some(*line), message));
        if file.set.iter().any(|set| set.key == **key) {
            return fault(format!(
                "`{key}` is varied in `[{place}]` and has one value in `[set]`. Remove one of the \
                 two."
            ));
        }
        if varied[..index].iter().any(|(other, _, _)| other == key) {
            return fault(format!(
                "`{key}` is in `[grid]` and in `[random]`. Remove one of the two."
            ));
        }
        // `lookahead = false` and then `lookahead.k = 5` would put the section back in.
        if let Some((section, _)) = key.split_once('.')
            && (varied.iter().any(|(other, _, _)| *other == section)
                || file.set.iter().any(|set| set.key == section))
        {
            return fault(format!(
                "`{key}` is varied, and so is whether there is `{section}` at all. Write \
                 `[[variants]]`, one of them with `{section} = false`."
            ));
        }
    }
    let own = file.variants.iter().flat_map(|variant| {
        let set = variant.set.iter().map(|set| (&set.key, set.line));
        set.chain(variant.grid.iter().map(|axis| (&axis.key, axis.line)))
    });
    let common = file.set.iter().map(|set| (&set.key, set.line));
    let all = varied.iter().map(|(key, line, _)| (*key, *line));
    let mut all = all.chain(common).chain(own);
    match all.find(|(key, _)| !file.seeds.is_empty() && *key == "train.seed") {
        Some((_, line)) => {
            Err((Some(line), "`seeds` gives `train.seed` already. Remove one of the two.".into()))
        }
        None => Ok(()),
    }
}
