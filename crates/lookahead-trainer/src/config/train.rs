//! How long to train, from which seed, where: `[train]`.

use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};

use super::issue::{ConfigIssue, require};
use super::key::Key;
use super::kinds::Kinds;
use super::task::{LOSS, TaskConfig};

/// `[train]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training set.
    pub epochs: u64,
    /// Inner steps. If set, it decides instead of `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Batches whose gradients are averaged for one inner step.
    pub accumulate: usize,
    /// The largest L2 norm of all gradients together; 0 is no limit.
    pub clip_grad_norm: f64,
    /// The largest magnitude of an element of a gradient; 0 is no limit.
    pub clip_grad_value: f64,
    /// Epochs from one evaluation on validation data to the next, besides the one at the end; 0 is never.
    pub evaluate_every_epochs: u64,
    /// The metric by which an evaluation on validation data is better than another, or `loss`. Default accuracy, or
    /// loss if nothing is classified. `None` until it is known what is learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_by: Option<String>,
    /// The run stops early after this many evaluations on validation data without improvement; 0 is never.
    pub patience: u64,
    /// Fixes the initial weights, dropout, augmentation and the order of data.
    pub seed: u64,
    /// Patterns for the names of parameters that keep their first values; `*` is any characters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// Threads of libtorch; 0 is libtorch's own choice.
    pub threads: u32,
    /// The number of losses that are read from the device at once; 0 is 1 on the CPU and 10 on a GPU.
    pub read_loss_every: u64,
    /// Whether images and the weights of convolutions are in the memory format channels-last.
    pub channels_last: bool,
    /// The type in which matrix products and convolutions compute; variables stay `f32`.
    pub autocast: AutocastDtype,
}

/// The keys of the section.
pub(super) const KEYS: &[Key] = &[

    Key::whole("epochs", "how often each training sample is used").at_least(1.0),
    Key::whole("max_steps", "inner steps; overrides `epochs`")
        .at_least(1.0)
        .default("none")
        .example("1000"),
    Key::whole(
        "accumulate",
        "average the gradients of N batches of `data.batch_size` samples for one inner step. Steps, also in the log \
         and of k, are inner steps; batch normalization sees single batches",
    )
    .at_least(1.0)
    .example("4"),
    Key::number(
        "clip_grad_norm",
        "scale the gradients before each inner step so that their joint L2 norm is at most this, after averaging \
         them over accumulated batches and data-parallel processes; 0 is off",
    )
    .at_least(0.0)
    .example("1.0"),
    Key::number(
        "clip_grad_value",
        "clip each element of the gradients to ± this, before `clip_grad_norm`; 0 is off",
    )
    .at_least(0.0)
    .example("0.5"),
    Key::whole(
        "evaluate_every_epochs",
        "evaluate θ and φ on the validation set every N epochs and at the end; 0 is never",
    )
    .at_least(0.0),
    Key::choice("best_by", &[], "which validation metric selects the best model")
        .allowed("`loss`, or a metric of the [task](#task)")
        .default("`accuracy` of classes and text, otherwise `loss`")
        .example("\"loss\""),
    Key::whole(
        "patience",
        "stop after N evaluations without an improvement; the result is then the best model ([early \
         stopping](guide.md#early-stopping)). 0 is never",
    )
    .at_least(0.0)
    .example("5"),
    Key::whole("seed", "fixes weights, dropout, augmentation and the order of the data")
        .at_least(0.0)
        .example("1"),
    Key::texts(
        "freeze",
        "parameters that keep their first values exactly; `*` is any characters, dots too, and all others are \
         themselves. Each pattern must match a parameter, and at least one parameter must be left. Frozen \
         parameters have no gradient, no slow weights and no optimizer state. The running statistics of batch \
         normalization are buffers, not parameters: they still follow the data",
    )
    .allowed("patterns for the names of parameters")
    .default("none")
    .example("[\"conv1.*\", \"out.bias\"]"),
    Key::text("device", "where the training runs; `auto` is CUDA if available, else the CPU")
        .allowed("`auto`, `cpu`, `cuda` or `cuda:N` with the number of a GPU")
        .pattern("^(auto|cpu|cuda(:[0-9]+)?)$")
        .example("\"cuda:1\""),
    Key::whole(
        "threads",
        "threads within one operation; 0 is libtorch's choice. Losses repeat bit for bit only with an equal number",
    )
    .at_least(0.0)
    .at_most(1024.0)
    .example("4"),
    Key::whole(
        "read_loss_every",
        "read the losses of N steps from the device together, so that a GPU is not waited for in each step; the log \
         is the same. 0 is 1 on the CPU and 10 on a GPU, or 1 if `lookahead.non_finite` is not `error` or \
         `[watchdog]` rolls back",
    )
    // NaN in a loss is noticed that many steps late.
    .at_least(0.0)
    .at_most(1000.0)
    .example("10"),
    Key::switch(
        "channels_last",
        "cnn, resnet: store images and convolution weights with the channels of a pixel next to each other. Faster \
         on many machines, equal up to rounding",
    )
    .example("true"),
    Key::choice(
        "autocast",
        &["none", "bf16"],
        "`bf16` computes matrix products and convolutions in bfloat16. Weights and losses stay f32. On a processor \
         without AVX-512, an LSTM computes in f32",
    )
    .example("\"bf16\""),
];

