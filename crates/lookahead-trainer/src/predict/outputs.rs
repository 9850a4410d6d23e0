//! Outputs of a model as classes, probabilities and values.

use anyhow::bail;
use lookahead_run::event::Task;
use tch::{Device, Kind, Tensor};

use super::chunks::Origin;
use crate::data::DataSpec;
use crate::usage::UsageError;

/// How outputs become predictions.
#[derive(Debug)]
pub(crate) struct Outputs {
    count: usize,
    /// The names of the classes, or their numbers.
    classes: Vec<String>,
}

/// The predictions for a chunk of samples.
#[derive(Debug, PartialEq)]
pub(crate) struct Predictions {
    /// The most likely class of each sample.
    pub(crate) classes: Vec<usize>,
    /// The probabilities, sample after sample.
    pub(crate) values: Vec<f64>,
}

impl Outputs {
    /// The outputs of a model.
    ///
    /// # Errors
    /// If the model reads text, or has no outputs.
    pub(crate) fn new(spec: &DataSpec, run: &str) -> anyhow::Result<Self> {
        if spec.task != Task::Classification {
            return Err(UsageError::new(format!(
                "The model of {run} reads text. Use `lookahead generate`, which continues a text."
            ))
            .into());
        }
        let Some(count) = spec.outputs.filter(|&count| count > 0) else {
            bail!("The signature of the model of {run} doesn't have its number of outputs.");
        };
        let numbers = || (0..count).map(|class| class.to_string()).collect();
        let named = spec.classes.clone().filter(|names| names.len() == count);
        Ok(Outputs { count, classes: named.unwrap_or_else(numbers) })
    }

    /// The names of the classes, or their numbers.
    pub(crate) fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The predictions by the outputs for a chunk. The probabilities are the softmax of the outputs, in double
    /// precision.
    ///
    /// # Errors
    /// If the outputs are of another shape, or an output is NaN or infinite.
    pub(crate) fn predictions(
        &self,
        outputs: &Tensor,
        origin: Origin<'_>,
    ) -> anyhow::Result<Predictions> {
        let size = outputs.size();
        let (samples, count) = (size.first().copied().unwrap_or(0), self.count as i64);
        if size != [samples, count] {
            bail!("The model's outputs are of shape {size:?}, and (n, {count}) was expected.");
        }
        let finite = outputs.f_isfinite()?.f_all_dim(1, false)?;
        if !bool::try_from(finite.f_all()?)? {
            let first = finite.f_to_kind(Kind::Int)?.f_argmin(None, false)?;
            let sample = origin.describe(i64::try_from(first)? as usize);
            bail!(
                "The model's outputs for {sample} have NaN or infinity. Check its values; if other samples fail too, \
                 the training diverged, and an earlier checkpoint (`--from`) may help."
            );
        }
        let classes = Vec::<i64>::try_from(outputs.f_argmax(-1, false)?)?;
        let outputs = outputs.f_to_device(Device::Cpu)?;
        let values = outputs.f_softmax(-1, Kind::Double)?.f_reshape([-1])?;
        Ok(Predictions {
            classes: classes.into_iter().map(|class| class as usize).collect(),
            values: Vec::try_from(values)?,
        })
    }
}

#[cfg(test)]
mod tests;
