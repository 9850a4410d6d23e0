//! Losses, gradients and weights that are NaN or infinity: an error, or a step or a cycle that is dropped,
//! as `lookahead.non_finite` says.

use lookahead_core::NonFinite;

use super::log::Events;
use crate::train::diverged::{BATCH_LOSS, Diverged, PATIENCE, refuse_loss};
use crate::train::last_good::all_finite;
use crate::train::setup::Training;

const SKIPPED: &str = "the step was skipped.";
const ROLLED_BACK: &str = "the fast weights went back to the slow ones.";

/// Keeps the buffers while all is well: before each step if single steps may be dropped, and where a cycle
/// begins if it may be dropped as a whole.
pub(super) fn before_loss(t: &mut Training) -> anyhow::Result<()> {
    match t.non_finite_policy() {
        NonFinite::Error => Ok(()),
        // Of the cycle that may be dropped nothing is kept; after a resume inside one from a checkpoint
        // of an earlier version there is nothing else.
        NonFinite::RollBack if t.optimizer.phase() != 0 && !t.last_good.is_empty() => Ok(()),
        _ => t.last_good.take(&t.model),
    }
}

/// Why a step is not taken, if its loss is known to be NaN or infinity and the policy is to continue.
///
/// # Errors
/// [`Diverged`] under the other policy.
pub(super) fn after_loss(t: &mut Training, value: Option<f64>) -> anyhow::Result<Option<String>> {
    let Some(value) = value.filter(|value| !value.is_finite()) else { return Ok(None) };
    let policy = t.non_finite_policy();
    match (policy, t.optimizer.lookahead()) {
        (NonFinite::SkipStep, Some(_)) => {}
        (NonFinite::RollBack, Some(lookahead)) => lookahead.roll_back()?,
        _ => refuse_loss(BATCH_LOSS, value, t.state.step + 1, t.config.optimizer.lr)?,
    }
    t.last_good.put_back(&t.model)?;
    let done = if policy == NonFinite::SkipStep { SKIPPED } else { ROLLED_BACK };
    Ok(Some(format!("The loss is {value}: {done}")))
}

/// Why a step was not taken, if its gradients were NaN or infinity.
pub(super) fn after_gradients(t: &mut Training, taken: bool) -> anyhow::Result<Option<String>> {
    if taken {
        return Ok(None);
    }
    t.last_good.put_back(&t.model)?;
    Ok(Some(format!("A gradient holds values that are no finite numbers: {SKIPPED}")))
}

/// After a sync in place of which θ went back to φ.
///
/// # Errors
/// As [`check_divergence_limit`].
pub(super) fn after_roll_back(t: &mut Training, events: &mut Events) -> anyhow::Result<()> {
    t.last_good.put_back(&t.model)?;
    let what = format!("The weights hold values that are no finite numbers: {ROLLED_BACK}");
    check_divergence_limit(t, events, what)
}

/// Warns of what the policy did, and ends the run if that happened too often without a sync between.
///
/// # Errors
/// [`Diverged`].
pub(super) fn check_divergence_limit(
    t: &mut Training,
    events: &mut Events,
    what: String,
) -> anyhow::Result<()> {
    events.warn(t.state.step, what);
    t.state.diverging += 1;
    if t.state.diverging < PATIENCE {
        return Ok(());
    }
    Err(Diverged::repeatedly(t.state.step, t.config.optimizer.lr).into())
}

/// Why a checkpoint is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saving {
    /// Its step has come.
    Routine,
    /// It was requested, or the run ends.
    Requested,
}

/// Whether a checkpoint can be saved now. Fast weights that the next sync will take back have no place
/// in one: a routine checkpoint is left out then, so that whether checkpoints are saved changes no
/// training, and for one that is requested they go back at once.
///
/// # Errors
/// As [`check_divergence_limit`].
pub(super) fn can_be_saved(
    t: &mut Training,
    events: &mut Events,
    saving: Saving,
) -> anyhow::Result<bool> {
    if t.non_finite_policy() != NonFinite::RollBack {
        return Ok(true);
    }
    // φ is finite under this policy as long as θ is kept from it.
    let mut finite = true;
    for variable in t.model.vs.variables().values() {
        finite = finite && all_finite(variable)?;
    }
    let (false, Some(lookahead)) = (finite, t.optimizer.lookahead()) else { return Ok(true) };
    let what = "The weights to be saved hold values that are no finite numbers";
    if saving == Saving::Routine {
        events.warn(t.state.step, format!("{what}: this checkpoint is left out."));
        return Ok(false);
    }
    lookahead.roll_back()?;
    t.last_good.put_back(&t.model)?;
    check_divergence_limit(t, events, format!("{what}: {ROLLED_BACK}"))?;
    Ok(true)
}
