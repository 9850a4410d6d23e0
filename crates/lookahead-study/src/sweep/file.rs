//! The file that describes a sweep: `SWEEP.toml`, read with the lines of its faults.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::Value;
use toml::de::{DeTable, DeValue};

use super::error::SweepError;

/// A sweep, as its file has it. Nothing of the config's own keys is known here.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepFile {
    /// Where it was read.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Name of the sweep: the one in the file, or else the file's own.
    pub name: String,
    /// The config that all runs share.
    pub config: PathBuf,
    /// `train.seed` of the runs; each point is run with each. Empty leaves the config's own.
    pub seeds: Vec<i64>,
    /// Processes at once, where that is given.
    pub jobs: Option<usize>,
    /// Keys that are the same in all runs.
    pub set: Vec<Setting>,
    /// Keys of which every combination is run.
    pub grid: Vec<Axis>,
    /// Keys that are drawn.
    pub random: Option<Random>,
    /// Named alternatives.
    pub variants: Vec<Variant>,
}

/// A key of the config with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The dotted key, such as `optimizer.lr`.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// The line of the file that has it.
    pub line: usize,
}

/// A key of the config with several values.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The dotted key.
    pub key: String,
    /// Its values, all different.
    pub values: Vec<Value>,
    /// The line of the file that has it.
    pub line: usize,
}

/// Draws of some keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Random {
    /// How many draws.
    pub count: u64,
    /// What fixes them.
    pub seed: i64,
    /// How each key is drawn.
    pub keys: Vec<Drawn>,
    /// The line of the file at which it begins.
    pub line: usize,
}

/// A key that is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// The dotted key.
    pub key: String,
    /// From what.
    pub from: Distribution,
    /// The line of the file that has it.
    pub line: usize,
}

/// From what a value is drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Distribution {
    /// `{ uniform = [LOW, HIGH] }`: evenly.
    Uniform(f64, f64),
    /// `{ log = [LOW, HIGH] }`: evenly in the logarithm.
    Log(f64, f64),
    /// `{ integers = [LOW, HIGH] }`: evenly among whole numbers, both ends included.
    Integers(i64, i64),
    /// `{ choice = [VALUE, …] }`: evenly among values.
    Choice(Vec<Value>),
}

/// A named alternative: keys of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// Keys that it sets.
    pub set: Vec<Setting>,
    /// Keys of which it has a grid of its own.
    pub grid: Vec<Axis>,
}

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

/// A key with its value, and where it stands.
struct Entry<'a> {
    key: String,
    line: usize,
    value: &'a Value,
    spanned: &'a Spanned<DeValue<'a>>,
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
        let line = error.span().map(|span| line_of(text, span.start));
        let message = error.message().trim().replace('\n', ", ");
        (line, format!("This is no TOML: {message}."))
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
    let mut lines = Lines::default();
    for entry in entries(text, spanned.get_ref(), &table) {
        let line = Some(entry.line);
        match entry.key.as_str() {
            "config" => {
                let given = string(&entry)?;
                let beside = path.parent().unwrap_or(Path::new(""));
                file.config = beside.join(given);
            }
            "name" => {
                file.name = string(&entry)?.to_owned();
                lines.name = line;
            }
            "seeds" => file.seeds = seeds(&entry)?,
            "jobs" => {
                let jobs = entry.value.as_integer().filter(|jobs| (1..=1024).contains(jobs));
                let found = jobs.ok_or_else(|| {
                    (
                        line,
                        format!(
                            "`jobs` is {}, and it must be a whole number from 1 to 1024, \
                     the processes at once.",
                            entry.value
                        ),
                    )
                })?;
                file.jobs = Some(found as usize);
            }
            "set" => file.set = settings(text, &entry)?,
            "grid" => file.grid = axes(text, &entry)?,
            "random" => file.random = Some(random(text, &entry)?),
            "variants" => file.variants = variants(text, &entry)?,
            other => {
                return Err((
                    line,
                    format!(
                        "`{other}` is no key of a sweep: there are {KEYS}. Keys of the config \
                         belong into `[set]`, `[grid]` or `[random]`."
                    ),
                ));
            }
        }
    }
    if file.config.as_os_str().is_empty() {
        return Err((
            None,
            "`config` is missing: say which config the runs share, such as `config \
         = \"../digits.toml\"`, as a path from this file."
                .into(),
        ));
    }
    check_name(&file.name).map_err(|message| (lines.name, message))?;
    check_keys(&file)?;
    Ok(file)
}

