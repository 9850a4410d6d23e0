//! Saving and loading masters with the inner optimizer's state.

use std::collections::HashSet;

use lookahead_sys::arithmetic::assign;
use tch::Tensor;

use super::MasterWeights;
use crate::inner::own_names;
use crate::state::{copy_like, expect_finite, expect_like};
use crate::{Error, InnerOptimizer, Parameter, Result, State, Taken};

const MASTER: &str = "master";
const INNER: &str = "inner";

impl<O: InnerOptimizer> MasterWeights<O> {
    /// `master/<variable>` and `inner/…`.
    pub(super) fn save_into(&mut self, state: &mut State) -> Result<()> {
        self.check()?;
        let mut scratch = std::mem::take(state);
        for (parameter, wide) in self.narrow.iter().zip(&self.wide) {
            state.copy_into_reused(key(parameter), wide, &mut scratch)?;
        }
        let mut inner = scratch.take_part(INNER);
        self.inner.state_into(&mut inner)?;
        state.nest(INNER, inner);
        Ok(())
    }

    /// Sets the masters, the model's weights and the inner optimizer.
    pub(super) fn load(&mut self, state: &State) -> Result<()> {
        self.join_new_parameters()?;
        let renamed = self.under_own_names(state);
        let state = renamed.as_ref().unwrap_or(state);
        let read = |(parameter, wide): (&Parameter, &Tensor)| -> Result<Tensor> {
            let key = key(parameter);
            let Some(saved) = state.tensors.get(&key) else {
                return Err(Error::StateMissing { key });
            };
            expect_like(&key, saved, wide)?;
            let copy = copy_like(wide, saved)?;
            expect_finite(&key, &copy, false)?;
            Ok(copy)
        };
        let values: Vec<Tensor> =
            self.narrow.iter().zip(&self.wide).map(read).collect::<Result<_>>()?;
        let own: HashSet<String> = self.narrow.iter().map(key).collect();
        let of_inner = |key: &str| key.split_once('/').is_some_and(|(part, _)| part == INNER);
        state.refuse_unknown(|key| own.contains(key) || of_inner(key), of_inner, of_inner)?;
        self.pass_freezes();
        let inner = state.part(INNER);
        // The last call that can fail; it changes nothing if it does.
        self.inner.load_state(&inner).map_err(|error| error.in_part(INNER))?;
        for ((parameter, wide), value) in self.narrow.iter().zip(&self.wide).zip(&values) {
            assign(&mut wide.shallow_clone(), value)?;
            assign(&mut parameter.tensor.shallow_clone(), value)?;
        }
        // Again, with the masters that belong to the state. Had it only to accept them, an average would move by a rounding.
        self.inner.load_state(&inner)?;
        self.remember()
    }

    /// What fits of a state of another model. A new variable's master is its present value.
    pub(super) fn what_fits(&mut self, state: &State) -> Result<(State, Taken)> {
        self.check()?;
        let renamed = self.under_own_names(state);
        let state = renamed.as_ref().unwrap_or(state);
        let (inner, of_inner) = self.inner.partial_state(&state.part(INNER))?;
        let (mut fits, mut taken) = (State::default(), Taken::default());
        for (parameter, wide) in self.narrow.iter().zip(&self.wide) {
            let (name, shape) = (&parameter.name, wide.size());
            let key = key(parameter);
            let saved = state.tensors.get(&key).filter(|saved| taken.fits(name, saved, &shape));
            if saved.is_some() {
                taken.variables.insert(name.clone());
            }
            fits.tensors.insert(key, saved.unwrap_or(wide).shallow_clone());
        }
        for (key, tensor) in &state.tensors {
            match key.split_once('/') {
                Some((INNER, _)) => {}
                Some((MASTER, name)) if self.narrow.iter().any(|p| p.name == name) => {}
                Some((MASTER, name)) => taken.lacks(name, Some(tensor.size())),
                _ => drop(taken.ignored.insert(key.clone())),
            }
        }
        taken.nest(INNER, of_inner);
        fits.nest(INNER, inner);
        Ok((fits, taken))
    }

    fn under_own_names(&self, state: &State) -> Option<State> {
        state.under_own_names(&[MASTER.to_owned()], &own_names(self))
    }
}

fn key(parameter: &Parameter) -> String {
    format!("{MASTER}/{}", parameter.name)
}
