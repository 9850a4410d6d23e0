//! Saving and loading the optimizer's state.

use std::collections::{BTreeMap, HashSet};

use tch::Tensor;

use super::{Cycle, Lookahead};
use crate::inner::own_names;
use crate::mutation_detector::frozen;
use crate::range::{MOST_ALPHA, MOST_STEPS, check_slow_step_size};
use crate::settings::replaced;
use crate::slow_moments::{MomentKey, SlowMoments, wide_zeros};
use crate::state::{copy_like, expect_finite, expect_like, in_range};
use crate::{Error, InnerOptimizer, Parameter, Replaced, Result, Schedule, State};

pub(super) const PHASE: &str = "phase";
const STEPS: &str = "steps";
const SYNCS: &str = "syncs";
const NON_FINITE: &str = "non_finite";
const PERIOD: &str = "k";
const PERIOD_SCHEDULE: &str = "k_schedule";
const FIRST_PERIOD: &str = "k_schedule/from";
pub(super) const ALPHA: &str = "alpha";
const ALPHA_SCHEDULE: &str = "alpha_schedule";
const ALPHA_USED: &str = "alpha_used";
pub(super) const SLOW: &str = "slow";
pub(super) const VELOCITY: &str = "velocity";
pub(super) const SLOW_MOMENT: &str = "slow_moment";
pub(super) const SLOW_STATISTIC: &str = "slow_statistic";
pub(super) const INNER: &str = "inner";

impl<O: InnerOptimizer> Lookahead<O> {
    /// Everything that the next steps depend on, except the fast weights, which belong to the model. Shares no
    /// memory with the optimizer.
    ///
    /// | entry | what it is |
    /// |---|---|
    /// | `slow/<variable>` | φ |
    /// | `velocity/<variable>` | the outer optimizer's momentum buffer, if it has momentum |
    /// | `slow_moment/<moment>/<variable>` | the slow copy of a moment, if they are pulled back |
    /// | `slow_statistic/<buffer>` | the slow copy of a running statistic, if they are interpolated |
    /// | `phase`, `steps`, `syncs`, `non_finite` | inner steps since the last sync, and counts since the start |
    /// | `k`, `k_schedule/from`, `alpha`, `alpha/<group>`, `alpha_used` | the present cycle's k, and the one that was set; α |
    /// | `k_schedule/…`, `alpha_schedule/…` | their schedules, if any |
    /// | `inner/…` | the inner optimizer's state |
    ///
    /// # Errors
    /// [`Unreachable`](Error::Unreachable) or [`UnknownKind`](Error::UnknownKind) if the inner optimizer can't
    /// give its state.
    pub fn state(&mut self) -> Result<State> {
        let mut state = State::default();
        self.state_into(&mut state)?;
        Ok(state)
    }

    /// [`state`](Self::state) into an earlier state, whose memory the new tensors reuse if shapes and types
    /// agree. From the second time on it costs one copy, at the speed of memory: for checkpoints that the
    /// training waits for. Tensors that were moved to the CPU stay there, so that a state on a GPU is
    /// transferred in one step.
    ///
    /// # Errors
    /// As [`state`](Self::state); `state` is incomplete then.
    pub fn state_into(&mut self, state: &mut State) -> Result<()> {
        self.check_invariants()?;
        self.complete_slow_moments()?;
        let mut scratch = std::mem::take(state);
        let parameters = self.inner.parameters();
        for (part, tensors) in [(SLOW, &self.slow), (VELOCITY, &self.velocity)] {
            for (parameter, tensor) in parameters.iter().zip(tensors) {
                let key = format!("{part}/{}", parameter.name);
                state.copy_into_reused(key, tensor, &mut scratch)?;
            }
        }
        for (key, slow) in &self.slow_moments {
            state.copy_into_reused(slow_moment_key(parameters, *key), slow, &mut scratch)?;
        }
        for (name, slow) in self.slow_statistics.slow() {
            state.copy_into_reused(format!("{SLOW_STATISTIC}/{name}"), slow, &mut scratch)?;
        }
        self.settings_into(state);
        let mut inner = scratch.take_part(INNER);
        self.inner.state_into(&mut inner)?;
        state.nest(INNER, inner);
        Ok(())
    }

