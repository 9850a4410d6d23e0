//! The inner optimizer: `[optimizer]`.

use serde::{Deserialize, Serialize};

use super::check::{ConfigIssue, format_number, kind_key, require};

/// `[optimizer]`. The meaning of each key is libtorch's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Which inner optimizer.
    pub kind: OptimizerKind,
    /// Learning rate, before the schedule.
    pub lr: f64,
    /// Whether it steps by kernels that take all parameters together, or by libtorch's own code.
    pub fused: bool,
    /// Weight decay: decoupled for adamw, a part of the gradient for the others. Default 0.01 for
    /// adamw, 0 for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// sgd, rmsprop: momentum. Default 0.9 for sgd, 0 for rmsprop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// sgd: damping of the momentum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dampening: Option<f64>,
    /// sgd: Nesterov's momentum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,
    /// adam, adamw: decay of the first moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta1: Option<f64>,
    /// adam, adamw: decay of the second moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta2: Option<f64>,
    /// adam, adamw, rmsprop: what is added to the denominator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// adam, adamw: keep the maximum of the second moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amsgrad: Option<bool>,
    /// rmsprop: decay of the squared gradient's average, which libtorch calls alpha.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smoothing: Option<f64>,
    /// rmsprop: subtract the mean gradient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub centered: Option<bool>,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        OptimizerConfig {
            kind: OptimizerKind::Sgd,
            lr: 0.1,
            fused: true,
            weight_decay: None,
            momentum: None,
            dampening: None,
            nesterov: None,
            beta1: None,
            beta2: None,
            eps: None,
            amsgrad: None,
            smoothing: None,
            centered: None,
        }
    }
}

/// The inner optimizers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// Stochastic gradient descent.
    #[default]
    Sgd,
    /// Adam (Kingma and Ba, 2015).
    Adam,
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019).
    #[serde(rename = "adamw")]
    AdamW,
    /// RMSprop (Hinton, 2012).
    #[serde(rename = "rmsprop")]
    RmsProp,
}

/// Whether `kind` does not have the key.
pub(super) fn is_foreign(kind: &str, key: &str) -> bool {
    let foreign: &[&str] = match kind {
        "sgd" => &["beta1", "beta2", "eps", "amsgrad", "smoothing", "centered"],
        "adam" | "adamw" => &["momentum", "dampening", "nesterov", "smoothing", "centered"],
        "rmsprop" => &["dampening", "nesterov", "beta1", "beta2", "amsgrad"],
        _ => &[],
    };
    foreign.contains(&key)
}

impl OptimizerConfig {
    /// Fills in the kind's defaults and checks ranges.
    pub(crate) fn resolve(&mut self) -> Result<(), ConfigIssue> {
        let sgd = self.kind == OptimizerKind::Sgd;
        let adam = matches!(self.kind, OptimizerKind::Adam | OptimizerKind::AdamW);
        let rmsprop = self.kind == OptimizerKind::RmsProp;
        let decay = if self.kind == OptimizerKind::AdamW { 0.01 } else { 0.0 };
        self.weight_decay.get_or_insert(decay);
        let momentum = if sgd { 0.9 } else { 0.0 };
        let either = "sgd and rmsprop";
        kind_key(&mut self.momentum, sgd || rmsprop, momentum, "optimizer.momentum", either)?;
        kind_key(&mut self.dampening, sgd, 0.0, "optimizer.dampening", "sgd")?;
        kind_key(&mut self.nesterov, sgd, false, "optimizer.nesterov", "sgd")?;
        kind_key(&mut self.beta1, adam, 0.9, "optimizer.beta1", "adam and adamw")?;
        kind_key(&mut self.beta2, adam, 0.999, "optimizer.beta2", "adam and adamw")?;
        kind_key(&mut self.amsgrad, adam, false, "optimizer.amsgrad", "adam and adamw")?;
        let all_but_sgd = "adam, adamw and rmsprop";
        kind_key(&mut self.eps, adam || rmsprop, 1e-8, "optimizer.eps", all_but_sgd)?;
        kind_key(&mut self.smoothing, rmsprop, 0.99, "optimizer.smoothing", "rmsprop")?;
        kind_key(&mut self.centered, rmsprop, false, "optimizer.centered", "rmsprop")?;
        self.check()
    }

    fn check(&self) -> Result<(), ConfigIssue> {
        let lr = self.lr;
        // libtorch takes single precision for what multiplies weights of single precision.
        let range = 0.0..=f64::from(f32::MAX);
        let allowed = "a number from 0 to 3.4e38";
        require(range.contains(&lr), "optimizer.lr", format_number(lr), allowed)?;
        let at_least_0 = |value: Option<f64>, key| match value {
            Some(value) => require(range.contains(&value), key, format_number(value), allowed),
            None => Ok(()),
        };
        at_least_0(self.weight_decay, "optimizer.weight_decay")?;
        at_least_0(self.eps, "optimizer.eps")?;
        let fraction = |value: Option<f64>, key| match value {
            Some(value) => require(
                (0.0..1.0).contains(&value),
                key,
                format_number(value),
                "at least 0 and below 1",
            ),
            None => Ok(()),
        };
        fraction(self.momentum, "optimizer.momentum")?;
        fraction(self.dampening, "optimizer.dampening")?;
        fraction(self.beta1, "optimizer.beta1")?;
        fraction(self.beta2, "optimizer.beta2")?;
        fraction(self.smoothing, "optimizer.smoothing")?;
        if self.nesterov == Some(true)
            && (self.momentum == Some(0.0) || self.dampening != Some(0.0))
        {
            return Err(ConfigIssue::new(
                "optimizer.nesterov",
                "`optimizer.nesterov` needs a momentum above 0 and a dampening of 0: set those, or \
                 take nesterov out.",
            ));
        }
        Ok(())
    }
}
