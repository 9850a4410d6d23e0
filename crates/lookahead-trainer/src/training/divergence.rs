//! A training that has left the numbers: noticed in a loss at once, and in the weights before they
//! are saved, so that no checkpoint of NaN pushes out a good one.

use std::collections::BTreeMap;

use lookahead_core::NonFinite;
use lookahead_run::event::{Event, Warning};
use tch::Tensor;

use super::{Outside, Training};
use crate::config::Config;
use crate::config::check::format_number;
use crate::model::Model;
use crate::timing::Part;

const ROLL_BACK: &str = "; `--set lookahead.non_finite=roll_back` continues from the slow weights where this \
                         happens now and then";

/// The training diverged. There is nothing in its weights that is worth saving.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: the training diverged. {advice}")]
pub struct Diverged {
    what: String,
    lr: String,
    /// Whether no step had been taken: then none can be the cause.
    at_the_start: bool,
    /// What helps. [`advise`](Diverged::advise) fits it to the run.
    advice: String,
}

impl Diverged {
    fn of(what: String, lr: f64) -> Self {
        let lr = format_number(lr);
        let advice = format!("Start again with a smaller `optimizer.lr` than {lr}.");
        Diverged { what, lr, at_the_start: false, advice }
    }

    /// The same with advice that fits the run: its config, whether it has a checkpoint to resume from, and
    /// whether it is the only process, since several know no other policy.
    #[must_use]
    pub fn advise(self, config: &Config, has_checkpoint: bool, is_alone: bool) -> Self {
        let optimizer = &config.optimizer;
        let advice = if self.at_the_start {
            "No step had been taken, so look for the cause in the data and in the weights that it \
             began with."
                .to_owned()
        } else if optimizer.eps == Some(0.0) {
            let resume =
                if has_checkpoint { ", or resume from an earlier checkpoint with it" } else { "" };
            format!(
                "`optimizer.eps` is 0, so the optimizer divides 0 by 0 where a gradient has always been \
                 0. Start again with 1e-8, the default{resume}."
            )
        } else if optimizer.lr == 0.0 {
            "`optimizer.lr` is 0, so no step is the cause: look for it in the data.".to_owned()
        } else {
            let policy = config.lookahead.as_ref().map(|lookahead| lookahead.non_finite);
            let may_roll_back =
                is_alone && policy.is_some_and(|policy| policy != NonFinite::RollBack);
            format!(
                "Start again with a smaller `optimizer.lr` than {}{}{}.",
                self.lr,
                if has_checkpoint { ", or resume from an earlier checkpoint with one" } else { "" },
                if may_roll_back { ROLL_BACK } else { "" },
            )
        };
        Diverged { advice, ..self }
    }

    /// A variable's fast weights did so after a step.
    pub fn of_weights(name: &str, step: u64, lr: f64) -> Self {
        let what =
            format!("θ's `{name}` holds values that are no finite numbers after step {step}");
        Diverged::of(what, lr)
    }

    /// Weights that were to be saved did so.
    pub fn of_saved(name: &str, step: u64, lr: f64) -> Self {
        let what = format!("{name} holds values that are no finite numbers after step {step}");
        Diverged::of(what, lr)
    }

    /// Whatever the policy did, it did not help.
    pub fn for_good(step: u64, lr: f64) -> Self {
        let what = format!(
            "Values were no finite numbers {PATIENCE} times without a sync between, up to step {step}"
        );
        Diverged::of(what, lr)
    }
}

/// How often, without a sync between, a loss or weights may be no finite numbers before a policy
/// that goes on all the same gives up.
pub const PATIENCE: u32 = 100;

/// The model's buffers at a moment when all was well. A forward pass over NaN spoils the running
/// statistics of batch normalization for good, and no optimizer knows of them.
#[derive(Debug, Default)]
pub struct SoundBuffers(BTreeMap<String, Tensor>);