    /// Adds all integers and numbers but those of the inner optimizer.
    pub(super) fn settings_into(&self, state: &mut State) {
        for (key, count) in [
            (PHASE, self.cycle.phase),
            (STEPS, self.cycle.steps),
            (SYNCS, self.cycle.syncs),
            (NON_FINITE, self.non_finite_count),
            (PERIOD, self.cycle.k),
            // Differs from the present cycle's k under a schedule, or if k was set inside the cycle.
            (FIRST_PERIOD, self.settings.config.k),
        ] {
            state.integers.insert(key.to_owned(), to_i64(count));
        }
        state.numbers.insert(ALPHA.to_owned(), self.settings.config.alpha);
        for (group, alpha) in &self.settings.alpha_of_groups {
            state.numbers.insert(format!("{ALPHA}/{group}"), *alpha);
        }
        if let Some(used) = self.cycle.alpha_used {
            state.numbers.insert(ALPHA_USED.to_owned(), used);
        }
        self.settings.config.alpha_schedule.save(ALPHA_SCHEDULE, state);
        self.settings.config.k_schedule.save(PERIOD_SCHEDULE, state);
    }

    /// Restores a [`state`](Self::state) of the same model and kind of inner optimizer, including k, α, their
    /// schedules and learning rates, and returns which of these it replaced: those of the builder, if they differ.
    /// To keep the builder's, set them again, for example with [`set_k`](Self::set_k). The policies and the outer
    /// momentum are those of this optimizer. Load the model's fast weights first: the weights in the model now are
    /// taken as those of the state.
    ///
    /// # Errors
    /// If an entry is missing, unexpected, out of range, of the wrong shape, or holds NaN or infinity. The
    /// error names it, and nothing was changed.
    pub fn load_state(&mut self, state: &State) -> Result<Vec<Replaced>> {
        self.restore_fast_weights()?;
        self.inner.join_new_parameters()?;
        let renamed = self.under_own_names(state);
        let state = renamed.as_ref().unwrap_or(state);

        let mut settings = self.settings.clone();
        self.slow_statistics.join_new()?;
        let (mut cycle, non_finite);
        (cycle, non_finite, settings.config.k) = read_counts(state)?;
        let most = settings.config.largest_alpha();
        settings.config.alpha = read_alpha(state, ALPHA, most)?;
        settings.alpha_of_groups = alphas_of_groups(state, self.group_count(), most)?;
        for (group, _) in &self.settings.alpha_of_groups {
            if settings.alpha_of_groups.iter().all(|(saved, _)| saved != group) {
                return Err(Error::StateMissing { key: format!("{ALPHA}/{group}") });
            }
        }
        settings.config.alpha_schedule = Schedule::load(ALPHA_SCHEDULE, state)?;
        settings.config.k_schedule = Schedule::load(PERIOD_SCHEDULE, state)?;
        let of_alpha = settings.config.alpha_schedule.check_slow_step_size(most);
        of_alpha.map_err(|error| error.in_schedule(ALPHA_SCHEDULE))?;
        let of_k = settings.config.k_schedule.check_period();
        of_k.map_err(|error| error.in_schedule(PERIOD_SCHEDULE))?;
        settings.check()?;
        let used = state.numbers.contains_key(ALPHA_USED);
        cycle.alpha_used = used.then(|| read_alpha(state, ALPHA_USED, MOST_ALPHA)).transpose()?;

        let parameters = self.inner.parameters();
        let all = |part: &str| -> Result<Vec<Tensor>> {
            parameters.iter().map(|parameter| read_slow(state, part, parameter)).collect()
        };
        let mut slow = all(SLOW)?;
        // φ of a frozen variable is θ, even if an earlier version saved another.
        for (i, frozen) in frozen(parameters).into_iter().enumerate() {
            if frozen {
                slow[i] = parameters[i].slow_copy()?;
            }
        }
        let has_velocity = settings.config.outer_momentum > 0.0;
        let velocity = if has_velocity { all(VELOCITY)? } else { Vec::new() };
        let slow_moments = self.read_slow_moments(state)?;
        let statistics = self.slow_statistics.slow().map(|(name, like)| {
            let key = format!("{SLOW_STATISTIC}/{name}");
            let Some(saved) = state.tensors.get(&key) else {
                return Err(Error::StateMissing { key });
            };
            read_like(&key, saved, like)
        });
        let statistics = statistics.collect::<Result<Vec<_>>>()?;

        let names: HashSet<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
        let pulled = self.slow_moment_keys();
        let schedules = [
            (PERIOD_SCHEDULE, settings.config.k_schedule),
            (ALPHA_SCHEDULE, settings.config.alpha_schedule),
        ];
        let of_a_schedule =
            |key: &str| schedules.iter().any(|(name, schedule)| schedule.has_entry(name, key));
        state.refuse_unknown(
            |tensor| match tensor.split_once('/') {
                Some((SLOW, name)) => names.contains(name),
                Some((VELOCITY, name)) => has_velocity && names.contains(name),
                Some((SLOW_MOMENT, _)) => pulled.contains_key(tensor),
                Some((SLOW_STATISTIC, name)) => self.slow_statistics.contains(name),
                Some((INNER, _)) => true, // the inner optimizer checks its own
                _ => false,
            },
            |integer| {
                matches!(integer, PHASE | STEPS | SYNCS | NON_FINITE | PERIOD | FIRST_PERIOD)
                    || is_in(integer, &[INNER])
                    || of_a_schedule(integer)
            },
            |number| {
                matches!(number, ALPHA | ALPHA_USED)
                    || is_in(number, &[INNER, ALPHA])
                    || of_a_schedule(number)
            },
        )?;
        // An optimizer without readable learning rates has none to compare.
        let rates_before = self.inner.learning_rates().unwrap_or_default();
        // The last call that can fail; it changes nothing if it does.
        self.inner.load_state(&state.part(INNER)).map_err(|error| error.in_part(INNER))?;

        let rates = self.inner.learning_rates().unwrap_or_default();
        let replaced = replaced((&self.settings, &rates_before), (&settings, &rates));
        (self.cycle, self.settings) = (cycle, settings);
        self.non_finite_count = non_finite;
        (self.slow, self.velocity, self.slow_moments) = (slow, velocity, slow_moments);
        self.slow_statistics.set_slow(statistics);
        self.slow_version = self.slow_version.wrapping_add(1);
        (self.corrupted, self.refused) = (None, None);
        self.detector.start_over(self.inner.parameters());
        self.record_versions()?;
        Ok(replaced)
    }