#[derive(Default)]
struct Lines {
    name: Option<usize>,
}

fn check_name(name: &str) -> Result<(), String> {
    if is_plain(name) {
        return Ok(());
    }
    Err(format!(
        "{name:?} can't be the name of a sweep, which is that of a folder: take one without `/` and \
         control characters that does not begin with a dot, such as `digits-lr`."
    ))
}

/// Whether a name can be that of a folder.
pub(super) fn is_plain(name: &str) -> bool {
    let odd = |c: char| c.is_control() || c == '/';
    !name.is_empty() && !name.starts_with('.') && !name.contains(odd)
}

fn string<'a>(entry: &Entry<'a>) -> Result<&'a str, Fault> {
    entry.value.as_str().filter(|text| !text.is_empty()).ok_or_else(|| {
        let (key, value) = (&entry.key, entry.value);
        (Some(entry.line), format!("`{key}` is {value}, and it must be a text in quotes."))
    })
}

fn seeds(entry: &Entry) -> Result<Vec<i64>, Fault> {
    let refused = || {
        (
            Some(entry.line),
            format!(
                "`seeds` is {}, and it must be different whole numbers of at least 0, such as \
                 `[0, 1, 2]`, or how many of them from 0 on, at least 1 and at most {}.",
                entry.value,
                super::points::MOST
            ),
        )
    };
    let found: Vec<i64> = match entry.value {
        Value::Integer(count) if (1..=super::points::MOST as i64).contains(count) => {
            (0..*count).collect()
        }
        Value::Array(values) => {
            let whole = values.iter().map(|value| value.as_integer().filter(|seed| *seed >= 0));
            whole.collect::<Option<_>>().ok_or_else(refused)?
        }
        _ => return Err(refused()),
    };
    let distinct: std::collections::BTreeSet<&i64> = found.iter().collect();
    if found.is_empty() || distinct.len() < found.len() { Err(refused()) } else { Ok(found) }
}

/// The dotted keys below an entry, down to what `is_value` tells to be one's value.
fn flat<'a>(
    text: &str,
    entry: &Entry<'a>,
    is_value: &dyn Fn(&Value) -> bool,
) -> Result<Vec<Entry<'a>>, Fault> {
    let (Some(table), Some(spanned)) = (entry.value.as_table(), entry.spanned.get_ref().as_table())
    else {
        let key = &entry.key;
        let message = format!(
            "`{key}` is {}, and it must be a table of keys of the config, `[{key}]`.",
            entry.value
        );
        return Err((Some(entry.line), message));
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
    is_value: &dyn Fn(&Value) -> bool,
    found: &mut Vec<Entry<'a>>,
) -> Result<(), Fault> {
    if let (Some(table), Some(spanned), false) =
        (entry.value.as_table(), entry.spanned.get_ref().as_table(), is_value(entry.value))
    {
        for mut inner in entries(text, spanned, table) {
            inner.key = format!("{}.{}", entry.key, inner.key);
            descend(text, inner, is_value, found)?;
        }
        return Ok(());
    }
    let key = &entry.key;
    if key.split('.').any(str::is_empty) {
        let message = format!("`{key}` is no dotted key of the config such as `optimizer.lr`.");
        return Err((Some(entry.line), message));
    }
    if found.iter().any(|other| other.key == *key) {
        let message = format!("`{key}` is there twice: take one of the two out.");
        return Err((Some(entry.line), message));
    }
    found.push(entry);
    Ok(())
}

fn settings(text: &str, entry: &Entry) -> Result<Vec<Setting>, Fault> {
    let found = flat(text, entry, &|value| !value.is_table())?;
    Ok(found.into_iter().map(setting).collect())
}

fn setting(entry: Entry) -> Setting {
    Setting { key: entry.key, value: entry.value.clone(), line: entry.line }
}

fn axes(text: &str, entry: &Entry) -> Result<Vec<Axis>, Fault> {
    let found = flat(text, entry, &|value| !value.is_table())?;
    found
        .into_iter()
        .map(|entry| {
            let values = values(&entry, entry.value, "the values to run")?;
            Ok(Axis { values, key: entry.key, line: entry.line })
        })
        .collect()
}

