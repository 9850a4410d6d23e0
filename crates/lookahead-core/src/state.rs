//! An optimizer's state, as plain named values for any file format.

mod file;

use std::collections::BTreeMap;

use lookahead_sys::arithmetic::{all_finite, assign};
use tch::Tensor;

use crate::{Error, Result, SyncPath};

/// An optimizer's state: named tensors plus a few integers and numbers.
///
/// Names are paths: `slow/conv1.weight`, `inner/sgd/momentum_buffer/conv1.weight`, `phase`. A state from an
/// optimizer is contiguous and shares no memory with it, so another thread can write it while the training
/// continues. [`save`](Self::save) and [`load`](Self::load) keep it in a file. Tensors from a file may be on the
/// CPU: loading moves them.
///
/// ```
/// use lookahead_core::State;
/// let mut inner = State::default();
/// inner.integers.insert("step/w".to_owned(), 7);
/// let mut outer = State::default();
/// outer.nest("inner", inner);
/// assert_eq!(outer.integers["inner/step/w"], 7);
/// assert_eq!(outer.part("inner").integers["step/w"], 7);
/// ```
#[derive(Debug, Default)]
pub struct State {
    /// Slow weights, momentum buffers, moments.
    pub tensors: BTreeMap<String, Tensor>,
    /// Counts: the phase, syncs, each parameter's steps.
    pub integers: BTreeMap<String, i64>,
    /// Settings that may change during training: learning rates, momenta, weight decays, α.
    pub numbers: BTreeMap<String, f64>,
}

impl State {
    /// Adds all entries of `part` with the prefix `prefix/`.
    pub fn nest(&mut self, prefix: &str, part: State) {
        let name = |key: String| format!("{prefix}/{key}");
        self.tensors.extend(part.tensors.into_iter().map(|(key, value)| (name(key), value)));
        self.integers.extend(part.integers.into_iter().map(|(key, value)| (name(key), value)));
        self.numbers.extend(part.numbers.into_iter().map(|(key, value)| (name(key), value)));
    }

    /// The entries with the prefix `prefix/`, without it. Their tensors share memory with this state's.
    pub fn part(&self, prefix: &str) -> State {
        fn strip<T>(
            map: &BTreeMap<String, T>,
            prefix: &str,
            clone: impl Fn(&T) -> T,
        ) -> BTreeMap<String, T> {
            map.iter()
                .filter_map(|(key, value)| {
                    Some((key.strip_prefix(prefix)?.strip_prefix('/')?.to_owned(), clone(value)))
                })
                .collect()
        }
        State {
            tensors: strip(&self.tensors, prefix, Tensor::shallow_clone),
            integers: strip(&self.integers, prefix, |value| *value),
            numbers: strip(&self.numbers, prefix, |value| *value),
        }
    }

    /// Inserts a copy of `values` as `name`. It reuses the memory of the tensor of that name in `scratch`, on any
    /// device, if shape and element type agree, and removes it there; otherwise it allocates on the device of
    /// `values`.
    ///
    /// A copy into used memory is several times as fast as into fresh memory, so a program that saves repeatedly
    /// keeps the last state for it.
    ///
    /// ```
    /// # use lookahead_core::State;
    /// # use tch::Tensor;
    /// let (mut scratch, mut state) = (State::default(), State::default());
    /// scratch.tensors.insert("w".to_owned(), Tensor::from_slice(&[0.0f32, 0.0]));
    /// let memory = scratch.tensors["w"].data_ptr();
    /// state.copy_into_reused("w".to_owned(), &Tensor::from_slice(&[1.0f32, 2.0]), &mut scratch).unwrap();
    /// assert_eq!(state.tensors["w"], Tensor::from_slice(&[1.0f32, 2.0]));
    /// assert_eq!(state.tensors["w"].data_ptr(), memory);
    /// ```
    pub fn copy_into_reused(
        &mut self,
        name: String,
        values: &Tensor,
        scratch: &mut State,
    ) -> Result<()> {
        let dense;
        let values = if values.is_sparse() {
            dense = values.f_to_dense(None, false)?;
            &dense
        } else {
            values
        };
        let fits = |old: &Tensor| {
            old.kind() == values.kind() && old.size() == values.size() && old.is_contiguous()
        };
        let copy = match scratch.tensors.remove(&name).filter(fits) {
            Some(mut old) => {
                let _guard = tch::no_grad_guard();
                assign(&mut old, values)?;
                old
            }
            None => dense_copy(values)?,
        };
        self.tensors.insert(name, copy);
        Ok(())
    }