/// The type to which a forward pass and its loss are cast.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutocastDtype {
    /// No cast.
    #[default]
    None,
    /// `bfloat16`, for the operations that libtorch's autocast considers safe.
    Bf16,
}

impl Default for TrainConfig {
    fn default() -> Self {
        let device = "auto".to_owned();
        TrainConfig {
            epochs: 10,
            max_steps: None,
            accumulate: 1,
            clip_grad_norm: 0.0,
            clip_grad_value: 0.0,
            evaluate_every_epochs: 1,
            best_by: None,
            patience: 0,
            seed: 0,
            freeze: Vec::new(),
            device,
            threads: 0,
            read_loss_every: 0,
            channels_last: false,
            autocast: AutocastDtype::None,
        }
    }
}

impl TrainConfig {
    /// Fills in defaults and checks ranges.
    pub(crate) fn resolve(
        &mut self,
        kinds: &Kinds,
        measured: &TaskConfig,
        task: Option<Task>,
    ) -> Result<(), ConfigIssue> {
        self.resolve_best_by(kinds, measured, task)?;
        // The generator of libtorch takes 64 bits, TOML's integers have 63 without the sign.
        let seed = self.seed;
        require(i64::try_from(seed).is_ok(), "train.seed", seed, "9223372036854775807 or less")?;
        let allowed = "`auto`, `cpu`, `cuda` or `cuda:N` with the number of a GPU";
        let allowed = match device_meant(&self.device) {
            Some(meant) => format!("`{meant}`; all devices are {allowed}"),
            None => allowed.to_owned(),
        };
        require(is_device(&self.device), "train.device", &self.device, &allowed)
    }

    /// Fills in the default of `best_by` once it is known what is learned, and checks it.
    pub(super) fn resolve_best_by(
        &mut self,
        kinds: &Kinds,
        measured: &TaskConfig,
        task: Option<Task>,
    ) -> Result<(), ConfigIssue> {
        self.best_by = measured.best_by(self.best_by.as_deref(), kinds, task)?;
        Ok(())
    }

    /// The metric by which an evaluation is better than another, or `loss`.
    pub fn best_by(&self) -> &str {
        self.best_by.as_deref().unwrap_or(LOSS)
    }

    /// The key that sets the length of the training.
    pub fn deciding_key(&self) -> &'static str {
        if self.max_steps.is_some() { "train.max_steps" } else { "train.epochs" }
    }

    /// Inner steps of the whole training, with `per_epoch` steps in an epoch.
    ///
    /// # Errors
    /// A sentence, if they can't be counted.
    pub fn total_steps(&self, per_epoch: u64) -> Result<u64, String> {
        if let Some(max_steps) = self.max_steps {
            return Ok(max_steps);
        }
        self.epochs.checked_mul(per_epoch).ok_or_else(|| {
            format!(
                "`train.epochs` is {}, more steps than can be counted. With {per_epoch} steps per epoch, use at \
                 most {}.",
                self.epochs,
                u64::MAX / per_epoch
            )
        })
    }

    /// Whether the model is evaluated on validation data after `epochs` epochs.
    pub fn evaluates_after(&self, epochs: u64) -> bool {
        self.evaluate_every_epochs > 0 && epochs.is_multiple_of(self.evaluate_every_epochs)
    }
}

/// The device that other programs call by this name.
pub(super) fn device_meant(name: &str) -> Option<String> {
    let name = name.to_lowercase();
    let (kind, number) = name.split_once(':').unwrap_or((&name, ""));
    let numbered = |number: &str| number.parse::<usize>().is_ok().then(|| format!("cuda:{number}"));
    match kind {
        "cpu" => Some("cpu".to_owned()),
        "gpu" | "cuda" | "nvidia" if number.is_empty() => Some("cuda".to_owned()),
        "gpu" | "cuda" => numbered(number),
        _ => numbered(kind.trim_start_matches("cuda").trim_start_matches("gpu")),
    }
}

/// Whether this is the name of a device, on this machine or another.
fn is_device(name: &str) -> bool {
    let number = name.strip_prefix("cuda:").and_then(|number| number.parse::<usize>().ok());
    matches!(name, "auto" | "cpu" | "cuda") || number.is_some()
}
