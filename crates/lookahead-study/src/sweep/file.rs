//! A sweep as its file, `SWEEP.toml`, describes it.

use std::path::PathBuf;

use toml::Value;

/// Most runs of a sweep: more is a mistake in its file.
pub(super) const MOST: u64 = 100_000;

/// A sweep, as its file describes it. The config's own keys mean nothing here.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepFile {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Name of the sweep: the one in the file, or else the file's own.
    pub name: String,
    /// The config that all runs share.
    pub config: PathBuf,
    /// `train.seed` of the runs; each point is run with each. If empty, the config's own seed is used.
    pub seeds: Vec<i64>,
    /// Processes at once, if given.
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

/// A dotted key of the config, like `optimizer.lr`, with its value and its line in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    pub key: String,
    pub value: Value,
    pub line: usize,
}

/// A key of the config with several values, all different.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub key: String,
    pub values: Vec<Value>,
    pub line: usize,
}

/// Draws of some keys, fixed by a seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Random {
    pub count: u64,
    pub seed: i64,
    pub keys: Vec<Drawn>,
    pub line: usize,
}

/// A key that is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    pub key: String,
    pub from: Distribution,
    pub line: usize,
}

/// The distribution of a value.
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

/// A named alternative, with keys that it sets and keys of which it has a grid of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    pub name: String,
    pub set: Vec<Setting>,
    pub grid: Vec<Axis>,
}
