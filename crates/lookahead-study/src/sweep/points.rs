//! The points of a sweep: the runs, their settings and their names.
//!
//! A resumed sweep finds a run by its name, so names and draws depend on the point alone: neither on
//! the other points nor on how many there are.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use toml::Value;

use lookahead_run::folder::fault_of_name;

use super::error::SweepError;
use super::file::{Axis, Distribution, Drawn, MOST, Random, Setting, SweepFile, Variant};

/// Longest name of a run; a longer one is cut, and gets a hash to stay unique.
const LONGEST: usize = 100;
/// How often a draw that repeats an earlier one is made again.
const REDRAWS: u64 = 1000;

/// One run of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepPoint {
    /// Name of the run.
    pub name: String,
    /// The variant that it is of.
    pub variant: Option<String>,
    /// What it sets, in the order in which that is done.
    pub sets: Vec<Setting>,
    /// What of that is not the same in all runs, the seed left out.
    pub varied: Vec<(String, Value)>,
    /// `train.seed`, if the sweep gives it.
    pub seed: Option<i64>,
}

/// All points, in the order in which they are run: variant by variant, draw by draw, combination by
/// combination, seed by seed.
///
/// # Errors
/// If there are more than [`MOST`], or fewer different draws than requested.
pub(crate) fn expand(file: &SweepFile) -> Result<Vec<SweepPoint>, SweepError> {
    let fault = |line, message| SweepError::File { path: file.path.clone(), line, message };
    let shapes: Vec<Shape> = if file.variants.is_empty() {
        vec![Shape::of(file, None)]
    } else {
        file.variants.iter().map(|variant| Shape::of(file, Some(variant))).collect()
    };
    let count = shapes.iter().try_fold(0, |sum: u64, shape| sum.checked_add(shape.count(file)?));
    match count {
        Some(count) if count <= MOST => {}
        count => {
            let found =
                count.map_or("more runs than can be counted".into(), |n| format!("{n} runs"));
            return Err(fault(
                None,
                format!(
                    "These are {found}, and a sweep has at most {MOST}. Remove values, or draw \
                     some with `[random]`."
                ),
            ));
        }
    }
    let draws = match &file.random {
        Some(random) => draw(random).map_err(|message| fault(Some(random.line), message))?,
        None => vec![Vec::new()],
    };
    let labels = Labels::of(file);
    let mut points = Vec::new();
    for shape in &shapes {
        shape.expand(file, &draws, &labels, &mut points);
    }
    tell_apart(&mut points);
    if let Some(point) = points.iter().find(|point| fault_of_name(&point.name).is_some()) {
        return Err(fault(
            None,
            format!(
                "{:?} can't be the name of a run. Use another name for the variant.",
                point.name
            ),
        ));
    }
    Ok(points)
}

/// What a variant, or a sweep without variants, varies.
struct Shape<'a> {
    variant: Option<&'a Variant>,
    axes: Vec<&'a Axis>,
    /// The drawn keys that it uses.
    drawn: Vec<&'a Drawn>,
}

impl<'a> Shape<'a> {
    fn of(file: &'a SweepFile, variant: Option<&'a Variant>) -> Self {
        let own: &[Setting] = variant.map_or(&[], |variant| &variant.set);
        let grid: &[Axis] = variant.map_or(&[], |variant| &variant.grid);
        let is_common = |key: &str| {
            let replaced =
                own.iter().any(|set| set.key == key) || grid.iter().any(|axis| axis.key == key);
            // A variant without a section has none of its keys, so they would only repeat its runs.
            let section = key.split_once('.').map(|(section, _)| section);
            let gone = own
                .iter()
                .any(|set| Some(set.key.as_str()) == section && set.value == Value::Boolean(false));
            !replaced && !gone
        };
        let common = file.grid.iter().filter(|axis| is_common(&axis.key));
        let random = file.random.iter().flat_map(|random| &random.keys);
        Shape {
            variant,
            axes: common.chain(grid).collect(),
            drawn: random.filter(|drawn| is_common(&drawn.key)).collect(),
        }
    }

    /// How many points there are at most, draws that come out alike counted in.
    fn count(&self, file: &SweepFile) -> Option<u64> {
        let draws = match (&file.random, self.drawn.is_empty()) {
            (Some(random), false) => random.count,
            _ => 1,
        };
        let start = draws.checked_mul((file.seeds.len() as u64).max(1))?;
        self.axes
            .iter()
            .try_fold(start, |product, axis| product.checked_mul(axis.values.len() as u64))
    }

