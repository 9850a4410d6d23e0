//! The error of a training whose values are NaN or infinity.

use lookahead_core::NonFinite;

use crate::config::Config;
use crate::config::issue::format_number;

const ROLL_BACK: &str = "; if this happens only now and then, `--set lookahead.non_finite=roll_back` continues \
                         from the slow weights";

/// The training diverged. Its weights are not worth saving.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: the training diverged. {advice}")]
pub struct Diverged {
    what: String,
    lr: String,
    /// Whether no step had been taken, so that none can be the cause.
    at_the_start: bool,
    /// The remedy. [`advise`](Diverged::advise) fits it to the run.
    advice: String,
}

impl Diverged {
    fn of(what: String, lr: f64) -> Self {
        let lr = format_number(lr);
        let advice = format!("Start again with a smaller `optimizer.lr` than {lr}.");
        Diverged { what, lr, at_the_start: false, advice }
    }

    /// The same with advice for the run: its config, and whether it has a checkpoint to resume from.
    #[must_use]
    pub fn advise(self, config: &Config, has_checkpoint: bool) -> Self {
        let optimizer = &config.optimizer;
        let advice = if self.at_the_start {
            "No step had been taken, so look for the cause in the data and in the first weights."
                .to_owned()
        } else if optimizer.number("eps") == Some(0.0) {
            let resume =
                if has_checkpoint { ", or resume from an earlier checkpoint with it" } else { "" };
            format!(
                "`optimizer.eps` is 0, so the optimizer divides 0 by 0 if a gradient has always been 0. Start again \
                 with 1e-8, the default{resume}."
            )
        } else if optimizer.lr == 0.0 {
            "`optimizer.lr` is 0, so no step is the cause. Check the data.".to_owned()
        } else {
            let policy = config.lookahead.as_ref().map(|lookahead| lookahead.non_finite);
            let may_roll_back = policy.is_some_and(|policy| policy != NonFinite::RollBack);
            format!(
                "Start again with a smaller `optimizer.lr` than {}{}{}.",
                self.lr,
                if has_checkpoint { ", or resume from an earlier checkpoint with one" } else { "" },
                if may_roll_back { ROLL_BACK } else { "" },
            )
        };
        Diverged { advice, ..self }
    }

    /// For fast weights that are NaN or infinity after a step.
    pub fn of_weights(name: &str, step: u64, lr: f64) -> Self {
        let what = format!("The fast weights `{name}` hold NaN or infinity after step {step}");
        Diverged::of(what, lr)
    }

    /// For values to be saved that are NaN or infinity.
    pub fn of_saved(name: &str, step: u64, lr: f64) -> Self {
        let what = format!("{name} holds NaN or infinity after step {step}");
        Diverged::of(what, lr)
    }

    /// For a policy that did not help.
    pub fn repeatedly(step: u64, lr: f64) -> Self {
        let what = format!(
            "Values were NaN or infinity {PATIENCE} times without a sync between, up to step {step}"
        );
        Diverged::of(what, lr)
    }
}

/// How often, without a sync between, a loss or weights may be NaN or infinity before a policy that continues
/// gives up.
pub const PATIENCE: u32 = 100;

/// A batch's loss, before its step.
pub const BATCH_LOSS: &str = "The loss";

/// The norm of a step's gradients, before they are clipped by it.
pub const GRADIENT_NORM: &str = "The norm of the gradients";

/// An error unless the loss, or the norm, is finite; `what` names it.
///
/// # Errors
/// [`Diverged`].
pub fn refuse_loss(what: &str, loss: f64, step: u64, lr: f64) -> Result<(), Diverged> {
    if loss.is_finite() {
        return Ok(());
    }
    let diverged = Diverged::of(format!("{what} is {loss} in step {step}"), lr);
    // The first loss is that of the first weights.
    Err(Diverged { at_the_start: step <= 1 && what == BATCH_LOSS, ..diverged })
}
