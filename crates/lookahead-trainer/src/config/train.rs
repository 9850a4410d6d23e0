//! How long to train, from which seed, where: `[train]`.

use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};

use super::check::{ConfigIssue, require};
use crate::usage::UsageError;

/// `[train]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training set.
    pub epochs: u64,
    /// Inner steps; where it is given, it decides instead of `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Evaluations on validation data after every so many epochs and at the end; 0 is never.
    pub evaluate_every_epochs: u64,
    /// What of an evaluation on validation data tells better from worse.
    /// Default accuracy, and loss where nothing is classified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_by: Option<Metric>,
    /// Evaluations on validation data without a better one, after which the run ends; 0 is never.
    pub patience: u64,
    /// Fixes weights, dropout, augmentation and order of data.
    pub seed: u64,
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// Threads inside one operation of libtorch; 0 is libtorch's own choice.
    pub threads: u32,
    /// Losses that are read from the device together; 0 is 1 on the CPU and 10 on a GPU.
    pub read_loss_every: u64,
    /// Convolutions on images and weights whose channels lie side by side in memory.
    pub channels_last: bool,
    /// What matrix products and convolutions compute in; variables stay `f32`.
    pub autocast: Autocast,
}

/// What a forward pass and its loss are cast to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Autocast {
    /// Nothing: all is in the variables' type.
    #[default]
    None,
    /// To `bfloat16`, where libtorch's autocast finds that it does no harm.
    Bf16,
}

/// `train.best_by`: what of an evaluation on validation data tells better from worse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The fraction of samples classified right; more is better.
    #[default]
    Accuracy,
    /// The mean loss; less is better.
    Loss,
}

impl Metric {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::Loss => "loss",
        }
    }
}

/// Losses that may wait on the device, at most: a training that has left the numbers is noticed as much
/// later.
const MOST_UNREAD: u64 = 1000;

impl Default for TrainConfig {
    fn default() -> Self {
        let device = "auto".to_owned();
        TrainConfig {
            epochs: 10,
            max_steps: None,
            evaluate_every_epochs: 1,
            best_by: None,
            patience: 0,
            seed: 0,
            device,
            threads: 0,
            read_loss_every: 0,
            channels_last: false,
            autocast: Autocast::None,
        }
    }
}

impl TrainConfig {
    pub(crate) fn resolve(&mut self, task: Task) -> Result<(), ConfigIssue> {
        let classifies = task != Task::Quadratic;
        let usual = if classifies { Metric::Accuracy } else { Metric::Loss };
        if *self.best_by.get_or_insert(usual) == Metric::Accuracy && !classifies {
            return Err(ConfigIssue::new(
                "train.best_by",
                "`train.best_by` is accuracy, and nothing is classified here: set it to loss.",
            ));
        }
        require(self.epochs >= 1, "train.epochs", self.epochs, "at least 1")?;
        if let Some(max_steps) = self.max_steps {
            require(max_steps >= 1, "train.max_steps", max_steps, "at least 1")?;
        }
        // The generator of libtorch takes 64 bits, TOML's integers have 63 without the sign.
        let seed = self.seed;
        require(i64::try_from(seed).is_ok(), "train.seed", seed, "at most 9223372036854775807")?;
        let threads = self.threads;
        require(threads <= 1024, "train.threads", threads, "from 0, libtorch's choice, to 1024")?;
        let every = self.read_loss_every;
        let allowed = format!("from 0, 1 on the CPU and 10 on a GPU, to {MOST_UNREAD}");
        require(every <= MOST_UNREAD, "train.read_loss_every", every, &allowed)?;
        let allowed = "`auto`, `cpu`, `cuda` or `cuda:N` with the number of a GPU";
        require(is_device(&self.device), "train.device", &self.device, allowed)
    }

    /// What tells better from worse.
    pub fn best_by(&self) -> Metric {
        self.best_by.unwrap_or_default()
    }

    /// The key that decides how long the training is.
    pub fn deciding_key(&self) -> &'static str {
        if self.max_steps.is_some() { "train.max_steps" } else { "train.epochs" }
    }

    /// Inner steps of the whole training, with so many in an epoch.
    ///
    /// # Errors
    /// A usage error where they can't be counted.
    pub fn total_steps(&self, per_epoch: u64) -> Result<u64, UsageError> {
        if let Some(max_steps) = self.max_steps {
            return Ok(max_steps);
        }
        self.epochs.checked_mul(per_epoch).ok_or_else(|| {
            UsageError::new(format!(
                "`train.epochs` is {}, and with {per_epoch} steps an epoch it must be at most {}: \
                 more steps can't be counted.",
                self.epochs,
                u64::MAX / per_epoch
            ))
        })
    }

    /// Whether validation data is evaluated once `epochs` of them are completed.
    pub fn evaluates_after(&self, epochs: u64) -> bool {
        self.evaluate_every_epochs > 0 && epochs.is_multiple_of(self.evaluate_every_epochs)
    }
}

/// Whether a device has such a name, on this machine or another.
fn is_device(name: &str) -> bool {
    let number = name.strip_prefix("cuda:").and_then(|number| number.parse::<usize>().ok());
    matches!(name, "auto" | "cpu" | "cuda") || number.is_some()
}