    fn expand(
        &self,
        file: &SweepFile,
        draws: &[Draw],
        labels: &Labels,
        points: &mut Vec<SweepPoint>,
    ) {
        // Of a draw only a part may be left here, and two draws the same.
        let mut seen = BTreeSet::new();
        let own = draws.iter().map(|draw| -> Draw {
            let kept = draw.iter().filter(|(key, _)| self.drawn.iter().any(|of| of.key == *key));
            kept.cloned().collect()
        });
        for draw in own.filter(|draw| seen.insert(shown(draw))) {
            for combination in combinations(&self.axes) {
                let varied: Vec<(String, Value)> =
                    combination.into_iter().chain(draw.iter().cloned()).collect();
                let own = file.seeds.is_empty().then_some(None);
                for seed in own.into_iter().chain(file.seeds.iter().copied().map(Some)) {
                    points.push(self.point(file, varied.clone(), seed, labels));
                }
            }
        }
    }

    fn point(
        &self,
        file: &SweepFile,
        varied: Vec<(String, Value)>,
        seed: Option<i64>,
        labels: &Labels,
    ) -> SweepPoint {
        let mut sets = Sets::default();
        sets.add(&file.set);
        sets.add(self.variant.map_or(&[], |variant| &variant.set));
        let line = |key: &str| {
            let axis = self.axes.iter().find(|axis| axis.key == key).map(|axis| axis.line);
            let drawn = self.drawn.iter().find(|drawn| drawn.key == key).map(|drawn| drawn.line);
            axis.or(drawn).unwrap_or(1)
        };
        let setting = |(key, value): &(String, Value)| Setting {
            key: key.clone(),
            value: value.clone(),
            line: line(key),
        };
        sets.add(&varied.iter().map(setting).collect::<Vec<_>>());
        if let Some(seed) = seed {
            sets.add(&[Setting { key: "train.seed".into(), value: seed.into(), line: 1 }]);
        }
        let variant = self.variant.map(|variant| variant.name.clone());
        let name = labels.name(variant.as_deref(), &varied, seed);
        SweepPoint { name, variant, sets: sets.0, varied, seed }
    }
}

/// Settings in layers: what comes later replaces what came before.
#[derive(Default)]
struct Sets(Vec<Setting>);

impl Sets {
    fn add(&mut self, layer: &[Setting]) {
        self.0.retain(|set| layer.iter().all(|new| new.key != set.key));
        // A kind that changes drops the keys of the old kind. Coming first, it drops none of its
        // own layer, and one that does not belong to it is found.
        let is_first = |set: &&Setting| !set.key.contains('.') || set.key.ends_with(".kind");
        self.0.extend(layer.iter().filter(is_first).cloned());
        self.0.extend(layer.iter().filter(|set| !is_first(set)).cloned());
    }
}

/// Every combination of values; the first axis changes most slowly.
fn combinations(axes: &[&Axis]) -> Vec<Vec<(String, Value)>> {
    axes.iter().fold(vec![Vec::new()], |all, axis| {
        all.iter()
            .flat_map(|before| {
                axis.values.iter().map(move |value| {
                    let mut combination = before.clone();
                    combination.push((axis.key.clone(), value.clone()));
                    combination
                })
            })
            .collect()
    })
}

/// The values of one draw, key by key.
type Draw = Vec<(String, Value)>;

/// All draws. Each is made of the seed, the key and its number alone, so that a sweep may get more
/// draws and more keys without a change of those it had.
fn draw(random: &Random) -> Result<Vec<Draw>, String> {
    let (mut draws, mut seen) = (Vec::new(), BTreeSet::new());
    for number in 0..random.count {
        let attempts = (0..REDRAWS).map(|attempt| -> Draw {
            let value = |drawn: &Drawn| {
                let key = &drawn.key;
                let bits = bits(&format!("{}\n{key}\n{number}\n{attempt}", random.seed));
                (key.clone(), drawn.from.at(bits))
            };
            random.keys.iter().map(value).collect()
        });
        let new = attempts.into_iter().find(|draw| seen.insert(shown(draw)));
        draws.push(new.ok_or_else(|| {
            format!(
                "`count` is {}, and after {number} different draws {REDRAWS} attempts gave no \
                 other. Lower `count`, or move the keys to `[grid]`.",
                random.count
            )
        })?);
    }
    Ok(draws)
}

