//! The normalization of raw values.

use anyhow::bail;
use tch::{Device, Kind, Tensor};
use toml::Value;

use crate::config::data::DataConfig;
use crate::data::DataSpec;
use crate::usage::UsageError;

/// How raw values become a model's inputs.
#[derive(Debug)]
pub(crate) struct Preparation {
    /// The inputs of the model.
    pub(super) spec: DataSpec,
    /// Whether images of another size are resized, as in training.
    pub(super) resize: bool,
    /// The name of the array of samples in a file whose arrays have names.
    pub(super) array: String,
    kind: Kind,
    /// Mean and standard deviation, in a shape that fits samples.
    normalization: Option<[Tensor; 2]>,
    pub(super) device: Device,
}

impl Preparation {
    /// The preparation for a model on a device. `data` is the run's `[data]`, and `array` is the name of the array to
    /// use instead of its `data.inputs`.
    ///
    /// # Errors
    /// If the inputs are of an unknown type, or have other numbers of means or deviations than channels.
    pub(crate) fn new(
        spec: &DataSpec,
        data: &DataConfig,
        array: Option<&str>,
        device: Device,
    ) -> anyhow::Result<Self> {
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
        // As in training: bytes of images become floats in single precision, arrays in double precision.
        let precision = if inputs.range.is_some() { Kind::Float } else { Kind::Double };
        let of_channels = |values: &Vec<f64>| {
            if values.len() != 1 && values.len() != channels {
                bail!(
                    "The model has {} means or deviations for {channels} channels.",
                    values.len()
                );
            }
            Ok(Tensor::from_slice(values).f_to_kind(precision)?.f_reshape(&dimensions)?)
        };
        let normalization = match (&inputs.mean, &inputs.std) {
            (Some(mean), Some(std)) if kind == Kind::Float => {
                Some([of_channels(mean)?, of_channels(std)?])
            }
            _ => None,
        };
        let option = |key| data.options.get(key);
        let resize = option("resize").and_then(Value::as_bool).unwrap_or_default();
        let array = array.or_else(|| option("inputs").and_then(Value::as_str));
        let array = array.unwrap_or("inputs").to_owned();
        Ok(Preparation { spec: spec.clone(), resize, array, kind, normalization, device })
    }

    /// Values in a sample.
    pub(super) fn values(&self) -> usize {
        self.spec.inputs.shape.iter().product()
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
            [samples].iter().chain(&self.spec.inputs.shape).map(|&n| n as i64).collect();
        let mut batch = raw.f_to_kind(self.kind)?.f_reshape(&shape)?;
        if let Some([mean, std]) = &self.normalization {
            batch = batch.f_to_kind(mean.kind())?.f_sub(mean)?.f_div(std)?.f_to_kind(self.kind)?;
        }
        Ok(batch.f_to_device(self.device)?)
    }

    /// The shape of a sample, for messages.
    pub(super) fn describe(&self) -> String {
        format!("{:?} ({})", self.spec.inputs.shape, self.spec.inputs.axes.join(", "))
    }
}

#[cfg(test)]
mod tests;