impl SoundBuffers {
    /// Those of a checkpoint that was taken inside a cycle.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn of(saved: &BTreeMap<String, Tensor>, device: tch::Device) -> anyhow::Result<Self> {
        let moved =
            |(name, tensor): (&String, &Tensor)| Ok((name.clone(), tensor.f_to_device(device)?));
        Ok(SoundBuffers(saved.iter().map(moved).collect::<anyhow::Result<_>>()?))
    }

    /// Copies of them, for a checkpoint.
    pub fn copies(&self) -> BTreeMap<String, Tensor> {
        self.0.iter().map(|(name, tensor)| (name.clone(), tensor.copy())).collect()
    }

    /// Takes them as they are now.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn take(&mut self, model: &Model) -> anyhow::Result<()> {
        let _guard = tch::no_grad_guard();
        for (name, mut buffer) in model.buffers() {
            match self.0.get_mut(&name) {
                // Statistics that have overflowed are not sound, though the loss may still be.
                Some(kept) if !all_finite(&buffer)? => buffer.f_copy_(kept)?,
                Some(kept) => kept.f_copy_(&buffer)?,
                None => drop(self.0.insert(name, buffer.f_detach()?.copy())),
            }
        }
        Ok(())
    }

    /// Puts them back.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn put_back(&self, model: &Model) -> anyhow::Result<()> {
        let _guard = tch::no_grad_guard();
        for (name, mut buffer) in model.buffers() {
            if let Some(kept) = self.0.get(&name) {
                buffer.f_copy_(kept)?;
            }
        }
        Ok(())
    }
}

impl Training {
    /// What to do about values that are no finite numbers.
    pub(super) fn diverging_policy(&self) -> NonFinite {
        self.config.lookahead.as_ref().map_or(NonFinite::Error, |config| config.non_finite)
    }
}

/// Backward and inner step, of a loss whose value may not be known yet; where the policy meets values
/// that are no finite numbers, what was done about them.
pub(super) fn take_step(
    t: &mut Training,
    loss: &Tensor,
    value: Option<f64>,
) -> anyhow::Result<Option<String>> {
    let policy = t.diverging_policy();
    if let Some(value) = value.filter(|value| !value.is_finite()) {
        match (policy, t.optimizer.lookahead()) {
            (NonFinite::SkipStep, Some(_)) => {}
            (NonFinite::RollBack, Some(lookahead)) => lookahead.roll_back()?,
            _ => refuse_loss(BATCH_LOSS, value, t.step + 1, t.config.optimizer.lr)?,
        }
        t.sound_buffers.put_back(&t.model)?;
        let done = if policy == NonFinite::SkipStep { SKIPPED } else { ROLLED_BACK };
        return Ok(Some(format!("The loss is {value}: {done}")));
    }
    t.optimizer.backward(loss)?;
    t.clock.end(Part::ForwardBackward);
    if t.team.is_data_parallel() {
        let weight = t.batches.current().len() * t.team.size();
        let weight = weight as f64 / t.batches.together() as f64;
        let parameters: Vec<&Tensor> = t.optimizer.parameters().iter().map(|p| &p.tensor).collect();
        t.team.average_gradients(&parameters, weight)?;
        t.team.average_buffers(&t.model)?;
    }
    let taken = t.optimizer.inner_step()?;
    t.clock.end(Part::InnerStep);
    match taken {
        true => Ok(None),
        false => {
            t.sound_buffers.put_back(&t.model)?;
            Ok(Some(format!("A gradient holds values that are no finite numbers: {SKIPPED}")))
        }
    }
}

const SKIPPED: &str = "the step was skipped.";
pub(super) const ROLLED_BACK: &str = "the fast weights went back to the slow ones.";

/// The buffers are kept while all is well: before each step where single steps may be dropped, and
/// where a cycle begins if it may be dropped as a whole.
pub(super) fn keep_sound_buffers(t: &mut Training) -> anyhow::Result<()> {
    match t.diverging_policy() {
        NonFinite::Error => Ok(()),
        // Of the cycle that may be dropped nothing is kept; after a resume inside one from a checkpoint
        // of an earlier version there is nothing else.
        NonFinite::RollBack if t.optimizer.phase() != 0 && !t.sound_buffers.0.is_empty() => Ok(()),
        _ => t.sound_buffers.take(&t.model),
    }
}

