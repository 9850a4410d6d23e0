//! A data set in memory, and what a model is asked to learn from it.

use std::fmt;
use std::ops::Range;

use lookahead_run::event::{Split, Task};
use tch::{Device, Tensor};

use super::random::SampleKey;
use super::signature::Signature;
use crate::usage::UsageError;

/// What every kind of data is told besides its own options.
#[derive(Debug, Clone, Copy)]
pub struct LoadContext {
    /// The kind's name in configurations.
    pub name: &'static str,
    /// Samples in a batch.
    pub batch_size: usize,
    /// Samples in the validation set.
    pub validation: usize,
}

/// What a model works on, and what it should come to.
#[derive(Debug)]
pub struct Batch {
    /// What goes in: images, symbols or points, of shape (n, …).
    pub inputs: Tensor,
    /// What should come out, as `i64`: the class of each, of shape (n), or the symbol after each, of
    /// shape (n, length). Nothing is in it where nothing is classified.
    pub targets: Tensor,
}

/// A batch's tensor on the device that it is computed on; no GPU makes the program wait for it.
pub(crate) fn on_device(tensor: Tensor, device: Device) -> Tensor {
    lookahead_core::tch_ext::images::to_device(tensor, device)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Samples that batches are made of.
#[allow(clippy::len_without_is_empty)] // it would be one more method for each data set
pub trait Samples: fmt::Debug {
    /// How many there are.
    fn len(&self) -> usize;

    /// Those of a range as they are, on a device.
    fn slice(&self, range: Range<usize>, device: Device) -> Batch;

    /// Chosen ones for a training step, changed at random where that is asked for: always the same way
    /// at the same place.
    fn gather(&self, indices: &[usize], key: SampleKey, device: Device) -> Batch;

    /// A number that tells these samples from others of the same number, where that is known: a run
    /// goes on only with those that it began with.
    fn fingerprint(&self) -> Option<i64> {
        None
    }
}

/// What is asked of a model.
#[derive(Debug, Clone)]
pub enum Problem {
    /// The class of an image.
    Images {
        /// Channels, height and width.
        shape: [usize; 3],
        /// How many classes.
        classes: usize,
    },
    /// The next symbol at each place of a piece of text.
    Text {
        /// How many symbols there are.
        symbols: usize,
        /// How many a piece has.
        length: usize,
    },
    /// The minimum of ½ Σ aᵢ(xᵢ − cᵢ)², where c comes with each sample.
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
    /// What is asked.
    pub problem: Problem,
    /// What goes in and what comes out, for checkpoints.
    pub signature: Signature,
    /// What is trained on.
    pub train: Box<dyn Samples>,
    /// Held out of the training set; every choice is made on it.
    pub validation: Box<dyn Samples>,
    /// The data set's own test set; only reported.
    pub test: Box<dyn Samples>,
}

impl Dataset {
    /// The same with a name for each class; without, if there are not as many.
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

/// How many of the training samples are the validation set.
///
/// # Errors
/// A usage error if none would be left to train on.
pub fn validation_samples(context: &LoadContext, samples: usize) -> Result<usize, UsageError> {
    let LoadContext { name, validation, .. } = *context;
    if validation < samples {
        return Ok(validation);
    }
    Err(UsageError::new(format!(
        "`data.validation` is {validation}, and the training set of {name} has only {samples} samples: \
         hold out fewer.",
    )))
}

impl Problem {
    /// What is learnt.
    pub fn task(&self) -> Task {
        match self {
            Problem::Images { .. } => Task::Classification,
            Problem::Text { .. } => Task::Language,
            Problem::Quadratic { .. } => Task::Quadratic,
        }
    }

    /// Channels, height and width of the images, and how many classes there are.
    ///
    /// # Errors
    /// A usage error where there are no images.
    pub fn images(&self) -> Result<([i64; 3], i64), UsageError> {
        match self {
            Problem::Images { shape, classes } => Ok((shape.map(|n| n as i64), *classes as i64)),
            _ => Err(UsageError::new("This model reads images, and the data has none.")),
        }
    }

    /// How many symbols there are, and how long a piece of text is.
    ///
    /// # Errors
    /// A usage error where there is no text.
    pub fn text(&self) -> Result<(i64, i64), UsageError> {
        match self {
            Problem::Text { symbols, length } => Ok((*symbols as i64, *length as i64)),
            _ => Err(UsageError::new("This model reads text, and the data has none.")),
        }
    }

    /// Of a quadratic function.
    ///
    /// # Errors
    /// A usage error where there is none.
    pub fn curvatures(&self) -> Result<&[f32], UsageError> {
        match self {
            Problem::Quadratic { curvatures } => Ok(curvatures),
            _ => {
                Err(UsageError::new("This model needs a quadratic problem, and the data is none."))
            }
        }
    }
}