fn shown(draw: &Draw) -> String {
    draw.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

/// 64 bits that look random, fixed by a text.
fn bits(text: &str) -> u64 {
    let hash = Sha256::digest(text.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(bytes)
}

impl Distribution {
    /// The value that 64 random bits stand for.
    fn at(&self, bits: u64) -> Value {
        // 53 bits are what a float between 0 and 1 can hold.
        let part = (bits >> 11) as f64 / (1u64 << 53) as f64;
        match self {
            Distribution::Uniform(low, high) => {
                Value::Float(rounded(low * (1.0 - part) + high * part, *low, *high))
            }
            Distribution::Log(low, high) => {
                let value = (low.ln() * (1.0 - part) + high.ln() * part).exp();
                Value::Float(rounded(value, *low, *high))
            }
            Distribution::Integers(low, high) => {
                let count = (i128::from(*high) - i128::from(*low) + 1) as u128;
                let above = (u128::from(bits) * count) >> 64;
                Value::Integer((i128::from(*low) + above as i128) as i64)
            }
            Distribution::Choice(values) => {
                let index = (u128::from(bits) * values.len() as u128) >> 64;
                values[index as usize].clone()
            }
        }
    }
}

/// Four digits are more than a draw means, and can be read in a run's name.
fn rounded(value: f64, low: f64, high: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value).clamp(low, high)
}

/// The names of keys in names of runs.
struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The last part of each key, or all of it if two have the same last part.
    fn of(file: &SweepFile) -> Self {
        let grids = file.variants.iter().flat_map(|variant| &variant.grid);
        let axes = file.grid.iter().chain(grids).map(|axis| &axis.key);
        let drawn = file.random.iter().flat_map(|random| &random.keys).map(|drawn| &drawn.key);
        let keys: BTreeSet<&String> = axes.chain(drawn).collect();
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let label = |key: &&String| {
            let namesakes = keys.iter().filter(|other| last(other) == last(key)).count();
            let label = if namesakes > 1 { (*key).clone() } else { last(key) };
            ((*key).clone(), label)
        };
        Labels(keys.iter().map(label).collect())
    }

    fn name(&self, variant: Option<&str>, varied: &[(String, Value)], seed: Option<i64>) -> String {
        let mut parts: Vec<String> = variant.map(plain).into_iter().collect();
        for (key, value) in varied {
            let label = self.0.get(key).map_or(key.as_str(), String::as_str);
            // `adam` needs no key.
            match (key.ends_with("kind"), value) {
                (true, Value::String(kind)) => parts.push(plain(kind)),
                _ => parts.push(format!("{}{}", plain(label), plain(&written(value)))),
            }
        }
        parts.extend(seed.map(|seed| format!("s{seed}")));
        let name = parts.join("-");
        let name = name.trim_start_matches(['-', '.']);
        if name.is_empty() { "run".into() } else { name.into() }
    }
}

/// A value as in a name.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Float(number) => {
            let (plain, scientific) = (format!("{number}"), format!("{number:e}"));
            if plain.len() <= scientific.len() + 1 { plain } else { scientific }
        }
        Value::Array(values) => values.iter().map(written).collect::<Vec<_>>().join("x"),
        other => other.to_string(),
    }
}

/// A text in which all that is awkward in a path or a command line is a dash.
fn plain(text: &str) -> String {
    let keep = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
    text.chars().map(|c| if keep(c) { c } else { '-' }).collect()
}

/// Cuts names that are too long, and gives those that came out the same a hash of their points.
fn tell_apart(points: &mut [SweepPoint]) {
    let mut uses: BTreeMap<String, u64> = BTreeMap::new();
    for point in points.iter() {
        *uses.entry(point.name.clone()).or_default() += 1;
    }
    for point in points {
        if point.name.len() <= LONGEST && uses[&point.name] == 1 {
            continue;
        }
        let variant = point.variant.as_deref().unwrap_or_default();
        let text = format!("{variant}\n{}{:?}", shown(&point.varied), point.seed);
        let hash = bits(&text) >> 24;
        let mut cut = point.name.len().min(LONGEST - 11);
        while !point.name.is_char_boundary(cut) {
            cut -= 1;
        }
        point.name = format!("{}-{hash:010x}", &point.name[..cut]);
    }
}
