//! What a model was trained on and what it gives, for whoever uses its weights elsewhere: in each
//! checkpoint's manifest, and in the metadata of each file of weights.

use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};

/// A model's inputs and outputs. Its JSON is documented in `checkpoints/README.md`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// The data set's name in configurations.
    pub data: String,
    /// What was learned.
    pub task: Task,
    /// What goes in.
    pub inputs: Inputs,
    /// Numbers that come out for each sample, or for each character of a text: one for each class or
    /// character. Absent of a quadratic problem, whose output is the loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<usize>,
    /// The name of each class, if they have names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// The character of each number, for a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alphabet: Option<String>,
}

/// One sample as it goes into a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Its shape; a batch has one dimension more in front.
    pub shape: Vec<usize>,
    /// What each dimension of the shape is, outermost first: the last one varies fastest.
    pub axes: Vec<String>,
    /// The element type, as PyTorch calls it.
    pub dtype: String,
    /// The smallest and the largest raw value, before normalization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// What is subtracted from the raw values, for each channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f64>>,
    /// By what the difference is divided, for each channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f64>>,
}

impl Inputs {
    /// Of values that go in as they are.
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
    /// Of a quadratic problem.
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

    /// Lines for people, without the numbers of long lists.
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
