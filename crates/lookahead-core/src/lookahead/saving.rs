//! The state, out and in.

use std::collections::HashSet;

use tch::Tensor;

use super::{Lookahead, slow_copy};
use crate::builder::check_slow_step_size;
use crate::state::{copy_like, dense_copy, expect_like};
use crate::{Error, InnerOptimizer, Parameter, Result, State};

const PHASE: &str = "phase";
const SYNCS: &str = "syncs";
const PERIOD: &str = "k";
const ALPHA: &str = "alpha";
const SLOW: &str = "slow";
const INNER: &str = "inner";

impl<O: InnerOptimizer> Lookahead<O> {
    /// All that decides the next steps apart from the fast weights, which are the model's own: φ
    /// as `slow/<variable>`, the phase, k and α, and the inner optimizer's state under `inner/`.
    /// Shares no memory with the optimizer.
    ///
    /// # Errors
    /// [`Unreachable`](Error::Unreachable) or [`UnknownKind`](Error::UnknownKind) where the inner
    /// optimizer can't give its own.
    pub fn state(&mut self) -> Result<State> {
        self.ready()?;
        let mut state = State::default();
        for (parameter, slow) in self.inner.parameters().iter().zip(&self.slow) {
            state.tensors.insert(format!("{SLOW}/{}", parameter.name), dense_copy(slow)?);
        }
        state.integers.insert(PHASE.to_owned(), to_i64(self.phase));
        state.integers.insert(SYNCS.to_owned(), to_i64(self.syncs));
        state.integers.insert(PERIOD.to_owned(), to_i64(self.k));
        state.numbers.insert(ALPHA.to_owned(), self.alpha);
        state.nest(INNER, self.inner.state()?);
        Ok(state)
    }

    /// Takes on a state that [`state`](Self::state) gave for the same model and the same kind of
    /// inner optimizer, k, α and learning rates included. Load the model's fast weights first: the
    /// weights that are in the model now are taken as those that belong to the state.
    ///
    /// # Errors
    /// Where an entry is missing, unexpected, out of range or of the wrong shape. Then nothing was
    /// changed.
    pub fn load_state(&mut self, state: &State) -> Result<()> {
        self.put_fast_weights_back()?;
        self.inner.join_new_parameters()?;
        let k = in_range(state, PERIOD, 1, i64::MAX)?;
        // A state taken between the k-th step and its sync has phase k.
        let phase = in_range(state, PHASE, 0, to_i64(k))?;
        let syncs = in_range(state, SYNCS, 0, i64::MAX)?;
        let alpha = state.number(ALPHA)?;
        check_slow_step_size(alpha)?;

        let slow = self.inner.parameters().iter().map(|parameter| read_slow(state, parameter));
        let slow = slow.collect::<Result<Vec<_>>>()?;
        let names: HashSet<&str> =
            self.inner.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
        state.refuse_unknown(
            |tensor| match tensor.split_once('/') {
                Some((SLOW, name)) => names.contains(name),
                Some((INNER, _)) => true, // the inner optimizer judges its own
                _ => false,
            },
            |integer| matches!(integer, PHASE | SYNCS | PERIOD) || is_inner(integer),
            |number| number == ALPHA || is_inner(number),
        )?;
        // The last that can fail, and it changes nothing when it does.
        self.inner.load_state(&state.part(INNER))?;

        (self.k, self.alpha, self.phase, self.syncs) = (k, alpha, phase, syncs);
        self.slow = slow;
        self.slow_version = self.slow_version.wrapping_add(1);
        self.spoiled = None;
        self.remember_fast_weights()
    }
}

/// A parameter's slow weights out of a state, in the parameter's layout and on its device.
fn read_slow(state: &State, parameter: &Parameter) -> Result<Tensor> {
    let key = format!("{SLOW}/{}", parameter.name);
    let Some(saved) = state.tensors.get(&key) else { return Err(Error::StateMissing { key }) };
    let slow = slow_copy(parameter)?;
    expect_like(&key, saved, &slow)?;
    copy_like(&slow, saved)
}

fn in_range(state: &State, key: &str, least: i64, most: i64) -> Result<u64> {
    let found = state.integer(key)?;
    if !(least..=most).contains(&found) {
        let allowed = match most {
            i64::MAX => format!("at least {least}"),
            _ => format!("from {least} to {most}"),
        };
        return Err(Error::StateRange { key: key.to_owned(), found: found.to_string(), allowed });
    }
    Ok(found.unsigned_abs())
}

fn is_inner(key: &str) -> bool {
    key.split_once('/').is_some_and(|(part, _)| part == INNER)
}

/// Counts of steps; more than `i64` holds can't be taken.
fn to_i64(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