/// Tells of what the policy did, and ends the run where nothing came between for too long.
pub(super) fn go_on_or_give_up(
    t: &mut Training,
    what: &str,
    outside: &mut Outside,
) -> anyhow::Result<()> {
    outside.observer.record(t.step, Event::Warning(Warning { message: what.to_owned() }));
    t.diverging += 1;
    match t.diverging < PATIENCE {
        true => Ok(()),
        false => Err(Diverged::for_good(t.step, t.config.optimizer.lr).into()),
    }
}

/// Why a checkpoint is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saving {
    /// Its step has come.
    Routine,
    /// Somebody asked for it, or the run ends.
    Asked,
}

/// Whether a checkpoint can be saved now. Fast weights that the next sync will take back have no place
/// in one: a routine checkpoint is left out then, so that whether checkpoints are saved changes no
/// training, and for one that is asked for they go back at once.
pub(super) fn can_be_saved(
    t: &mut Training,
    outside: &mut Outside,
    saving: Saving,
) -> anyhow::Result<bool> {
    if t.diverging_policy() != NonFinite::RollBack {
        return Ok(true);
    }
    // φ is sound under this policy as long as θ is kept from it.
    let mut sound = true;
    for variable in t.model.vs.variables().values() {
        sound = sound && all_finite(variable)?;
    }
    let (false, Some(lookahead)) = (sound, t.optimizer.lookahead()) else { return Ok(true) };
    let what = "The weights to be saved hold values that are no finite numbers";
    if saving == Saving::Routine {
        let message = format!("{what}: this checkpoint is left out.");
        outside.observer.record(t.step, Event::Warning(Warning { message }));
        return Ok(false);
    }
    lookahead.roll_back()?;
    t.sound_buffers.put_back(&t.model)?;
    go_on_or_give_up(t, &format!("{what}: {ROLLED_BACK}"), outside)?;
    Ok(true)
}

/// A batch's loss, before its step.
pub const BATCH_LOSS: &str = "The loss";

/// An error unless the loss, told as `what` of `step`, is finite.
///
/// # Errors
/// [`Diverged`].
pub fn refuse_loss(what: &str, loss: f64, step: u64, lr: f64) -> Result<(), Diverged> {
    match loss.is_finite() {
        true => Ok(()),
        false => {
            let diverged = Diverged::of(format!("{what} is {loss} in step {step}"), lr);
            // The first loss is of the weights as they were in the beginning.
            Err(Diverged { at_the_start: step <= 1 && what == BATCH_LOSS, ..diverged })
        }
    }
}

fn all_finite(tensor: &Tensor) -> anyhow::Result<bool> {
    let _guard = tch::no_grad_guard();
    Ok(bool::try_from(tensor.f_isfinite()?.f_all()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::data::DataConfig;
    use crate::config::model::ModelConfig;

    /// The statistics of batch normalization after a batch of NaN, and put back.
    #[test]
    fn sound_buffers_return() {
        let options = toml::toml! {
            hidden = [4]
            batch_norm = true
        };
        let config = ModelConfig { kind: "mlp".into(), options };
        let digits = DataConfig { kind: "digits".into(), ..DataConfig::default() };
        let data = crate::data::load(&digits);
        let data = data.unwrap();
        let model = Model::new(&config, &data, tch::Device::Cpu).unwrap();
        let images = data.train.slice(0..8, tch::Device::Cpu).inputs;
        let mut kept = SoundBuffers::default();
        kept.take(&model).unwrap();
        let _ = model.forward(&images, true);
        kept.take(&model).unwrap();
        let copy = |buffers: BTreeMap<String, Tensor>| -> Vec<Tensor> {
            buffers.into_values().map(|buffer| buffer.copy()).collect()
        };
        let sound = copy(model.buffers());
        assert_eq!(sound.len(), 2);
        let _ = model.forward(&(&images * f64::NAN), true);
        assert!(!all_finite(&model.buffers()["fc_bn1.running_mean"]).unwrap());
        kept.put_back(&model).unwrap();
        assert_eq!(copy(model.buffers()), sound);
    }
}
