//! The losses that are built in.

use tch::{Kind as Element, Reduction, Tensor};

use super::{Loss, ObjectiveContext};
use crate::usage::UsageError;

/// The cross-entropy of classes or tokens, in nats: `cross_entropy`.
#[derive(Debug)]
pub struct CrossEntropy {
    classes: Option<usize>,
    label_smoothing: f64,
    class_weights: Option<Tensor>,
}

impl CrossEntropy {
    /// With `task.label_smoothing` and `task.class_weights`.
    ///
    /// # Errors
    /// If there are not as many weights as classes.
    pub fn new(context: &ObjectiveContext<'_>) -> anyhow::Result<Self> {
        let classes = context.spec.outputs;
        let class_weights = context.config.class_weights.as_deref().map(|weights| {
            if classes != Some(weights.len()) {
                return Err(anyhow::Error::from(UsageError::new(format!(
                    "`task.class_weights` has {} numbers, and there are {} classes. Use one number for each class.",
                    weights.len(),
                    classes.unwrap_or(0)
                ))));
            }
            let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
            Ok(Tensor::from_slice(&weights).f_to_device(context.device)?)
        });
        Ok(CrossEntropy {
            classes,
            label_smoothing: context.config.label_smoothing.unwrap_or(0.0),
            class_weights: class_weights.transpose()?,
        })
    }
}

impl Loss for CrossEntropy {
    fn mean(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
        let weights = self.class_weights.as_ref();
        if weights.is_none() && self.label_smoothing == 0.0 {
            return cross_entropy(outputs, targets);
        }
        Ok(outputs.f_to_kind(Element::Float)?.f_cross_entropy_loss(
            targets,
            weights,
            Reduction::Mean,
            -100,
            self.label_smoothing,
        )?)
    }

    fn weight(&self, targets: &Tensor) -> anyhow::Result<Option<Tensor>> {
        let Some(weights) = &self.class_weights else { return Ok(None) };
        Ok(Some(weights.f_index_select(0, targets)?.f_sum(Element::Double)?))
    }

    /// That of equal probabilities for all.
    fn of_guessing(&self) -> Option<f64> {
        self.classes.filter(|classes| *classes > 1).map(|classes| (classes as f64).ln())
    }
}

/// The mean cross-entropy of logits (n, classes) for targets (n), in `f32`.
pub(super) fn cross_entropy(logits: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
    let logits = logits.f_log_softmax(-1, Element::Float)?;
    Ok(logits.f_nll_loss::<Tensor>(targets, None, Reduction::Mean, -100)?)
}

/// The mean of a function of the difference between outputs and targets: `mse`, `mae` and `huber`.
#[derive(Debug)]
pub struct ErrorLoss {
    kind: ErrorKind,
    /// Whether the targets have variance 1.
    standardized: bool,
}

#[derive(Debug, Clone, Copy)]
enum ErrorKind {
    Squared,
    Absolute,
    Huber { delta: f64 },
}

/// The mean squared error: `mse`.
pub fn mse(context: &ObjectiveContext<'_>) -> anyhow::Result<ErrorLoss> {
    Ok(ErrorLoss { kind: ErrorKind::Squared, standardized: context.spec.target.is_some() })
}

/// The mean absolute error: `mae`.
pub fn mae(context: &ObjectiveContext<'_>) -> anyhow::Result<ErrorLoss> {
    Ok(ErrorLoss { kind: ErrorKind::Absolute, standardized: context.spec.target.is_some() })
}

/// Half the squared error up to `task.huber_delta`, by default 1, and linear beyond it: `huber`.
pub fn huber(context: &ObjectiveContext<'_>) -> anyhow::Result<ErrorLoss> {
    let delta = context.config.huber_delta.unwrap_or(1.0);
    Ok(ErrorLoss { kind: ErrorKind::Huber { delta }, standardized: context.spec.target.is_some() })
}

impl Loss for ErrorLoss {
    fn mean(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
        Ok(match self.kind {
            ErrorKind::Squared => outputs.f_mse_loss(targets, Reduction::Mean)?,
            ErrorKind::Absolute => outputs.f_l1_loss(targets, Reduction::Mean)?,
            ErrorKind::Huber { delta } => outputs.f_huber_loss(targets, Reduction::Mean, delta)?,
        })
    }

    /// That of the mean of the targets, which is their variance.
    fn of_guessing(&self) -> Option<f64> {
        (self.standardized && matches!(self.kind, ErrorKind::Squared)).then_some(1.0)
    }
}

/// The cross-entropy of each label, which a sample has or has not, on average: `binary_cross_entropy`.
#[derive(Debug)]
pub struct BinaryCrossEntropy;

impl BinaryCrossEntropy {
    /// The loss.
    pub fn new(_: &ObjectiveContext<'_>) -> anyhow::Result<Self> {
        Ok(BinaryCrossEntropy)
    }
}

impl Loss for BinaryCrossEntropy {
    fn mean(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
        let none = None::<&Tensor>;
        Ok(outputs.f_binary_cross_entropy_with_logits(targets, none, none, Reduction::Mean)?)
    }

    /// That of the probability ½.
    fn of_guessing(&self) -> Option<f64> {
        Some(std::f64::consts::LN_2)
    }
}

/// The mean of the network's outputs, which are losses themselves: `outputs`.
#[derive(Debug)]
pub struct Outputs;

impl Outputs {
    /// The loss.
    pub fn new(_: &ObjectiveContext<'_>) -> anyhow::Result<Self> {
        Ok(Outputs)
    }
}

impl Loss for Outputs {
    fn mean(&self, outputs: &Tensor, _: &Tensor) -> anyhow::Result<Tensor> {
        Ok(outputs.f_mean(Element::Float)?)
    }
}
