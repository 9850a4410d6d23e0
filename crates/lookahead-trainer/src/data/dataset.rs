//! A data set in its three parts, and what its samples are.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use lookahead_run::event::Split;
use tch::{Device, Tensor};

use super::random::SampleKey;
use super::spec::DataSpec;
use crate::usage::UsageError;

/// What every kind of data gets besides its own options.
#[derive(Debug, Clone, Copy)]
pub struct LoadContext {
    /// The kind's name in configurations.
    pub name: &'static str,
    /// Samples in a batch.
    pub batch_size: usize,
    /// Samples in the validation set, if the configuration or the kind says how many.
    pub validation: Option<usize>,
}

/// Without a number, the validation set is 1 / `VALIDATION_PART` of the training samples.
const VALIDATION_PART: usize = 10;

impl LoadContext {
    /// The size of the validation set, which is taken out of `samples` training samples: `data.validation`, or
    /// a tenth and at least 1, if there are 2 or more.
    ///
    /// # Errors
    /// If no training sample would be left.
    pub fn validation_samples(&self, samples: usize) -> Result<usize, UsageError> {
        let usual = (samples / VALIDATION_PART).max(usize::from(samples > 1));
        let validation = self.validation.unwrap_or(usual);
        if validation < samples {
            return Ok(validation);
        }
        let name = self.name;
        Err(UsageError::new(format!(
            "`data.validation` is {validation}, but the training set of {name} has only {samples} samples. Use \
             fewer.",
        )))
    }
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
pub trait Samples: fmt::Debug + Send + Sync {
    /// The number of samples.
    fn len(&self) -> usize;

    /// The samples of a range, unchanged, on a device.
    ///
    /// # Errors
    /// If a sample can't be read.
    fn slice(&self, range: Range<usize>, device: Device) -> anyhow::Result<Batch>;

    /// The samples of a training step. If the data is augmented, `key` fixes the random changes.
    ///
    /// # Errors
    /// If a sample can't be read.
    fn gather(&self, indices: &[usize], key: SampleKey, device: Device) -> anyhow::Result<Batch>;

    /// Whether samples are read or computed when they are needed. Then the next training batch is prepared in
    /// a thread during each step.
    fn is_on_demand(&self) -> bool {
        false
    }

    /// A number that differs for other contents. A run resumes only with the contents it started with.
    fn fingerprint(&self) -> Option<i64> {
        None
    }
}

/// A data set in its three parts.
#[derive(Debug)]
pub struct Dataset {
    /// Its name in configurations.
    pub name: &'static str,
    /// What a model needs to know of it.
    pub spec: DataSpec,
    /// The samples that are trained on.
    pub train: Arc<dyn Samples>,
    /// A part of the training set that is not trained on. Every choice is made on it.
    pub validation: Arc<dyn Samples>,
    /// The data set's own test set, which is only reported.
    pub test: Arc<dyn Samples>,
}

impl Dataset {
    /// Names the classes, if there are as many names as outputs.
    #[must_use]
    pub fn with_class_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.spec = self.spec.with_class_names(names);
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
