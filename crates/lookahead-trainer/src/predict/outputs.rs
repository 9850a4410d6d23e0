//! Outputs of a model as classes, probabilities and values.

use anyhow::{Context, bail};
use lookahead_run::event::Task;
use lookahead_run::program_name;
use tch::{Device, Kind, Tensor};

use super::chunks::Origin;
use crate::data::DataSpec;
use crate::usage::UsageError;

/// How outputs become predictions.
#[derive(Debug)]
pub(crate) struct Outputs {
    form: Form,
    /// The names of the outputs.
    names: Vec<String>,
}

/// What outputs are.
#[derive(Debug)]
enum Form {
    /// The logits of classes, of which a sample has one.
    Classes,
    /// The logits of labels, of which a sample has any.
    Labels,
    /// Values.
    Values,
    /// Standardized values: their means and standard deviations.
    Standardized([Tensor; 2]),
}

/// The predictions for a chunk of samples.
#[derive(Debug, PartialEq)]
pub(crate) struct Predictions {
    /// The number of samples.
    pub(crate) samples: usize,
    /// The most likely class of each sample, if it has one.
    pub(crate) classes: Option<Vec<usize>>,
    /// The probabilities or values, sample after sample.
    pub(crate) values: Vec<f64>,
}

impl Outputs {
    /// The outputs of a model.
    ///
    /// # Errors
    /// If the model reads text, or its signature is not complete.
    pub(crate) fn new(spec: &DataSpec, run: &str) -> anyhow::Result<Self> {
        let incomplete = || format!("The signature of the model of {run} is not complete.");
        let count = spec.outputs.filter(|&count| count > 0).with_context(incomplete)?;
        let numbered = || (0..count).map(|i| i.to_string()).collect::<Vec<_>>();
        let named = || spec.classes.clone().filter(|names| names.len() == count);
        let (form, names) = match (spec.task, &spec.target) {
            (Task::Classification, _) => (Form::Classes, named().unwrap_or_else(numbered)),
            (Task::Multilabel, _) => (Form::Labels, named().unwrap_or_else(numbered)),
            (Task::Regression, scale) => {
                let names = match (count, &spec.table) {
                    (1, Some(table)) => vec![table.target.clone()],
                    (1, None) => vec!["value".to_owned()],
                    _ => numbered().into_iter().map(|i| format!("value_{i}")).collect(),
                };
                let form = match scale {
                    Some(scale) if [scale.mean.len(), scale.std.len()] == [count; 2] => {
                        let [mean, std] =
                            [&scale.mean, &scale.std].map(|of| Tensor::from_slice(of));
                        Form::Standardized([mean, std])
                    }
                    Some(_) => bail!("{}", incomplete()),
                    None => Form::Values,
                };
                (form, names)
            }
            (Task::Language, _) => {
                return Err(UsageError::new(format!(
                    "The model of {run} reads text. Use `{} generate`, which continues a text.",
                    program_name()
                ))
                .into());
            }
            (Task::Quadratic | Task::Recorded | Task::Unknown, _) => {
                bail!(
                    "{run} has a task without predictions, or one of a later version of this program."
                )
            }
        };
        Ok(Outputs { form, names })
    }

    /// The names of the classes, if each sample has one.
    pub(crate) fn classes(&self) -> Option<&[String]> {
        matches!(self.form, Form::Classes).then_some(&self.names)
    }

    /// The names of the probabilities or values.
    pub(crate) fn columns(&self) -> Vec<String> {
        match self.form {
            Form::Classes | Form::Labels => {
                self.names.iter().map(|name| format!("p_{name}")).collect()
            }
            Form::Values | Form::Standardized(_) => self.names.clone(),
        }
    }

    /// Whether values have more digits than a `f32` has: a mean can be much larger than the deviations from it.
    pub(crate) fn is_double(&self) -> bool {
        matches!(self.form, Form::Standardized(_))
    }

    /// The predictions by the outputs for a chunk, computed in double precision: the softmax for classes, the
    /// sigmoid for labels, and values in their own units.
    ///
    /// # Errors
    /// If the outputs are of another shape, or an output is NaN or infinite.
    pub(crate) fn predictions(
        &self,
        outputs: &Tensor,
        origin: Origin<'_>,
    ) -> anyhow::Result<Predictions> {
        let size = outputs.size();
        let (samples, count) = (size.first().copied().unwrap_or(0), self.names.len() as i64);
        if size != [samples, count] && !(count == 1 && size == [samples]) {
            bail!("The model's outputs are of shape {size:?}, and (n, {count}) was expected.");
        }
        let outputs = outputs.f_reshape([samples, count])?;
        let finite = outputs.f_isfinite()?.f_all_dim(1, false)?;
        if !bool::try_from(finite.f_all()?)? {
            let first = finite.f_to_kind(Kind::Int)?.f_argmin(None, false)?;
            let sample = origin.describe(i64::try_from(first)? as usize);
            bail!(
                "The model's outputs for {sample} have NaN or infinity. Check its values; if other samples fail too, \
                 the training diverged, and an earlier checkpoint (`--from`) may help."
            );
        }
        let classes = match self.form {
            Form::Classes => {
                let classes = Vec::<i64>::try_from(outputs.f_argmax(-1, false)?)?;
                Some(classes.into_iter().map(|class| class as usize).collect())
            }
            _ => None,
        };
        let outputs = outputs.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?;
        let values = match &self.form {
            Form::Classes => outputs.f_softmax(-1, None)?,
            Form::Labels => outputs.f_sigmoid()?,
            Form::Values => outputs,
            Form::Standardized([mean, std]) => outputs.f_mul(std)?.f_add(mean)?,
        };
        let values = Vec::try_from(values.f_reshape([-1])?)?;
        Ok(Predictions { samples: samples as usize, classes, values })
    }
}

#[cfg(test)]
mod tests;
