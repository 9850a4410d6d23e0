//! The state, out and in.

use std::collections::{BTreeMap, HashSet};

use tch::Tensor;

use super::Lookahead;
use crate::mutation_detector::frozen;
use crate::range::{MOST_STEPS, check_slow_step_size};
use crate::slow_moments::{SlowMoments, wide_zeros};
use crate::state::{copy_like, expect_finite, expect_like, in_range};
use crate::{Error, InnerOptimizer, MomentumPolicy, Parameter, Result, Schedule, State};

const PHASE: &str = "phase";
const STEPS: &str = "steps";
const SYNCS: &str = "syncs";
const NON_FINITE: &str = "non_finite";
const PERIOD: &str = "k";
const PERIOD_SCHEDULE: &str = "k_schedule";
const FIRST_PERIOD: &str = "k_schedule/from";
const ALPHA: &str = "alpha";
const ALPHA_SCHEDULE: &str = "alpha_schedule";
const ALPHA_USED: &str = "alpha_used";
const SLOW: &str = "slow";
const VELOCITY: &str = "velocity";
const SLOW_MOMENT: &str = "slow_moment";
const INNER: &str = "inner";

impl<O: InnerOptimizer> Lookahead<O> {
    /// All that decides the next steps apart from the fast weights, which are the model's own:
    ///
    /// | entry | what it is |
    /// |---|---|
    /// | `slow/<variable>` | φ |
    /// | `velocity/<variable>` | the outer optimizer's momentum buffer, where it has momentum |
    /// | `slow_moment/<moment>/<variable>` | the slow copy of a moment, where they are pulled back |
    /// | `phase`, `steps`, `syncs`, `non_finite` | inner steps since the last sync, and counts since the start |
    /// | `k`, `k_schedule/from`, `alpha`, `alpha/<group>`, `alpha_used` | the present cycle's k, and the one that was set; α |
    /// | `k_schedule/…`, `alpha_schedule/…` | their schedules, where they have any |
    /// | `inner/…` | the inner optimizer's state |
    ///
    /// Shares no memory with the optimizer.
    ///
    /// # Errors
    /// [`Unreachable`](Error::Unreachable) or [`UnknownKind`](Error::UnknownKind) where the inner
    /// optimizer can't give its own.
    pub fn state(&mut self) -> Result<State> {
        let mut state = State::default();
        self.state_into(&mut state)?;
        Ok(state)
    }

    /// As [`state`](Self::state), over an earlier state, in whose memory the new tensors go where
    /// shapes and types are the same. From the second time on this costs one copy, at the speed of
    /// memory: what a checkpoint needs that is taken while training waits. Tensors of the earlier
    /// state that were moved to the CPU stay there, so that a state on a GPU comes over in one step.
    ///
    /// # Errors
    /// As [`state`](Self::state); what `state` holds is of no use then.
    ///
    /// ```
    /// # use lookahead_core::{Lookahead, State, fused};
    /// # use tch::{Device, nn};
    /// # let vs = nn::VarStore::new(Device::Cpu);
    /// # let _ = vs.root().zeros("w", &[3]);
    /// # let mut opt = Lookahead::builder(fused::sgd(0.9, 0., 0., false)).build(&vs, 0.1).unwrap();
    /// let mut state = State::default();
    /// opt.state_into(&mut state).unwrap();
    /// let memory = state.tensors["slow/w"].data_ptr();
    /// opt.state_into(&mut state).unwrap();
    /// assert_eq!(state.tensors["slow/w"].data_ptr(), memory);
    /// ```
    pub fn state_into(&mut self, state: &mut State) -> Result<()> {
        self.check_invariants()?;
        self.complete_slow_moments()?;
        let mut scratch = std::mem::take(state);
        let parameters = self.inner.parameters();
        for (parameter, slow) in parameters.iter().zip(&self.slow) {
            state.copy_into_reused(format!("{SLOW}/{}", parameter.name), slow, &mut scratch)?;
        }
        for (parameter, velocity) in parameters.iter().zip(&self.velocity) {
            state.copy_into_reused(
                format!("{VELOCITY}/{}", parameter.name),
                velocity,
                &mut scratch,
            )?;
        }
        for ((parameter, moment), slow) in &self.slow_moments {
            let name = &parameters[*parameter].name;
            state.copy_into_reused(format!("{SLOW_MOMENT}/{moment}/{name}"), slow, &mut scratch)?;
        }
        for (key, count) in [
            (PHASE, self.cycle.phase),
            (STEPS, self.cycle.steps),
            (SYNCS, self.cycle.syncs),
            (NON_FINITE, self.non_finite),
            (PERIOD, self.cycle.k),
            // Differs from the present cycle's under a schedule, and if k was set inside the cycle.
            (FIRST_PERIOD, self.settings.config.k),
        ] {
            state.integers.insert(key.to_owned(), to_i64(count));
        }
        state.numbers.insert(ALPHA.to_owned(), self.settings.config.alpha);
        for (group, alpha) in &self.settings.alpha_of_groups {
            state.numbers.insert(format!("{ALPHA}/{group}"), *alpha);
        }
        if let Some(used) = self.alpha_used {
            state.numbers.insert(ALPHA_USED.to_owned(), used);
        }
        self.settings.alpha_schedule.save(ALPHA_SCHEDULE, state);
        self.settings.k_schedule.save(PERIOD_SCHEDULE, state);
        let mut inner = scratch.take_part(INNER);
        self.inner.state_into(&mut inner)?;
        state.nest(INNER, inner);
        Ok(())
    }

