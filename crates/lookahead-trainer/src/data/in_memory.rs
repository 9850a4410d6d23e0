//! Samples in memory: an array of inputs and an array of targets.

use std::ops::Range;
use std::sync::Arc;

use lookahead_run::checkpoint::fingerprint_of;
use tch::Device;

use super::array::Array;
use super::dataset::{Batch, Dataset, LoadContext, Samples};
use super::random::SampleKey;
use super::spec::DataSpec;
use crate::usage::UsageError;

/// Inputs and targets in memory, a row for each sample.
#[derive(Debug, Clone, PartialEq)]
pub struct InMemory {
    inputs: Array,
    targets: Array,
    /// Of the training set, once it is complete.
    fingerprint: Option<i64>,
}

impl InMemory {
    /// The samples whose inputs and targets are the rows of these arrays. Targets are integers for classes, of shape
    /// (n) or (n, length), and floats for values, of shape (n, outputs).
    ///
    /// # Errors
    /// A usage error, if there are not as many targets as inputs.
    pub fn new(inputs: Array, targets: Array) -> Result<Self, UsageError> {
        if inputs.rows() != targets.rows() {
            return Err(UsageError::new(format!(
                "There are {} inputs and {} targets. Each sample needs one of both.",
                inputs.rows(),
                targets.rows()
            )));
        }
        Ok(InMemory { inputs, targets, fingerprint: None })
    }

    /// Moves the last `count` samples into a set of their own.
    ///
    /// # Panics
    /// If there are fewer.
    #[must_use]
    pub fn split_off(&mut self, count: usize) -> Self {
        let inputs = self.inputs.split_off(count);
        InMemory { inputs, targets: self.targets.split_off(count), fingerprint: None }
    }

    /// The samples with these indices, in their order.
    ///
    /// # Panics
    /// If there is no such sample.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let targets = self.targets.select(indices);
        InMemory { inputs: self.inputs.select(indices), targets, fingerprint: None }
    }

    /// The inputs.
    pub fn inputs(&self) -> &Array {
        &self.inputs
    }

    /// The targets.
    pub fn targets(&self) -> &Array {
        &self.targets
    }
}

impl Samples for InMemory {
    fn len(&self) -> usize {
        self.inputs.rows()
    }

    fn slice(&self, range: Range<usize>, device: Device) -> anyhow::Result<Batch> {
        let inputs = self.inputs.slice(range.clone(), device);
        Ok(Batch { inputs, targets: self.targets.slice(range, device) })
    }

    fn gather(&self, indices: &[usize], _: SampleKey, device: Device) -> anyhow::Result<Batch> {
        let inputs = self.inputs.gather(indices, device);
        Ok(Batch { inputs, targets: self.targets.gather(indices, device) })
    }

    fn fingerprint(&self) -> Option<i64> {
        self.fingerprint
    }
}

impl Dataset {
    /// A data set in memory. The last training samples become the validation set, the same for every seed: if they
    /// have an order, shuffle them first.
    ///
    /// # Errors
    /// A usage error, if no training sample is left, or the samples don't have the shape of the spec.
    pub fn in_memory(
        context: &LoadContext,
        spec: DataSpec,
        mut train: InMemory,
        test: InMemory,
    ) -> Result<Dataset, UsageError> {
        for (part, name) in [(&train, "training"), (&test, "test")] {
            let shape = part.inputs.row_shape();
            if part.len() > 0 && shape != spec.inputs.shape {
                return Err(UsageError::new(format!(
                    "The {name} samples of {} have shape {shape:?}, and its spec says {:?}.",
                    context.name, spec.inputs.shape
                )));
            }
        }
        let validation = train.split_off(context.validation_samples(train.len())?);
        let fingerprints = [&train.inputs, &train.targets].map(|part| part.fingerprint());
        train.fingerprint = Some(fingerprint_of(&fingerprints.map(i64::to_le_bytes).concat()));
        Ok(Dataset {
            name: context.name,
            spec,
            train: Arc::new(train),
            validation: Arc::new(validation),
            test: Arc::new(test),
        })
    }
}

#[cfg(test)]
mod tests;
