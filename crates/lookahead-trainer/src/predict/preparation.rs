//! The normalization of raw values.

use anyhow::bail;
use tch::{Device, Kind, Tensor};

use crate::data::table::encoding::Encoding;
use crate::data::{DataSpec, Inputs};
use crate::usage::UsageError;

/// How raw values become a model's inputs.
#[derive(Debug)]
pub(crate) struct Preparation {
    /// The inputs of the model.
    pub(super) inputs: Inputs,
    /// How the rows of a table become inputs, if the model was trained on one.
    pub(super) table: Option<Encoding>,
    kind: Kind,
    /// Mean and standard deviation, in a shape that fits samples.
    normalization: Option<[Tensor; 2]>,
    device: Device,
}

impl Preparation {
    /// The preparation for a model on a device.
    ///
    /// # Errors
    /// If the inputs are of an unknown type, or have other numbers of means or deviations than channels.
    pub(crate) fn new(spec: &DataSpec, device: Device) -> anyhow::Result<Self> {
        let inputs = &spec.inputs;
        let kind = match inputs.dtype.as_str() {
            "float32" => Kind::Float,
            "int64" => Kind::Int64,
            other => bail!(
                "The model takes inputs of type {other}, but only float32 and int64 are supported."
            ),
        };
        let mut dimensions = vec![1; inputs.shape.len()];
        if let Some(first) = dimensions.first_mut() {
            *first = -1;
        }
        let channels = inputs.shape.first().copied().unwrap_or(1);
        let of_channels = |values: &Vec<f64>| {
            if values.len() != 1 && values.len() != channels {
                bail!(
                    "The model has {} means or deviations for {channels} channels.",
                    values.len()
                );
            }
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            Ok(Tensor::from_slice(&values).f_reshape(&dimensions)?)
        };
        let normalization = match (&inputs.mean, &inputs.std) {
            (Some(mean), Some(std)) if kind == Kind::Float => {
                Some([of_channels(mean)?, of_channels(std)?])
            }
            _ => None,
        };
        let (inputs, table) = (inputs.clone(), spec.table.clone());
        Ok(Preparation { inputs, table, kind, normalization, device })
    }

    /// Values in a sample.
    pub(super) fn values(&self) -> usize {
        self.inputs.shape.iter().product()
    }

    /// A batch for the model: raw values of any shape whose elements are `samples` samples.
    ///
    /// # Errors
    /// If the values are not whole numbers although the model takes these.
    pub(super) fn batch(&self, raw: &Tensor, samples: usize) -> anyhow::Result<Tensor> {
        if self.kind == Kind::Int64 && raw.is_floating_point() {
            return Err(UsageError::new(
                "The model takes whole numbers (int64), and these values are floating-point. Convert them, for \
                 example with `.astype(\"int64\")`.",
            )
            .into());
        }
        let shape: Vec<i64> =
            [samples].iter().chain(&self.inputs.shape).map(|&n| n as i64).collect();
        let mut batch = raw.f_to_kind(self.kind)?.f_reshape(&shape)?;
        if let Some([mean, std]) = &self.normalization {
            batch = batch.f_sub(mean)?.f_div(std)?;
        }
        Ok(batch.f_to_device(self.device)?)
    }

    /// The shape of a sample, for messages.
    pub(super) fn describe(&self) -> String {
        format!("{:?} ({})", self.inputs.shape, self.inputs.axes.join(", "))
    }
}

#[cfg(test)]
mod tests;
