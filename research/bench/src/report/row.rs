//! A comparison of two contenders: a row of the table.

use serde::{Deserialize, Serialize};

use crate::statistics::{Aim, Meaning, Short, Spread};

/// What a row's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Seconds of a training step.
    Step {
        /// In a batch.
        samples: usize,
    },
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// One contender's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// The contender.
    pub name: String,
    /// The median of its values, in seconds or bytes.
    pub median: f64,
    /// Of a training, samples a second.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub samples_per_second: Option<f64>,
}

/// One comparison of two contenders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The workload.
    pub workload: String,
    /// What is compared.
    pub quantity: String,
    /// Whose value comes first in the ratio's meaning.
    pub first: Side,
    /// The other.
    pub second: Side,
    /// Of both values.
    pub unit: Unit,
    /// Of the ratios within the rounds.
    pub ratio: Spread,
    /// Which way the ratio is meant.
    pub meaning: Meaning,
    /// What it is held against.
    pub aim: Option<Aim>,
    /// Whether that is reached.
    pub reached: Option<bool>,
}

impl Row {
    /// Of two contenders' values, round by round; `None` if there are none.
    pub fn new(
        workload: &str,
        quantity: &str,
        names: (&str, &str),
        values: (&[f64], &[f64]),
        unit: Unit,
        meaning: Meaning,
        aim: Option<Aim>,
    ) -> Option<Row> {
        let side = |name: &str, values: &[f64]| {
            let median = Spread::of(values)?.median;
            let samples_per_second = match unit {
                Unit::Step { samples } => Some(samples as f64 / median),
                _ => None,
            };
            Some(Side { name: name.to_owned(), median, samples_per_second })
        };
        let ratio = Spread::of(&meaning.ratios(values.0, values.1))?;
        Some(Row {
            workload: workload.to_owned(),
            quantity: quantity.to_owned(),
            first: side(names.0, values.0)?,
            second: side(names.1, values.1)?,
            unit,
            ratio,
            meaning,
            aim,
            reached: aim.map(|aim| aim.is_reached(ratio, meaning)),
        })
    }

    /// The cells of its row.
    pub(super) fn cells(&self) -> [String; 9] {
        let value = |side: &Side| match (self.unit, side.samples_per_second) {
            (Unit::Bytes, _) => format!("{:.0} MB", side.median / 1e6),
            (_, Some(samples)) => format!("{}, {samples:.0} samples/s", in_units(side.median)),
            _ => in_units(side.median),
        };
        let Spread { low, median, high, rounds } = self.ratio;
        [
            self.workload.clone(),
            self.quantity.clone(),
            self.first.name.clone(),
            value(&self.first),
            format!("{}: {}", self.second.name, value(&self.second)),
            format!("{} {} [{}, {}]", self.meaning.word(), Short(median), Short(low), Short(high)),
            self.aim.map_or_else(String::new, |aim| aim.words(self.meaning)),
            match self.reached {
                Some(true) => "yes".to_owned(),
                Some(false) => "**no**".to_owned(),
                None => String::new(),
            },
            rounds.to_string(),
        ]
    }
}

fn in_units(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "µs"),
    };
    let decimals = if value < 10.0 { 2 } else { 1 };
    format!("{value:.decimals$} {unit}")
}
