//! How the user arranges the charts, and its form in a file.

use serde_json::{Value, json};

/// The name of a chart that stays the same when the program starts again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChartName {
    /// A chart of the trainer, as on the command line.
    Usual(String),
    /// A number that the program logs by name.
    Scalar(String),
}

/// How the user arranges the charts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Arrangement {
    /// Whether a grid of charts is shown, not one chart.
    pub(crate) grid: bool,
    /// The charts that come first in the grid, in this order.
    pub(crate) pinned: Vec<ChartName>,
    /// The grid has only charts whose names contain all of these words; empty for all charts.
    pub(crate) filter: String,
}

impl Arrangement {
    pub(crate) fn to_json(&self) -> Value {
        let name = |name: &ChartName| match name {
            ChartName::Usual(name) => json!({ "chart": name }),
            ChartName::Scalar(name) => json!({ "scalar": name }),
        };
        let pinned: Vec<Value> = self.pinned.iter().map(name).collect();
        json!({ "grid": self.grid, "pinned": pinned, "filter": self.filter })
    }

    /// Nothing if the value is not an arrangement. Missing parts are the default ones.
    pub(crate) fn from_json(value: &Value) -> Option<Arrangement> {
        let value = value.as_object()?;
        let name = |name: &Value| {
            let text = |kind| name.get(kind)?.as_str().map(str::to_owned);
            text("chart").map(ChartName::Usual).or_else(|| text("scalar").map(ChartName::Scalar))
        };
        let grid = value.get("grid").map_or(Some(false), Value::as_bool)?;
        let pinned = value.get("pinned").map_or(Some(&[][..]), |all| Some(all.as_array()?))?;
        let pinned = pinned.iter().map(name).collect::<Option<_>>()?;
        let filter = value.get("filter").map_or(Some(""), Value::as_str)?.to_owned();
        Some(Arrangement { grid, pinned, filter })
    }
}

#[cfg(test)]
mod tests;
