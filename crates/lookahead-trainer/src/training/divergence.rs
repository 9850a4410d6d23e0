//! A training that has left the numbers: noticed in a loss at once, and in the weights before they
//! are saved, so that no checkpoint of NaN pushes out a good one.

use lookahead_core::State;
use tch::{Tensor, nn};

use crate::check::shown;

/// The training diverged. There is nothing in its weights that is worth saving.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what}: the training diverged. Start again with a smaller `optimizer.lr` than {lr}, or resume \
     from an earlier checkpoint with one."
)]
pub struct Diverged {
    what: String,
    lr: String,
}

/// An error unless the loss, told as `what` of `step`, is finite.
///
/// # Errors
/// [`Diverged`].
pub fn refuse_loss(what: &str, loss: f64, step: u64, lr: f64) -> Result<(), Diverged> {
    match loss.is_finite() {
        true => Ok(()),
        false => Err(Diverged { what: format!("{what} is {loss} in step {step}"), lr: shown(lr) }),
    }
}

/// An error unless all of θ and its buffers, and of φ in the optimizer's state, is finite.
///
/// # Errors
/// [`Diverged`], and what libtorch says.
pub fn refuse_weights(vs: &nn::VarStore, state: &State, step: u64, lr: f64) -> anyhow::Result<()> {
    let fast = vs.variables().into_iter().map(|(name, tensor)| (format!("θ's `{name}`"), tensor));
    let slow = state.part("slow").tensors.into_iter();
    let slow = slow.map(|(name, tensor)| (format!("φ's `{name}`"), tensor));
    for (name, tensor) in fast.chain(slow) {
        if !all_finite(&tensor)? {
            let what = format!("{name} holds values that are no finite numbers after step {step}");
            return Err(Diverged { what, lr: shown(lr) }.into());
        }
    }
    Ok(())
}

fn all_finite(tensor: &Tensor) -> anyhow::Result<bool> {
    let _guard = tch::no_grad_guard();
    Ok(bool::try_from(tensor.f_isfinite()?.f_all()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_tells() {
        let vs = nn::VarStore::new(tch::Device::Cpu);
        let mut weights = vs.root().zeros("w", &[3]);
        let mut state = State::default();
        let slow = Tensor::from_slice(&[1.0f32, -2.0]);
        state.tensors.insert("slow/w".to_owned(), slow.shallow_clone());
        state.tensors.insert("inner/w".to_owned(), Tensor::from_slice(&[f32::NAN]));
        refuse_weights(&vs, &state, 7, 0.1).unwrap();

        let _ = slow.get(1).fill_(f64::INFINITY);
        let error = refuse_weights(&vs, &state, 7, 0.1).unwrap_err().to_string();
        assert!(error.contains("φ's `w`") && error.contains("step 7"), "{error}");
        let _ = slow.get(1).fill_(0.0);
        let _ = tch::no_grad(|| weights.fill_(f64::NAN));
        let error = refuse_weights(&vs, &state, 7, 1e30).unwrap_err().to_string();
        assert!(error.contains("θ's `w`") && error.contains("than 1e30"), "{error}");
    }
}
