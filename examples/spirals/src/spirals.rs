//! Points on two spirals, one inside the other: which of them is a point on?

use std::f64::consts::TAU;

use lookahead_trainer::{
    Array, ConfigIssue, DataSpec, Dataset, InMemory, Inputs, Key, KindOptions, LoadContext, Task,
    require,
};
use serde::{Deserialize, Serialize};

/// The keys of `[data]` for the spirals.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpiralsOptions {
    /// The number of training points, with those for validation.
    pub points: usize,
    /// The number of turns of each spiral.
    pub turns: f64,
}

impl Default for SpiralsOptions {
    fn default() -> Self {
        SpiralsOptions { points: 2200, turns: 1.5 }
    }
}

impl KindOptions for SpiralsOptions {
    const TASKS: &'static [Task] = &[Task::Classification];

    const KEYS: &'static [Key] = &[
        Key::whole("points", "number of training points").allowed("2 to 1048576"),
        Key::number("turns", "turns of each spiral").allowed("0 to 10"),
    ];

    fn about(_kind: &str) -> &'static str {
        "points on two spirals, one inside the other"
    }

    fn starter(_kind: &str) -> &'static str {
        "model.kind = 'sines'\noptimizer.lr = 0.05"
    }

    fn check(&self) -> Result<(), ConfigIssue> {
        require((2..=1 << 20).contains(&self.points), "data.points", self.points, "2 to 1048576")?;
        require((0.0..=10.0).contains(&self.turns), "data.turns", self.turns, "0 to 10")
    }
}

/// Makes the points.
pub fn load(options: SpiralsOptions, context: &LoadContext) -> anyhow::Result<Dataset> {
    let spec = DataSpec::new(
        context.name,
        Task::Classification,
        Inputs::raw(&[2], &["coordinate"], "float32"),
        2,
    );
    let spec = spec.with_class_names(["inner", "outer"]);
    let train = points(&options, options.points, 0.0)?;
    Ok(Dataset::in_memory(context, spec, train, points(&options, 500, 0.5)?)?)
}

/// `count` points, alternating between the spirals. `shift` keeps training and test points apart.
fn points(options: &SpiralsOptions, count: usize, shift: f64) -> anyhow::Result<InMemory> {
    let mut coordinates = Vec::with_capacity(2 * count);
    let mut spirals = Vec::with_capacity(count);
    for i in 0..count {
        // Multiples of the golden ratio cover a spiral evenly, for any count.
        let way = ((i as f64 + shift) * 0.618_033_988_749_895).fract().sqrt();
        let spiral = i % 2;
        let angle = TAU * (options.turns * way + 0.5 * spiral as f64);
        let radius = 0.2 + 1.8 * way;
        coordinates.extend([angle.cos(), angle.sin()].map(|c| (radius * c) as f32));
        spirals.push(spiral as i64);
    }
    let inputs = Array::new(&[count, 2], coordinates).map_err(anyhow::Error::msg)?;
    let targets = Array::new(&[count], spirals).map_err(anyhow::Error::msg)?;
    Ok(InMemory::new(inputs, targets)?)
}
