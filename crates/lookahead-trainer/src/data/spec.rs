//! What a model needs to know of its data: its inputs and outputs.
//!
//! A checkpoint's manifest and each file of weights hold it as `signature`, so that programs can use the weights,
//! and this one can build the model and prepare its inputs without the training data.

use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};

use super::table::encoding::Encoding;
use crate::usage::UsageError;

/// A model's inputs and outputs. Its JSON is documented in `checkpoints/README.md`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSpec {
    /// The data set's name in configurations.
    pub data: String,
    /// The task.
    pub task: Task,
    /// One sample.
    pub inputs: Inputs,
    /// The number of outputs for each sample, or for each character of a text: one per class, distinct
    /// character or value. Absent for a quadratic problem, whose output is the loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<usize>,
    /// The name of each class, if they have names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// The character of each number, if the data is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alphabet: Option<String>,
    /// The curvatures aᵢ of a quadratic problem: find the minimum of ½ Σ aᵢ(xᵢ − cᵢ)², where c comes with each
    /// sample. They follow from the configuration, so no file holds them.
    #[serde(skip)]
    pub curvatures: Vec<f32>,
    /// The scale of the values to predict, if they are standardized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Scale>,
    /// How the rows of a table become inputs, if the data is a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<Encoding>,
}

/// The scale of standardized values, one mean and one standard deviation for each output: a model predicts
/// (value − mean) / std.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// The mean over the training samples.
    pub mean: Vec<f64>,
    /// The standard deviation over the training samples.
    pub std: Vec<f64>,
}

/// One sample as it goes into a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Its shape. A batch has one more dimension in front.
    pub shape: Vec<usize>,
    /// The name of each dimension, outermost first: the last one varies fastest.
    pub axes: Vec<String>,
    /// PyTorch's name of the element type.
    pub dtype: String,
    /// The smallest and the largest raw value, before normalization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// The mean that is subtracted from the raw values, per channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f64>>,
    /// The standard deviation by which the difference is divided, per channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f64>>,
}

impl Inputs {
    /// Values that are not normalized.
    pub fn raw(shape: &[usize], axes: &[&str], dtype: &str) -> Self {
        Inputs {
            shape: shape.to_vec(),
            axes: axes.iter().map(|&axis| axis.to_owned()).collect(),
            dtype: dtype.to_owned(),
            range: None,
            mean: None,
            std: None,
        }
    }
}

impl DataSpec {
    /// The spec of samples whose values are not normalized.
    pub fn new(data: &str, task: Task, inputs: Inputs, outputs: usize) -> Self {
        DataSpec {
            data: data.to_owned(),
            task,
            inputs,
            outputs: Some(outputs),
            classes: None,
            alphabet: None,
            curvatures: Vec::new(),
            target: None,
            table: None,
        }
    }

    /// The spec of a quadratic problem.
    pub fn of_points(data: &str, curvatures: Vec<f32>) -> Self {
        let inputs = Inputs::raw(&[curvatures.len()], &["direction"], "float32");
        DataSpec { outputs: None, curvatures, ..DataSpec::new(data, Task::Quadratic, inputs, 0) }
    }

    /// Names the classes, if there are as many names as outputs.
    #[must_use]
    pub fn with_class_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        self.classes = (self.outputs == Some(names.len())).then_some(names);
        self
    }

    /// The number of values in a sample, and the number of outputs.
    ///
    /// # Errors
    /// If samples aren't numbers, or the model's output is the loss.
    pub fn values(&self) -> Result<(i64, i64), UsageError> {
        match self.outputs {
            Some(outputs) if self.inputs.dtype == "float32" => {
                Ok((self.inputs.shape.iter().product::<usize>() as i64, outputs as i64))
            }
            _ => Err(UsageError::new(format!(
                "This model reads samples of float32 numbers, and those of {} are {} of shape {:?}.",
                self.data, self.inputs.dtype, self.inputs.shape
            ))),
        }
    }

    /// Channels, height and width of the images, and the number of outputs.
    ///
    /// # Errors
    /// If a sample isn't an image.
    pub fn images(&self) -> Result<([i64; 3], i64), UsageError> {
        match (self.inputs.shape[..].try_into(), self.outputs) {
            (Ok(shape), Some(outputs)) => {
                Ok((<[usize; 3]>::map(shape, |n| n as i64), outputs as i64))
            }
            _ => Err(UsageError::new(format!(
                "This model reads images, of shape [channels, height, width], and the samples of {} have shape \
                 {:?}. Choose another model, for example `model.kind = \"mlp\"`.",
                self.data, self.inputs.shape
            ))),
        }
    }

    /// The number of distinct characters, and the length of a sequence.
    ///
    /// # Errors
    /// If the data isn't text.
    pub fn text(&self) -> Result<(i64, i64), UsageError> {
        match (self.task, &self.inputs.shape[..], self.outputs) {
            (Task::Language, &[length], Some(characters)) => Ok((characters as i64, length as i64)),
            _ => Err(UsageError::new("This model reads text, and the data has none.")),
        }
    }

    /// The curvatures of a quadratic problem.
    ///
    /// # Errors
    /// If the data isn't one.
    pub fn curvatures(&self) -> Result<&[f32], UsageError> {
        match self.task {
            Task::Quadratic => Ok(&self.curvatures),
            _ => Err(UsageError::new(
                "This model needs a quadratic problem, and the data is not one.",
            )),
        }
    }

    /// The spec as lines of text, with long lists shortened.
    pub fn describe(&self) -> String {
        let Inputs { shape, axes, dtype, range, mean, std } = &self.inputs;
        let mut text = format!("  inputs: {dtype} of shape {shape:?} ({})", axes.join(", "));
        if let Some([low, high]) = range {
            text += &format!(", raw values from {low} to {high}");
        }
        if let (Some(mean), Some(std)) = (mean, std) {
            text += &format!(", then (value − mean) / std with mean {mean:?} and std {std:?}");
        }
        text += "\n";
        if let Some(table) = &self.table {
            let names: Vec<String> =
                table.inputs.iter().map(|column| column.name.clone()).collect();
            text += &format!("  columns: {}\n", shortened(&names));
            text += &format!("  target: the column {}\n", table.target);
        }
        if let Some(Scale { mean, std }) = &self.target {
            text +=
                &format!("  outputs: (value − mean) / std with mean {mean:?} and std {std:?}\n");
        }
        if let Some(classes) = &self.classes {
            text += &format!("  classes: {}\n", shortened(classes));
        }
        if let Some(alphabet) = &self.alphabet {
            let characters: Vec<String> = alphabet.chars().map(|c| format!("{c:?}")).collect();
            text += &format!("  alphabet: {}\n", shortened(&characters));
        }
        text
    }
}

fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 12;
    match names.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..SHOWN].join(", ")),
    }
}