/// A list of different values.
fn values(entry: &Entry, list: &Value, of_what: &str) -> Result<Vec<Value>, Fault> {
    let key = &entry.key;
    let values = list.as_array().filter(|values| !values.is_empty()).ok_or_else(|| {
        let message =
            format!("`{key}` is {list}, and it must be a list of {of_what}, such as `[0.1, 0.3]`.");
        (Some(entry.line), message)
    })?;
    for (index, value) in values.iter().enumerate() {
        if values[..index].iter().any(|other| same(other, value)) {
            let message = format!("`{key}` has the value {value} twice: take one of them out.");
            return Err((Some(entry.line), message));
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
    let is_distribution = |value: &Value| {
        value.as_table().is_none_or(|table| {
            !table.is_empty() && table.keys().all(|key| DISTRIBUTIONS.contains(&key.as_str()))
        })
    };
    let (mut count, mut seed, mut keys) = (None, 0, Vec::new());
    for entry in flat(text, entry, &is_distribution)? {
        let (line, value) = (Some(entry.line), entry.value);
        match entry.key.as_str() {
            "count" => {
                let whole = value.as_integer().and_then(|count| u64::try_from(count).ok());
                let whole = whole.filter(|count| *count >= 1).ok_or_else(|| {
                    (
                        line,
                        format!(
                            "`count` is {value}, and it must be a whole number of at \
                     least 1, the draws."
                        ),
                    )
                })?;
                count = Some(whole);
            }
            "seed" => {
                seed = value.as_integer().ok_or_else(|| {
                    (
                        line,
                        format!(
                            "`seed` is {value}, and it must be a whole number, which \
                     fixes the draws."
                        ),
                    )
                })?;
            }
            _ => keys.push(Drawn { from: distribution(&entry)?, line: entry.line, key: entry.key }),
        }
    }
    let line = Some(entry.line);
    let count = count.ok_or((
        line,
        "`[random]` needs `count`, the number of draws, such as `count = 20`.".to_owned(),
    ))?;
    if keys.is_empty() {
        return Err((line, format!("`[random]` draws no key: give one, as {HOW_TO_DRAW}.")));
    }
    Ok(Random { count, seed, keys, line: entry.line })
}

fn distribution(entry: &Entry) -> Result<Distribution, Fault> {
    let (key, value, line) = (&entry.key, entry.value, Some(entry.line));
    let refused =
        || (line, format!("`{key}` is {value}, and what is drawn is written as {HOW_TO_DRAW}."));
    let table = value.as_table().ok_or_else(refused)?;
    let (true, Some((kind, given))) = (table.len() == 1, table.iter().next()) else {
        return Err(refused());
    };
    if kind == "choice" {
        return Ok(Distribution::Choice(values(entry, given, "the values to choose from")?));
    }
    let ends = given.as_array().filter(|ends| ends.len() == 2).ok_or_else(refused)?;
    if kind == "integers" {
        let whole = ends.iter().map(Value::as_integer).collect::<Option<Vec<i64>>>();
        let whole = whole.filter(|ends| ends[0] <= ends[1]).ok_or_else(|| {
            (
                line,
                format!(
                    "`{key}` is drawn from {given}, and `integers` takes two whole \
             numbers, the lower one first."
                ),
            )
        })?;
        return Ok(Distribution::Integers(whole[0], whole[1]));
    }
    let number = |value: &Value| {
        let found = value.as_float().or(value.as_integer().map(|whole| whole as f64));
        found.filter(|number| number.is_finite())
    };
    let lowest = if kind == "log" { f64::MIN_POSITIVE } else { f64::MIN };
    let ends = ends.iter().map(number).collect::<Option<Vec<f64>>>();
    let ends = ends.filter(|ends| lowest <= ends[0] && ends[0] < ends[1]).ok_or_else(|| {
        let above = if kind == "log" { " above 0" } else { "" };
        (
            line,
            format!(
                "`{key}` is drawn from {given}, and `{kind}` takes two numbers{above}, \
         the lower one first."
            ),
        )
    })?;
    Ok(match kind.as_str() {
        "log" => Distribution::Log(ends[0], ends[1]),
        _ => Distribution::Uniform(ends[0], ends[1]),
    })
}

fn variants(text: &str, entry: &Entry) -> Result<Vec<Variant>, Fault> {
    let (line, value) = (Some(entry.line), entry.value);
    let refused = || {
        (
            line,
            format!(
                "`variants` is {value}, and it must be tables `[[variants]]`, each with a `name`."
            ),
        )
    };
    let (Some(tables), Some(spanned)) =
        (entry.value.as_array(), entry.spanned.get_ref().as_array())
    else {
        return Err(refused());
    };
    let mut found: Vec<Variant> = Vec::new();
    for (value, spanned) in tables.iter().zip(spanned.iter()) {
        let line = line_of(text, spanned.span().start);
        let whole = Entry { key: "variants".into(), line, value, spanned };
        let (Some(table), Some(de)) = (value.as_table(), spanned.get_ref().as_table()) else {
            return Err(refused());
        };
        let (mut name, mut set, mut grid) = (None, Vec::new(), Vec::new());
        for inner in entries(text, de, table) {
            match inner.key.as_str() {
                "name" => {
                    let given = string(&inner)?;
                    if found.iter().any(|other| other.name == given) {
                        let message =
                            format!("Two variants have the name `{given}`: give each its own.");
                        return Err((Some(inner.line), message));
                    }
                    name = Some(given.to_owned());
                }
                "grid" => grid = axes(text, &inner)?,
                _ => {
                    let mut keys = Vec::new();
                    descend(text, inner, &|value| !value.is_table(), &mut keys)?;
                    set.extend(keys.into_iter().map(setting));
                }
            }
        }
        let name = name.ok_or((
            Some(whole.line),
            "A variant has no `name`: its runs are named by it.".to_owned(),
        ))?;
        if let Some(axis) =
            grid.iter().find(|axis: &&Axis| set.iter().any(|set| set.key == axis.key))
        {
            let message = format!(
                "`{}` has one value in the variant `{name}` and several in its grid: take one of \
                 the two out.",
                axis.key
            );
            return Err((Some(axis.line), message));
        }
        found.push(Variant { name, set, grid });
    }
    if found.is_empty() { Err(refused()) } else { Ok(found) }
}

/// Keys in two places whose meaning together nobody could tell.
fn check_keys(file: &SweepFile) -> Result<(), Fault> {
    let grid = file.grid.iter().map(|axis| (&axis.key, axis.line, "grid"));
    let drawn = file.random.iter().flat_map(|random| &random.keys);
    let varied: Vec<(&String, usize, &str)> =
        grid.chain(drawn.map(|drawn| (&drawn.key, drawn.line, "random"))).collect();
    for (index, (key, line, place)) in varied.iter().enumerate() {
        if file.set.iter().any(|set| set.key == **key) {
            let message = format!(
                "`{key}` is varied in `[{place}]` and has one value in `[set]`: take one of the \
                 two out."
            );
            return Err((Some(*line), message));
        }
        if varied[..index].iter().any(|(other, _, _)| other == key) {
            let message =
                format!("`{key}` is in `[grid]` and in `[random]`: take one of the two out.");
            return Err((Some(*line), message));
        }
        // `lookahead = false` and then `lookahead.k = 5` would put the section back in.
        if let Some((section, _)) = key.split_once('.') {
            let whole = varied.iter().any(|(other, _, _)| *other == section);
            if whole || file.set.iter().any(|set| set.key == section) {
                let message = format!(
                    "`{key}` is varied, and so is whether there is `{section}` at all: write \
                     `[[variants]]`, one of them with `{section} = false`."
                );
                return Err((Some(*line), message));
            }
        }
    }
    let variants = file.variants.iter();
    let own = variants.flat_map(|variant| {
        let set = variant.set.iter().map(|set| (&set.key, set.line));
        set.chain(variant.grid.iter().map(|axis| (&axis.key, axis.line)))
    });
    let common = file.set.iter().map(|set| (&set.key, set.line));
    let all = varied.iter().map(|(key, line, _)| (*key, *line));
    let mut all = all.chain(common).chain(own);
    match all.find(|(key, _)| !file.seeds.is_empty() && *key == "train.seed") {
        Some((_, line)) => Err((
            Some(line),
            "`train.seed` is given by `seeds` already: take one of the two out.".into(),
        )),
        None => Ok(()),
    }
}