    /// The state with entries of tied weights under the names that they have here. The inner optimizer renames
    /// its own part.
    pub(super) fn under_own_names(&self, state: &State) -> Option<State> {
        let moments = self.inner.moment_names().unwrap_or_default();
        let mut heads = vec![SLOW.to_owned(), VELOCITY.to_owned()];
        heads.extend(moments.iter().map(|moment| format!("{SLOW_MOMENT}/{moment}")));
        state.under_own_names(&heads, &own_names(&self.inner))
    }

    /// The keys of all slow moments that a state may have.
    pub(super) fn slow_moment_keys(&self) -> BTreeMap<String, MomentKey> {
        let parameters = self.inner.parameters();
        let moments = |i| self.inner.moment_names_of(i).filter(|_| self.pulls_back());
        let names = |i| moments(i).unwrap_or_default().into_iter().map(move |name| (i, name));
        let keys = (0..parameters.len()).flat_map(names);
        keys.map(|key| (slow_moment_key(parameters, key), key)).collect()
    }

    /// The slow moments in a state: one for each moment in the inner optimizer's part.
    fn read_slow_moments(&self, state: &State) -> Result<SlowMoments> {
        let mut found = SlowMoments::new();
        for (key, at) in self.slow_moment_keys() {
            let parameter = &self.inner.parameters()[at.0];
            let Some(saved) = state.tensors.get(&key) else {
                // Using 0 instead would pull the moment of a state with another policy towards 0.
                let moment = format!("/{}/{}", at.1, parameter.name);
                let of_inner = |key: &String| is_in(key, &[INNER]) && key.ends_with(&moment);
                if state.tensors.keys().any(of_inner) {
                    return Err(Error::StateMissing { key });
                }
                continue;
            };
            found.insert(at, read_like(&key, saved, &wide_zeros(&parameter.tensor)?)?);
        }
        Ok(found)
    }
}