    /// Removes and returns the entries with the prefix `prefix/`, without it.
    pub(crate) fn take_part(&mut self, prefix: &str) -> State {
        let part = self.part(prefix);
        // Otherwise this state would share the tensors.
        self.tensors
            .retain(|key, _| key.strip_prefix(prefix).is_none_or(|rest| !rest.starts_with('/')));
        part
    }

    /// This state with `head/other` renamed to `head/own`, for each of `heads` and each pair (other, own) of
    /// names, unless that entry exists; `None` without names. Shares memory with this state.
    pub(crate) fn under_own_names(
        &self,
        heads: &[String],
        names: &[(String, String)],
    ) -> Option<State> {
        if names.is_empty() {
            return None;
        }
        fn renamed<T>(map: &mut BTreeMap<String, T>, from: &str, to: &str) {
            if !map.contains_key(to)
                && let Some(value) = map.remove(from)
            {
                map.insert(to.to_owned(), value);
            }
        }
        let tensors = self.tensors.iter();
        let mut state = State {
            tensors: tensors.map(|(key, tensor)| (key.clone(), tensor.shallow_clone())).collect(),
            integers: self.integers.clone(),
            numbers: self.numbers.clone(),
        };
        for head in heads {
            for (other, own) in names {
                let (from, to) = (format!("{head}/{other}"), format!("{head}/{own}"));
                renamed(&mut state.tensors, &from, &to);
                renamed(&mut state.integers, &from, &to);
            }
        }
        Some(state)
    }

    pub(crate) fn integer(&self, key: &str) -> Result<i64> {
        self.integers.get(key).copied().ok_or_else(|| Error::StateMissing { key: key.to_owned() })
    }

    pub(crate) fn number(&self, key: &str) -> Result<f64> {
        self.numbers.get(key).copied().ok_or_else(|| Error::StateMissing { key: key.to_owned() })
    }

    /// An error for the first unknown tensor, integer or number.
    pub(crate) fn refuse_unknown(
        &self,
        tensor: impl Fn(&str) -> bool,
        integer: impl Fn(&str) -> bool,
        number: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let tensors = self.tensors.keys().find(|key| !tensor(key));
        let integers = || self.integers.keys().find(|key| !integer(key));
        let numbers = || self.numbers.keys().find(|key| !number(key));
        match tensors.or_else(integers).or_else(numbers) {
            Some(key) => Err(Error::StateUnexpected { key: key.clone() }),
            None => Ok(()),
        }
    }
}

/// An error unless `found` has the shape and element type of `like`.
pub(crate) fn expect_like(key: &str, found: &Tensor, like: &Tensor) -> Result<()> {
    let describe = |tensor: &Tensor| {
        if !tensor.defined() {
            return "undefined".to_owned();
        }
        format!("{:?} of shape {:?}", tensor.kind(), tensor.size())
    };
    if found.defined() && found.kind() == like.kind() && found.size() == like.size() {
        return Ok(());
    }
    Err(Error::StateMismatch {
        key: key.to_owned(),
        found: describe(found),
        expected: describe(like),
    })
}

/// An integer of a state, checked to be from `least` to `most`.
pub(crate) fn in_range(state: &State, key: &str, least: i64, most: i64) -> Result<u64> {
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

/// An error unless all values of a state's tensor are finite and, if they are `squares`, at least 0.
pub(crate) fn expect_finite(key: &str, tensor: &Tensor, squares: bool) -> Result<()> {
    let refuse = |found: &str, allowed: &str| {
        let (key, found, allowed) = (key.to_owned(), found.to_owned(), allowed.to_owned());
        Err(Error::StateRange { key, found, allowed })
    };
    if !all_finite([tensor], SyncPath::Auto)? {
        return refuse("a tensor that holds NaN or infinity", "finite throughout");
    }
    let least =
        || -> Result<f64> { Ok(f64::try_from(tensor.f_min()?.f_to_kind(tch::Kind::Double)?)?) };
    if squares && tensor.numel() > 0 && least()? < 0.0 {
        return refuse("a tensor that holds negative numbers", "at least 0 throughout");
    }
    Ok(())
}

/// A copy of `values` in the layout and on the device of `like`, in its own memory.
pub(crate) fn copy_like(like: &Tensor, values: &Tensor) -> Result<Tensor> {
    let _guard = tch::no_grad_guard();
    let mut copy = like.f_detach()?.f_empty_like()?;
    assign(&mut copy, values)?;
    Ok(copy)
}

/// A contiguous copy, which file formats need.
fn dense_copy(values: &Tensor) -> Result<Tensor> {
    let _guard = tch::no_grad_guard();
    let mut copy = Tensor::f_empty(values.size(), (values.kind(), values.device()))?;
    assign(&mut copy, values)?;
    Ok(copy)
}
