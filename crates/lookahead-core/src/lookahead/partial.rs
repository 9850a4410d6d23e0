//! A state of another model: what fits of it.

use std::collections::HashSet;

use super::Lookahead;
use super::saving::{ALPHA, INNER, PHASE, SLOW, SLOW_MOMENT, SLOW_STATISTIC, VELOCITY};
use crate::inner::shapes;
use crate::slow_moments::wide_zeros;
use crate::state::copy_like;
use crate::{InnerOptimizer, Result, State, Taken};

impl<O: InnerOptimizer> Lookahead<O> {
    /// Restores what fits of a [`state`](Self::state) of another model, for example of one with a layer less or more, and
    /// returns what was taken. φ of a variable that the state lacks, or has in another shape, is its present value, and
    /// its moments begin as those of a new variable. Load the model's weights first.
    ///
    /// The cycle's phase, all counts, k, α, schedules and learning rates are the state's. Of a state with another kind
    /// of inner optimizer, φ and the cycle are taken, and the inner optimizer starts fresh.
    ///
    /// ```
    /// use lookahead_core::{Lookahead, fused};
    /// use tch::{Device, Kind, nn};
    ///
    /// let build = |vs: &nn::VarStore| Lookahead::builder(fused::Adam::default()).build(vs, 0.1);
    /// let small = nn::VarStore::new(Device::Cpu);
    /// let w = small.root().ones("w", &[2]);
    /// let mut opt = build(&small)?;
    /// opt.backward_step(&w.square().sum(Kind::Float))?;
    ///
    /// let grown = nn::VarStore::new(Device::Cpu);
    /// let (_, _) = (grown.root().ones("w", &[2]), grown.root().ones("head", &[3]));
    /// let taken = build(&grown)?.load_partial(&opt.state()?)?;
    /// assert_eq!(
    ///     taken.to_string(),
    ///     "Variables that continue from the state: 1\nNew (1): `head` [3]"
    /// );
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`load_state`](Self::load_state), for an entry that is out of range, has another element type, or holds NaN or
    /// infinity, and for an inner optimizer of the same kind with other options. Nothing was changed then.
    pub fn load_partial(&mut self, state: &State) -> Result<Taken> {
        let (fits, mut taken) = self.partial_state(state)?;
        taken.replaced = self.load_state(&fits)?;
        taken.complete(shapes(&self.inner));
        Ok(taken)
    }

    /// What fits of the state, completed by what the present model needs.
    pub(super) fn what_fits(&mut self, state: &State) -> Result<(State, Taken)> {
        self.restore_fast_weights()?;
        self.inner.join_new_parameters()?;
        let renamed = self.under_own_names(state);
        let state = renamed.as_ref().unwrap_or(state);
        let (inner, of_inner) = self.inner.partial_state(&state.part(INNER))?;
        let (mut fits, mut taken) = (State::default(), Taken::default());
        self.fit_settings(state, &mut fits);
        self.fit_slow(state, &mut fits, &mut taken)?;
        self.fit_slow_moments(state, &inner, &mut fits)?;
        self.fit_slow_statistics(state, &mut fits);
        self.note_rest(state, &mut taken);
        taken.nest(INNER, of_inner);
        fits.nest(INNER, inner);
        Ok((fits, taken))
    }

    /// Counts, k, α and schedules: all of the state's, or all present ones if it has none.
    fn fit_settings(&self, state: &State, fits: &mut State) {
        let mut own = State::default();
        self.settings_into(&mut own);
        let from = if state.integers.contains_key(PHASE) { state } else { &own };
        let is_own = |key: &str| key.split_once('/').is_none_or(|(part, _)| part != INNER);
        let integers = from.integers.iter().filter(|(key, _)| is_own(key));
        fits.integers = integers.map(|(key, value)| (key.clone(), *value)).collect();
        let groups = self.group_count();
        let exists = |key: &str| match key.split_once('/') {
            Some((ALPHA, group)) => group.parse().is_ok_and(|group: usize| group < groups),
            _ => is_own(key),
        };
        let numbers = from.numbers.iter().filter(|(key, _)| exists(key));
        fits.numbers = numbers.map(|(key, value)| (key.clone(), *value)).collect();
        for (group, alpha) in &self.settings.alpha_of_groups {
            fits.numbers.entry(format!("{ALPHA}/{group}")).or_insert(*alpha);
        }
    }

    /// φ, and the outer momentum.
    fn fit_slow(&self, state: &State, fits: &mut State, taken: &mut Taken) -> Result<()> {
        let has_velocity = self.settings.config.outer_momentum > 0.0;
        for parameter in self.inner.parameters() {
            let name = &parameter.name;
            let find = |part: &str| state.tensors.get(&format!("{part}/{name}"));
            let shape = parameter.tensor.size();
            let slow = find(SLOW).filter(|slow| taken.fits(name, slow, &shape));
            let velocity = find(VELOCITY).filter(|velocity| {
                slow.is_some() && velocity.defined() && velocity.size() == shape
            });
            if slow.is_some() {
                taken.variables.insert(name.clone());
            }
            let slow =
                slow.map_or_else(|| parameter.slow_copy(), |slow| Ok(slow.shallow_clone()))?;
            if has_velocity {
                let zeros = || -> Result<_> { Ok(parameter.slow_copy()?.f_zeros_like()?) };
                let velocity = velocity.map_or_else(zeros, |old| Ok(old.shallow_clone()))?;
                fits.tensors.insert(format!("{VELOCITY}/{name}"), velocity);
            }
            fits.tensors.insert(format!("{SLOW}/{name}"), slow);
        }
        Ok(())
    }

    /// The slow copies of the moments that are taken; one that the state lacks begins at its moment.
    fn fit_slow_moments(&self, state: &State, inner: &State, fits: &mut State) -> Result<()> {
        for (key, (i, moment)) in self.slow_moment_keys() {
            let parameter = &self.inner.parameters()[i];
            let end = format!("/{moment}/{}", parameter.name);
            let Some((_, now)) = inner.tensors.iter().find(|(key, _)| key.ends_with(&end)) else {
                continue;
            };
            let slow = match state.tensors.get(&key) {
                Some(slow) => slow.shallow_clone(),
                None => copy_like(&wide_zeros(&parameter.tensor)?, now)?,
            };
            fits.tensors.insert(key, slow);
        }
        Ok(())
    }

    /// The slow running statistics; one that the state lacks begins at its present value.
    fn fit_slow_statistics(&self, state: &State, fits: &mut State) {
        for (name, own) in self.slow_statistics.slow() {
            let key = format!("{SLOW_STATISTIC}/{name}");
            let saved = state
                .tensors
                .get(&key)
                .filter(|saved| saved.defined() && saved.size() == own.size());
            fits.tensors.insert(key, saved.unwrap_or(own).shallow_clone());
        }
    }

    /// Notes the variables that the model lacks, and other entries.
    fn note_rest(&self, state: &State, taken: &mut Taken) {
        let parameters = self.inner.parameters();
        let own: HashSet<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
        let moments = self.inner.moment_names().unwrap_or_default();
        for (key, tensor) in &state.tensors {
            let name = match key.split_once('/') {
                Some((INNER, _)) => continue,
                Some((SLOW_STATISTIC, name)) if self.slow_statistics.contains(name) => continue,
                Some((SLOW | VELOCITY, name)) => Some(name),
                Some((SLOW_MOMENT, rest)) => {
                    moments.iter().find_map(|moment| rest.strip_prefix(moment)?.strip_prefix('/'))
                }
                _ => None,
            };
            match name {
                Some(name) if own.contains(name) => {}
                Some(name) => taken.lacks(name, tensor.defined().then(|| tensor.size())),
                None => drop(taken.ignored.insert(key.clone())),
            }
        }
    }
}
