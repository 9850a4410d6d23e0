//! `data.kind = "arrays"`: inputs and targets as arrays in files, for example from NumPy.
//!
//! | module | what is in it |
//! |---|---|
//! | [`mod@file`] | arrays in `.safetensors`, `.npz` and `.npy` files, read whole or in chunks |
//! | [`elements`] | their element types |
//! | [`options`] | the keys |
//! | `places` | which arrays of which files the keys name |
//! | [`targets`] | classes, labels or values |
//! | `scaling` | finite and standardized arrays |

pub mod elements;
pub mod file;
pub mod options;
mod places;
mod scaling;
pub mod targets;

use super::array::{Array, Values};
use super::dataset::{Dataset, LoadContext};
use super::in_memory::InMemory;
use super::spec::{DataSpec, Inputs, Scale};
use super::split::{TEST_FRACTION, shuffled_parts};
use crate::usage::UsageError;
use options::ArrayOptions;
use places::Places;
use scaling::{check_finite, scale_of};
use targets::{ArrayTask, Classes, prepared};

/// Samples that were read from two places.
#[derive(Debug)]
struct Part<'a> {
    /// Floats.
    inputs: Array,
    /// As [`prepared`] makes them.
    targets: Array,
    task: ArrayTask,
    places: Places<'a>,
}

impl<'a> Part<'a> {
    fn read(places: Places<'a>, task: Option<ArrayTask>) -> Result<Self, UsageError> {
        let (inputs, targets) = (places.inputs.read_floats()?, places.targets.read()?);
        if inputs.rows() != targets.rows() {
            return Err(places.targets.refused(&format!(
                "It has {} targets, of shape {:?}, for {} inputs, of shape {:?}. Each sample needs one of both.",
                targets.rows(),
                targets.shape(),
                inputs.rows(),
                inputs.shape()
            )));
        }
        check_finite(&inputs).map_err(|reason| places.inputs.refused(&reason))?;
        // A single number for each sample is one feature.
        let inputs = match inputs.into_parts() {
            (shape, values) if shape.len() == 1 => Array::new(&[shape[0], 1], values),
            (shape, values) => Array::new(&shape, values),
        };
        let inputs = inputs.map_err(|reason| places.inputs.refused(&reason))?;
        let in_targets = |reason: String| places.targets.refused(&reason);
        check_finite(&targets).map_err(in_targets)?;
        let (targets, task) = prepared(targets, task).map_err(in_targets)?;
        Ok(Part { inputs, targets, task, places })
    }

    /// Refuses samples of another shape than those of `training`.
    fn check_shapes(&self, training: &Part<'_>) -> Result<(), UsageError> {
        for (own, other, place) in [
            (&self.inputs, &training.inputs, &self.places.inputs),
            (&self.targets, &training.targets, &self.places.targets),
        ] {
            if own.row_shape() != other.row_shape() {
                return Err(place.refused(&format!(
                    "Its shape without the samples is {:?}, and that of the training set is {:?}.",
                    own.row_shape(),
                    other.row_shape()
                )));
            }
        }
        Ok(())
    }

    fn into_samples(self) -> Result<InMemory, UsageError> {
        InMemory::new(self.inputs, self.targets)
    }
}

/// Reads the arrays, shuffles the samples, the same for every seed, and splits them.
pub fn load(options: ArrayOptions, context: &LoadContext) -> anyhow::Result<Dataset> {
    let training = Part::read(places::of_training(&options), options.task)?;
    let task = training.task;
    let mut parts = vec![training];
    if let Some(places) = places::of_test(&options) {
        let test = Part::read(places, Some(task))?;
        test.check_shapes(&parts[0])?;
        parts.push(test);
    }
    let fraction = match parts.len() {
        1 => options.test_fraction.unwrap_or(TEST_FRACTION),
        _ => 0.0,
    };
    let samples = parts[0].inputs.rows();
    let shuffled = shuffled_parts(samples, fraction);
    let (train, test) = shuffled.map_err(|reason| parts[0].places.inputs.refused(&reason))?;
    let validation = context.validation_samples(train.len())?;
    let mut is_training = vec![false; samples];
    for &sample in &train[..train.len() - validation] {
        is_training[sample] = true;
    }

    let outputs = outputs(&parts, &is_training)?;
    let (inputs, target) = standardize(&mut parts, &is_training, options.standardize)?;
    let spec = DataSpec { target, ..DataSpec::new(context.name, task.into(), inputs, outputs) };
    let test_set = parts.split_off(1).pop().map(Part::into_samples).transpose()?;
    let all = parts.remove(0).into_samples()?;
    let test_set = test_set.unwrap_or_else(|| all.select(&test));
    Ok(Dataset::in_memory(context, spec, all.select(&train), test_set)?)
}

/// The number of outputs: classes, labels or values. Each class must be that of a training sample.
fn outputs(parts: &[Part<'_>], is_training: &[bool]) -> Result<usize, UsageError> {
    let targets = &parts[0].targets;
    let Values::Integers(classes) = targets.values() else {
        return Ok(targets.row_shape().iter().product());
    };
    let known = Classes::of_training(classes, is_training);
    let known = known.map_err(|reason| parts[0].places.targets.refused(&reason))?;
    for part in parts {
        known.check(&part.targets).map_err(|reason| part.places.targets.refused(&reason))?;
    }
    Ok(known.outputs())
}

/// Describes the inputs, and the scale of the values to predict. If `standardize` is set, both are standardized, by the
/// training samples.
fn standardize(
    parts: &mut [Part<'_>],
    is_training: &[bool],
    standardize: bool,
) -> Result<(Inputs, Option<Scale>), UsageError> {
    let shape = parts[0].inputs.row_shape();
    let named = ["channel", "row", "column"];
    let axes = match shape.len() {
        1 => &["feature"][..],
        3 => &named,
        count => &["axis"; 16][..count.min(16)],
    };
    let mut inputs = Inputs::raw(shape, axes, "float32");
    if !standardize {
        return Ok((inputs, None));
    }
    let scale = scale_of(&parts[0].inputs, is_training);
    let has_values = parts[0].task == ArrayTask::Regression;
    let target = has_values.then(|| scale_of(&parts[0].targets, is_training));
    for part in parts {
        let Part { inputs, targets, places, .. } = part;
        scaling::apply(&scale, inputs).map_err(|reason| places.inputs.refused(&reason))?;
        if let Some(scale) = &target {
            scaling::apply(scale, targets).map_err(|reason| places.targets.refused(&reason))?;
        }
    }
    (inputs.mean, inputs.std) = (Some(scale.mean), Some(scale.std));
    Ok((inputs, target))
}

#[cfg(test)]
mod tests;
