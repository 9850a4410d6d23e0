//! A data set in memory, and the problem that a model is to solve on it.

use std::fmt;
use std::ops::Range;

use lookahead_run::event::{Split, Task};
use tch::{Device, Tensor};

use super::random::SampleKey;
use super::signature::Signature;
use crate::usage::UsageError;

/// What every kind of data gets besides its own options.
#[derive(Debug, Clone, Copy)]
pub struct LoadContext {
    /// The kind's name in configurations.
    pub name: &'static str,
    /// Samples in a batch.
    pub batch_size: usize,
    /// Samples in the validation set.
    pub validation: usize,
}

/// Samples and their targets.
#[derive(Debug)]
pub struct Batch {
    /// Images, characters or points, of shape (n, …).
    pub inputs: Tensor,
    /// The targets as `i64`: the class of each image, of shape (n), or the character after each one, of
    /// shape (n, length). Empty if nothing is classified.
    pub targets: Tensor,
}

/// A batch's tensor on the model's device. The program does not wait for the copy to a GPU.
pub(crate) fn on_device(tensor: Tensor, device: Device) -> Tensor {
    lookahead_core::tch_ext::images::to_device(tensor, device)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Samples that batches are made of.
#[allow(clippy::len_without_is_empty)] // it would be one more method per data set
pub trait Samples: fmt::Debug {
    /// The number of samples.
    fn len(&self) -> usize;

    /// The samples of a range, unchanged, on a device.
    fn slice(&self, range: Range<usize>, device: Device) -> Batch;

    /// The samples of a training step. If the data is augmented, `key` fixes the random changes.
    fn gather(&self, indices: &[usize], key: SampleKey, device: Device) -> Batch;

    /// A number that differs for other contents. A run resumes only with the contents it started with.
    fn fingerprint(&self) -> Option<i64> {
        None
    }
}

/// The problem that a model solves.
#[derive(Debug, Clone)]
pub enum Problem {
    /// Classify images.
    Images {
        /// Channels, height and width.
        shape: [usize; 3],
        /// The number of classes.
        classes: usize,
    },
    /// Predict the next character at each position of a text.
    Text {
        /// The number of distinct characters.
        characters: usize,
        /// Characters in a sequence.
        length: usize,
    },
    /// Find the minimum of ½ Σ aᵢ(xᵢ − cᵢ)², where c comes with each sample.
    Quadratic {
        /// The curvatures aᵢ.
        curvatures: Vec<f32>,
    },
}

/// A data set in its three parts.
#[derive(Debug)]
pub struct Dataset {
    /// Its name in configurations.
    pub name: &'static str,
    /// The problem that a model solves on it.
    pub problem: Problem,
    /// The inputs and outputs of a model, for checkpoints.
    pub signature: Signature,
    /// The samples that are trained on.
    pub train: Box<dyn Samples>,
    /// A part of the training set that is not trained on. Every choice is made on it.
    pub validation: Box<dyn Samples>,
    /// The data set's own test set, which is only reported.
    pub test: Box<dyn Samples>,
}

impl Dataset {
    /// Names the classes, if there are as many names as classes.
    #[must_use]
    pub fn with_class_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        self.signature.classes = (self.signature.outputs == Some(names.len())).then_some(names);
        self
    }

    /// The samples of a split, unless it is empty.
    pub fn split(&self, split: Split) -> Option<&dyn Samples> {
        let samples = match split {
            Split::Validation => &*self.validation,
            Split::Test => &*self.test,
        };
        (samples.len() > 0).then_some(samples)
    }
}

/// The size of the validation set, which is taken out of `samples` training samples.
pub fn validation_samples(context: &LoadContext, samples: usize) -> Result<usize, UsageError> {
    let LoadContext { name, validation, .. } = *context;
    if validation < samples {
        return Ok(validation);
    }
    Err(UsageError::new(format!(
        "`data.validation` is {validation}, but the training set of {name} has only {samples} samples. Use \
         fewer.",
    )))
}

impl Problem {
    /// The task.
    pub fn task(&self) -> Task {
        match self {
            Problem::Images { .. } => Task::Classification,
            Problem::Text { .. } => Task::Language,
            Problem::Quadratic { .. } => Task::Quadratic,
        }
    }

    /// Channels, height and width of the images, and the number of classes.
    pub fn images(&self) -> Result<([i64; 3], i64), UsageError> {
        match self {
            Problem::Images { shape, classes } => Ok((shape.map(|n| n as i64), *classes as i64)),
            _ => Err(UsageError::new("This model reads images, and the data has none.")),
        }
    }

    /// The number of distinct characters, and the length of a sequence.
    pub fn text(&self) -> Result<(i64, i64), UsageError> {
        match self {
            Problem::Text { characters, length } => Ok((*characters as i64, *length as i64)),
            _ => Err(UsageError::new("This model reads text, and the data has none.")),
        }
    }

    /// The curvatures of a quadratic function.
    pub fn curvatures(&self) -> Result<&[f32], UsageError> {
        match self {
            Problem::Quadratic { curvatures } => Ok(curvatures),
            _ => Err(UsageError::new(
                "This model needs a quadratic problem, and the data is not one.",
            )),
        }
    }
}
