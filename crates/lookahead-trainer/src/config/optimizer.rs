//! The inner optimizer: `[optimizer]`.

use serde::{Deserialize, Serialize};

use super::issue::{ConfigIssue, format_number, require, resolve_kind_key};

/// `[optimizer]`. The meaning of each key is libtorch's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The inner optimizer.
    pub kind: OptimizerKind,
    /// Learning rate, before the schedule.
    pub lr: f64,
    /// Whether one kernel updates all parameters together, instead of libtorch's own loop.
    pub fused: bool,
    /// Weight decay: decoupled for adamw, a part of the gradient otherwise. Default 0.01 for
    /// adamw, 0 otherwise.
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
    /// adam, adamw, rmsprop: added to the denominator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// adam, adamw: use the maximum of the second moment.
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

impl OptimizerKind {
    fn name(self) -> &'static str {
        match self {
            OptimizerKind::Sgd => "sgd",
            OptimizerKind::Adam => "adam",
            OptimizerKind::AdamW => "adamw",
            OptimizerKind::RmsProp => "rmsprop",
        }
    }
}

/// The keys that only some kinds have.
pub(super) const KIND_KEYS: [(&str, &[&str]); 9] = [
    ("momentum", &["sgd", "rmsprop"]),
    ("dampening", &["sgd"]),
    ("nesterov", &["sgd"]),
    ("beta1", &["adam", "adamw"]),
    ("beta2", &["adam", "adamw"]),
    ("amsgrad", &["adam", "adamw"]),
    ("eps", &["adam", "adamw", "rmsprop"]),
    ("smoothing", &["rmsprop"]),
    ("centered", &["rmsprop"]),
];

/// The value of a key of [`KIND_KEYS`], or its default.
fn resolve_key<T>(
    kind: OptimizerKind,
    key: &str,
    value: &mut Option<T>,
    default: T,
) -> Result<(), ConfigIssue> {
    resolve_kind_key(value, default, ("optimizer", key), &KIND_KEYS, kind.name())
}

impl OptimizerConfig {
    /// Fills in the kind's defaults and checks ranges.
    pub(crate) fn resolve(&mut self) -> Result<(), ConfigIssue> {
        let kind = self.kind;
        let decay = if kind == OptimizerKind::AdamW { 0.01 } else { 0.0 };
        self.weight_decay.get_or_insert(decay);
        let momentum = if kind == OptimizerKind::Sgd { 0.9 } else { 0.0 };
        resolve_key(kind, "momentum", &mut self.momentum, momentum)?;
        resolve_key(kind, "dampening", &mut self.dampening, 0.0)?;
        resolve_key(kind, "nesterov", &mut self.nesterov, false)?;
        resolve_key(kind, "beta1", &mut self.beta1, 0.9)?;
        resolve_key(kind, "beta2", &mut self.beta2, 0.999)?;
        resolve_key(kind, "amsgrad", &mut self.amsgrad, false)?;
        resolve_key(kind, "eps", &mut self.eps, 1e-8)?;
        resolve_key(kind, "smoothing", &mut self.smoothing, 0.99)?;
        resolve_key(kind, "centered", &mut self.centered, false)?;
        self.check()
    }

    fn check(&self) -> Result<(), ConfigIssue> {
        // libtorch takes single precision for what multiplies weights of single precision.
        let largest = f64::from(f32::MAX);
        for (key, value) in [
            ("optimizer.lr", Some(self.lr)),
            ("optimizer.weight_decay", self.weight_decay),
            ("optimizer.eps", self.eps),
        ] {
            let value = value.unwrap_or(0.0);
            let fits = (0.0..=largest).contains(&value);
            require(fits, key, format_number(value), "a number from 0 to 3.4e38")?;
        }
        for (key, value) in [
            ("optimizer.momentum", self.momentum),
            ("optimizer.dampening", self.dampening),
            ("optimizer.beta1", self.beta1),
            ("optimizer.beta2", self.beta2),
            ("optimizer.smoothing", self.smoothing),
        ] {
            let value = value.unwrap_or(0.0);
            let fits = (0.0..1.0).contains(&value);
            require(fits, key, format_number(value), "0 to below 1")?;
        }
        if self.nesterov == Some(true)
            && (self.momentum == Some(0.0) || self.dampening != Some(0.0))
        {
            return Err(ConfigIssue::new(
                "optimizer.nesterov",
                "`optimizer.nesterov` needs a momentum above 0 and a dampening of 0. Set those, or remove \
                 `optimizer.nesterov`.",
            ));
        }
        Ok(())
    }
}
