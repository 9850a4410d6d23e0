//! The data set: which points of a square are inside a circle?

use lookahead_trainer::{
    Array, ConfigIssue, DataSpec, Dataset, InMemory, Inputs, Key, KindOptions, LoadContext, Task,
    require,
};
use serde::{Deserialize, Serialize};

/// The keys of `[data]` for this data set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataOptions {
    /// The number of training points, with those for validation.
    pub points: usize,
}

impl Default for DataOptions {
    fn default() -> Self {
        DataOptions { points: 1100 }
    }
}

impl KindOptions for DataOptions {
    const TASKS: &'static [Task] = &[Task::Classification];
    const KEYS: &'static [Key] =
        &[Key::whole("points", "number of training points").allowed("2 to 1048576")];

    fn check(&self) -> Result<(), ConfigIssue> {
        require((2..=1 << 20).contains(&self.points), "data.points", self.points, "2 to 1048576")
    }
}

/// Makes the points. Read files here.
pub fn load(options: DataOptions, context: &LoadContext) -> anyhow::Result<Dataset> {
    let inputs = Inputs::raw(&[2], &["coordinate"], "float32");
    let spec = DataSpec::new(context.name, Task::Classification, inputs, 2);
    let spec = spec.with_class_names(["outside", "inside"]);
    let train = points(options.points, 0.0)?;
    Ok(Dataset::in_memory(context, spec, train, points(500, 0.5)?)?)
}

/// `count` points, evenly spread. `shift` keeps training and test points apart.
fn points(count: usize, shift: f64) -> anyhow::Result<InMemory> {
    let (mut coordinates, mut classes) = (Vec::new(), Vec::new());
    for i in 0..count {
        // Multiples of these two fractions cover the square evenly (M. Roberts, R₂ sequence).
        let point = [0.754_877_666, 0.569_840_291]
            .map(|part| 2.0 * ((i as f64 + shift) * part).fract() - 1.0);
        coordinates.extend(point.map(|x| x as f32));
        classes.push(i64::from(point[0].hypot(point[1]) < 0.8));
    }
    let inputs = Array::new(&[count, 2], coordinates).map_err(anyhow::Error::msg)?;
    let targets = Array::new(&[count], classes).map_err(anyhow::Error::msg)?;
    Ok(InMemory::new(inputs, targets)?)
}