    /// Takes on a state that [`state`](Self::state) gave for the same model and the same kind of
    /// inner optimizer, k, α, their schedules and learning rates included. Load the model's fast
    /// weights first: the weights that are in the model now are taken as those that belong to the
    /// state. The policies and the outer momentum are those that this optimizer was built with.
    ///
    /// # Errors
    /// Where an entry is missing, unexpected, out of range, of the wrong shape, or holds NaN or infinity:
    /// it is named, and nothing was changed.
    pub fn load_state(&mut self, state: &State) -> Result<()> {
        self.restore_fast_weights()?;
        self.inner.join_new_parameters()?;
        let renamed = self.under_own_names(state);
        let state = renamed.as_ref().unwrap_or(state);
        let k = in_range(state, PERIOD, 1, i64::MAX)?;
        // A state taken between the k-th step and its sync has phase k.
        let phase = in_range(state, PHASE, 0, to_i64(k))?;
        let syncs = in_range(state, SYNCS, 0, MOST_STEPS)?;
        let mut settings = self.settings.clone();
        // States of earlier versions lack these, and had a constant k.
        let newer = [STEPS, NON_FINITE, FIRST_PERIOD];
        let (steps, non_finite) = match newer.iter().any(|key| state.integers.contains_key(*key)) {
            true => {
                settings.config.k = in_range(state, FIRST_PERIOD, 1, i64::MAX)?;
                // Each sync came after a step of its own.
                let least = to_i64(syncs).saturating_add(to_i64(phase));
                let steps = in_range(state, STEPS, least, MOST_STEPS)?;
                (steps, in_range(state, NON_FINITE, 0, MOST_STEPS)?)
            }
            false => {
                settings.config.k = k;
                (syncs.saturating_mul(k).saturating_add(phase), 0)
            }
        };

        settings.config.alpha = state.number(ALPHA)?;
        settings.alpha_of_groups = alpha_of_groups(state, self.inner.parameters())?;
        let lost =
            self.settings.alpha_of_groups.iter().find(|(group, _)| {
                settings.alpha_of_groups.iter().all(|(saved, _)| saved != group)
            });
        if let Some((group, _)) = lost {
            return Err(Error::StateMissing { key: format!("{ALPHA}/{group}") });
        }
        settings.alpha_schedule = Schedule::load(ALPHA_SCHEDULE, state)?;
        settings.k_schedule = Schedule::load(PERIOD_SCHEDULE, state)?;
        check_slow_step_size(settings.config.alpha).map_err(|error| error.in_entry(ALPHA))?;
        for (group, alpha) in &settings.alpha_of_groups {
            let key = format!("{ALPHA}/{group}");
            check_slow_step_size(*alpha).map_err(|error| error.in_entry(&key))?;
        }
        let of_alpha = settings.alpha_schedule.check_slow_step_size();
        of_alpha.map_err(|error| error.in_schedule(ALPHA_SCHEDULE))?;
        let of_k = settings.k_schedule.check_period();
        of_k.map_err(|error| error.in_schedule(PERIOD_SCHEDULE))?;
        settings.check()?;
        let alpha_used = state.numbers.get(ALPHA_USED).copied();
        let used = alpha_used.map_or(Ok(()), check_slow_step_size);
        used.map_err(|error| error.in_entry(ALPHA_USED))?;

        let parameters = self.inner.parameters();
        let all = |part: &str| -> Result<Vec<Tensor>> {
            parameters.iter().map(|parameter| read_slow(state, part, parameter)).collect()
        };
        let mut slow = all(SLOW)?;
        // φ of a frozen variable is θ, also where an earlier version had them apart.
        for (i, frozen) in frozen(parameters).into_iter().enumerate() {
            if frozen {
                slow[i] = parameters[i].slow_copy()?;
            }
        }
        let velocity = match settings.config.outer_momentum > 0.0 {
            true => all(VELOCITY)?,
            false => Vec::new(),
        };
        let slow_moments = self.read_slow_moments(state)?;

        let names: HashSet<&str> =
            parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        let pulled = self.slow_moment_keys();
        let of_a_schedule = |key: &str| {
            let schedules =
                [(PERIOD_SCHEDULE, settings.k_schedule), (ALPHA_SCHEDULE, settings.alpha_schedule)];
            schedules.iter().any(|(name, schedule)| schedule.has_entry(name, key))
        };
        state.refuse_unknown(
            |tensor| match tensor.split_once('/') {
                Some((SLOW, name)) => names.contains(name),
                Some((VELOCITY, name)) => !velocity.is_empty() && names.contains(name),
                Some((SLOW_MOMENT, _)) => pulled.contains_key(tensor),
                Some((INNER, _)) => true, // the inner optimizer judges its own
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
        // The last that can fail, and it changes nothing when it does.
        self.inner.load_state(&state.part(INNER)).map_err(|error| error.in_part(INNER))?;

        (self.cycle.k, self.cycle.phase, self.cycle.steps, self.cycle.syncs) =
            (k, phase, steps, syncs);
        (self.settings, self.alpha_used, self.non_finite) = (settings, alpha_used, non_finite);
        (self.slow, self.velocity, self.slow_moments) = (slow, velocity, slow_moments);
        self.slow_version = self.slow_version.wrapping_add(1);
        (self.corrupted, self.refused, self.cycle.dropped) = (None, None, 0);
        self.detector.start_over(self.inner.parameters());
        self.record_versions()
    }

    /// The state with the entries of tied weights under the names that they have here, where they have
    /// others. The inner optimizer's part is for itself to read.
    fn under_own_names(&self, state: &State) -> Option<State> {
        let parameters = self.inner.parameters();
        let own = |(other, i): (String, usize)| (other, parameters[i].name.clone());
        let names: Vec<(String, String)> = self.inner.other_names().into_iter().map(own).collect();
        let moments = self.inner.moment_names().unwrap_or_default();
        let mut heads = vec![SLOW.to_owned(), VELOCITY.to_owned()];
        heads.extend(moments.iter().map(|moment| format!("{SLOW_MOMENT}/{moment}")));
        (!names.is_empty()).then(|| state.under_own_names(&heads, &names))
    }

    /// The names under which a state may have slow moments, and what each is.
    fn slow_moment_keys(&self) -> BTreeMap<String, (usize, &'static str)> {
        if self.settings.config.momentum_policy != MomentumPolicy::Pullback {
            return BTreeMap::new();
        }
        let moments = self.inner.moment_names().unwrap_or_default();
        let parameters = self.inner.parameters().iter().enumerate();
        let all = parameters.flat_map(|(i, parameter)| {
            moments.iter().map(move |moment| {
                (format!("{SLOW_MOMENT}/{moment}/{}", parameter.name), (i, *moment))
            })
        });
        all.collect()
    }

    /// The slow moments in a state: one for each moment that the inner optimizer's part has.
    fn read_slow_moments(&self, state: &State) -> Result<SlowMoments> {
        let mut found = SlowMoments::new();
        for (key, at) in self.slow_moment_keys() {
            let Some(saved) = state.tensors.get(&key) else {
                // Taken for 0, it would pull a moment of another policy's state towards that.
                let moment = format!("/{}/{}", at.1, self.inner.parameters()[at.0].name);
                let of_inner = |key: &String| is_in(key, &[INNER]) && key.ends_with(&moment);
                match state.tensors.keys().any(of_inner) {
                    true => return Err(Error::StateMissing { key }),
                    false => continue,
                }
            };
            let like = wide_zeros(&self.inner.parameters()[at.0].tensor)?;
            expect_like(&key, saved, &like)?;
            let copy = copy_like(&like, saved)?;
            expect_finite(&key, &copy, false)?;
            found.insert(at, copy);
        }
        Ok(found)
    }
}

/// α of the groups that have one of their own, in a state.
fn alpha_of_groups(state: &State, parameters: &[Parameter]) -> Result<Vec<(usize, f64)>> {
    let mut found = Vec::new();
    for (key, alpha) in &state.numbers {
        let Some((ALPHA, group)) = key.split_once('/') else { continue };
        let exists = |group: &usize| parameters.iter().any(|p| p.group >= *group);
        let group = group.parse().ok().filter(exists);
        let group = group.ok_or_else(|| Error::StateUnexpected { key: key.clone() })?;
        found.push((group, *alpha));
    }
    Ok(found)
}

/// A parameter's slow weights or velocity out of a state, in its layout and on its device.
fn read_slow(state: &State, part: &str, parameter: &Parameter) -> Result<Tensor> {
    let key = format!("{part}/{}", parameter.name);
    let Some(saved) = state.tensors.get(&key) else { return Err(Error::StateMissing { key }) };
    let slow = parameter.slow_copy()?;
    expect_like(&key, saved, &slow)?;
    let copy = copy_like(&slow, saved)?;
    expect_finite(&key, &copy, false)?;
    Ok(copy)
}

fn is_in(key: &str, parts: &[&str]) -> bool {
    key.split_once('/').is_some_and(|(part, _)| parts.contains(&part))
}

/// Counts of steps; more than `i64` holds can't be taken.
fn to_i64(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
