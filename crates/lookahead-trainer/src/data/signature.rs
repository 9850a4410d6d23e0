//! A model's inputs and outputs, for programs that use its weights. They are in the manifest of each
//! checkpoint and in the metadata of each file of weights.

use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};

/// A model's inputs and outputs. Its JSON is documented in `checkpoints/README.md`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// The data set's name in configurations.
    pub data: String,
    /// The task.
    pub task: Task,
    /// One sample.
    pub inputs: Inputs,
    /// The number of outputs for each sample, or for each character of a text: one per class or distinct
    /// character. Absent for a quadratic problem, whose output is the loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<usize>,
    /// The name of each class, if they have names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// The character of each number, if the data is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alphabet: Option<String>,
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

impl Signature {
    /// The signature of a quadratic problem.
    pub fn of_points(data: &str, dimensions: usize) -> Self {
        Signature {
            data: data.to_owned(),
            task: Task::Quadratic,
            inputs: Inputs::raw(&[dimensions], &["direction"], "float32"),
            outputs: None,
            classes: None,
            alphabet: None,
        }
    }

    /// The signature as lines of text, with long lists shortened.
    pub fn text(&self) -> String {
        let Inputs { shape, axes, dtype, range, mean, std } = &self.inputs;
        let mut text = format!("  inputs: {dtype} of shape {shape:?} ({})", axes.join(", "));
        if let Some([low, high]) = range {
            text += &format!(", raw values from {low} to {high}");
        }
        if let (Some(mean), Some(std)) = (mean, std) {
            text += &format!(", then (value − mean) / std with mean {mean:?} and std {std:?}");
        }
        text += "\n";
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