/// The cycle, the count of NaN and infinity, and the k at the beginning of its schedule.
fn read_counts(state: &State) -> Result<(Cycle, u64, u64)> {
    let k = in_range(state, PERIOD, 1, i64::MAX)?;
    // A state taken between the k-th step and its sync has phase k.
    let phase = in_range(state, PHASE, 0, to_i64(k))?;
    let syncs = in_range(state, SYNCS, 0, MOST_STEPS)?;
    let cycle = |steps| Cycle { k, phase, steps, syncs, ..Cycle::default() };
    // States of earlier versions have none of these, and had a constant k.
    if [STEPS, NON_FINITE, FIRST_PERIOD].iter().all(|key| !state.integers.contains_key(*key)) {
        return Ok((cycle(syncs.saturating_mul(k).saturating_add(phase)), 0, k));
    }
    let first_k = in_range(state, FIRST_PERIOD, 1, i64::MAX)?;
    // Each sync has at least one step.
    let least = to_i64(syncs).saturating_add(to_i64(phase));
    let steps = in_range(state, STEPS, least, MOST_STEPS)?;
    Ok((cycle(steps), in_range(state, NON_FINITE, 0, MOST_STEPS)?, first_k))
}

/// An α of at most `most`.
fn read_alpha(state: &State, key: &str, most: f64) -> Result<f64> {
    let alpha = state.number(key)?;
    check_slow_step_size(alpha, most).map_err(|error| error.in_entry(key))?;
    Ok(alpha)
}

/// α of the groups with their own.
fn alphas_of_groups(state: &State, groups: usize, most: f64) -> Result<Vec<(usize, f64)>> {
    let mut found = Vec::new();
    for key in state.numbers.keys() {
        let Some((ALPHA, group)) = key.split_once('/') else { continue };
        let group = group.parse().ok().filter(|group| *group < groups);
        let group = group.ok_or_else(|| Error::StateUnexpected { key: key.clone() })?;
        found.push((group, read_alpha(state, key, most)?));
    }
    Ok(found)
}

/// A parameter's slow weights or velocity.
fn read_slow(state: &State, part: &str, parameter: &Parameter) -> Result<Tensor> {
    let key = format!("{part}/{}", parameter.name);
    let Some(saved) = state.tensors.get(&key) else { return Err(Error::StateMissing { key }) };
    read_like(&key, saved, &parameter.slow_copy()?)
}

/// A copy in the layout and on the device of `like`, checked.
fn read_like(key: &str, saved: &Tensor, like: &Tensor) -> Result<Tensor> {
    expect_like(key, saved, like)?;
    let copy = copy_like(like, saved)?;
    expect_finite(key, &copy, false)?;
    Ok(copy)
}

fn slow_moment_key(parameters: &[Parameter], (parameter, moment): MomentKey) -> String {
    format!("{SLOW_MOMENT}/{moment}/{}", parameters[parameter].name)
}

fn is_in(key: &str, parts: &[&str]) -> bool {
    key.split_once('/').is_some_and(|(part, _)| parts.contains(&part))
}

/// Saturates: no count reaches `i64::MAX`.
fn to_i64(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
