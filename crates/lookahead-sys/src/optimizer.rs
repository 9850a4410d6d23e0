//! tch's optimizers with their state: buffers, moments and step counts, out and in.
//!
//! tch keeps the pointer of its C++ optimizer private and has no way to read or write the
//! optimizer's state. What it does have is a public trait, [`nn::OptimizerConfig`], by which any
//! configuration builds a [`COptimizer`]. [`Optimizer::build`] takes the pointer out of that
//! object, keeps both together, and so reaches the state behind every optimizer that tch can build.

use tch::{COptimizer, Tensor, nn};

use crate::ffi::bridge;
use crate::{Error, Result};

/// Which of libtorch's optimizers this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Stochastic gradient descent, with or without momentum.
    Sgd,
    /// Adam, with or without amsgrad.
    Adam,
    /// Adam with decoupled weight decay, with or without amsgrad.
    AdamW,
    /// RMSprop, centered or not, with or without momentum.
    RmsProp,
    /// A kind whose state is not known here: it trains, and cannot give its state.
    Unknown,
}

impl Kind {
    /// Names of the tensors that the optimizer may keep for each parameter, in libtorch's words.
    /// Which of them exist depends on its options and on the steps taken.
    pub fn slots(self) -> &'static [&'static str] {
        match self {
            Kind::Sgd => &["momentum_buffer"],
            Kind::Adam | Kind::AdamW => &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"],
            Kind::RmsProp => &["square_avg", "momentum_buffer", "grad_avg"],
            Kind::Unknown => &[],
        }
    }

    /// Whether the optimizer counts the steps that it took on each parameter.
    pub fn counts_steps(self) -> bool {
        matches!(self, Kind::Adam | Kind::AdamW | Kind::RmsProp)
    }

    /// Which of [`slots`](Self::slots) is the mean squared gradient, where there is one.
    pub fn second_moment(self) -> Option<usize> {
        match self {
            Kind::Adam | Kind::AdamW => Some(1),
            Kind::RmsProp => Some(0),
            Kind::Sgd | Kind::Unknown => None,
        }
    }

    /// The kind's name in configurations, such as `adamw`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Sgd => "sgd",
            Kind::Adam => "adam",
            Kind::AdamW => "adamw",
            Kind::RmsProp => "rmsprop",
            Kind::Unknown => "unknown",
        }
    }
}

/// What an optimizer keeps for one parameter.
#[derive(Debug)]
pub struct ParameterState {
    /// Steps taken on this parameter; 0 where the kind counts none.
    pub step: i64,
    /// One entry for each of [`Kind::slots`].
    pub slots: Vec<Option<Tensor>>,
}

/// What a parameter group's steps depend on and what may change while training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupOptions {
    /// The learning rate.
    pub learning_rate: f64,
    /// The momentum: β₁ for Adam and AdamW.
    pub momentum: f64,
    /// The weight decay.
    pub weight_decay: f64,
}

/// An optimizer of libtorch, with a way to its state.
pub struct Optimizer {
    // Owns the C++ object; `pointer` is valid for as long as this lives, and it is never replaced.
    owner: COptimizer,
    pointer: *mut bridge::Optimizer,
    kind: Kind,
}

// SAFETY: `COptimizer` is Send, and `pointer` only repeats the address that it holds.
unsafe impl Send for Optimizer {}

impl std::fmt::Debug for Optimizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Optimizer").field("kind", &self.kind).finish_non_exhaustive()
    }
}

// A COptimizer that grew a field would make the two functions below read or write something else:
// refuse to compile. tch is pinned to one version for the same reason.
const _: () = {
    assert!(size_of::<COptimizer>() == size_of::<*mut u8>());
    assert!(align_of::<COptimizer>() == align_of::<*mut u8>());
};

/// The address of the C++ optimizer, which is all that a [`COptimizer`] is.
fn pointer_of(optimizer: &COptimizer) -> *mut bridge::Optimizer {
    // SAFETY: a COptimizer is a struct of one field, the pointer that tch's C functions return and
    // take, typed `torch::optim::Optimizer *` in torch-sys's torch_api.h. Its size and alignment
    // are checked above, so these bytes are that pointer. It is only copied: the COptimizer still
    // owns the object.
    unsafe { std::mem::transmute_copy(optimizer) }
}

/// tch's owner of a C++ optimizer that the shim made.
///
/// # Safety
/// `pointer` is a live object made with `new`, and nothing else deletes it.
pub(crate) unsafe fn owner_of(pointer: *mut bridge::Optimizer) -> COptimizer {
    // SAFETY: the other way round than in `pointer_of`. tch deletes the object, through its virtual
    // destructor, when the COptimizer is dropped.
    unsafe { std::mem::transmute(pointer) }
}

impl Optimizer {
    /// Builds the optimizer that `config` describes, without any parameter yet.
    ///
    /// # Errors
    /// What libtorch says of the configuration, such as a negative learning rate.
    pub fn build<C: nn::OptimizerConfig>(config: &C, learning_rate: f64) -> Result<Self> {
        let owner = config.build_copt(learning_rate)?;
        let pointer = pointer_of(&owner);
        // SAFETY: `pointer` is the live object that `owner` holds.
        let kind = match unsafe { bridge::optimizer_kind(pointer) }? {
            bridge::OptimizerKind::Sgd => Kind::Sgd,
            bridge::OptimizerKind::Adam => Kind::Adam,
            bridge::OptimizerKind::AdamW => Kind::AdamW,
            bridge::OptimizerKind::RmsProp => Kind::RmsProp,
            _ => Kind::Unknown,
        };
        Ok(Optimizer { owner, pointer, kind })
    }

    /// Which of libtorch's optimizers this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Adds a parameter to a group; groups up to that one are made with the configured options.
    ///
    /// # Errors
    /// What libtorch says of it.
    pub fn add_parameter(&mut self, parameter: &Tensor, group: usize) -> Result<()> {
        Ok(self.owner.add_parameters(parameter, group)?)
    }

    /// Takes one step on every parameter that has a gradient.
    ///
    /// # Errors
    /// What libtorch says, such as of a sparse gradient.
    pub fn step(&mut self) -> Result<()> {
        // SAFETY: `pointer` is the live object that `owner` holds, and `&mut self` makes the call
        // the only one on it.
        Ok(unsafe { bridge::optimizer_step(self.pointer) }?)
    }

    /// Makes the gradient of every parameter undefined.
    ///
    /// # Errors
    /// What libtorch says of it.
    pub fn zero_grad(&mut self) -> Result<()> {
        // SAFETY: as in `step`.
        Ok(unsafe { bridge::optimizer_zero_grad(self.pointer) }?)
    }

    /// How many parameter groups there are.
    pub fn groups(&self) -> usize {
        // SAFETY: `pointer` is the live object that `owner` holds, and the call only reads.
        unsafe { bridge::group_count(self.pointer) }
    }

    /// The options of a parameter group; those of [`groups`](Self::groups) itself are what a group
    /// made later begins with.
    ///
    /// # Errors
    /// Where there is no such group.
    pub fn group_options(&self, group: usize) -> Result<GroupOptions> {
        // SAFETY: as in `groups`.
        let found = unsafe { bridge::group_options(self.pointer, group) }?;
        let bridge::GroupOptions { learning_rate, momentum, weight_decay } = found;
        Ok(GroupOptions { learning_rate, momentum, weight_decay })
    }

    /// Sets the options of a parameter group, counted as in [`group_options`](Self::group_options).
    /// The values are not checked. Of an optimizer of unknown kind only the learning rate is set.
    ///
    /// # Errors
    /// Where there is no such group.
    pub fn set_group_options(&mut self, group: usize, options: GroupOptions) -> Result<()> {
        let GroupOptions { learning_rate, momentum, weight_decay } = options;
        let options = bridge::GroupOptions { learning_rate, momentum, weight_decay };
        // SAFETY: as in `step`.
        Ok(unsafe { bridge::set_group_options(self.pointer, group, options) }?)
    }

    /// The decay of a group's mean squared gradient: β₂ of Adam and AdamW, libtorch's α of RMSprop.
    ///
    /// # Errors
    /// Where there is no such group, or the kind keeps no mean squared gradient.
    pub fn second_moment_decay(&self, group: usize) -> Result<f64> {
        // SAFETY: as in `groups`.
        Ok(unsafe { bridge::second_moment_decay(self.pointer, group) }?)
    }

    /// Which of [`Kind::slots`] the optimizer keeps for a parameter that it has stepped, by its
    /// options: Adam keeps `max_exp_avg_sq` only with amsgrad, say.
    ///
    /// # Errors
    /// Where the kind's state is not known.
    pub fn required_slots(&self) -> Result<Vec<bool>> {
        // SAFETY: `pointer` is the live object that `owner` holds, and the call only reads.
        let mask = unsafe { bridge::required_slots(self.pointer) }?;
        Ok((0..self.kind.slots().len()).map(|slot| mask >> slot & 1 == 1).collect())
    }

    /// What the optimizer keeps for `parameter`; `None` before its first step with a gradient.
    /// The tensors are the optimizer's own, not copies.
    ///
    /// # Errors
    /// Where the kind's state is not known.
    pub fn parameter_state(&self, parameter: &Tensor) -> Result<Option<ParameterState>> {
        let parameter = parameter.as_ptr().cast();
        // SAFETY: `pointer` is the live object that `owner` holds, `parameter` a live tensor, and
        // the call only reads.
        let step = unsafe { bridge::state_step(self.pointer, parameter) }?;
        if step < 0 {
            return Ok(None);
        }
        let slots = (0..self.kind.slots().len())
            .map(|slot| {
                // SAFETY: as above.
                let value = unsafe { bridge::state_slot(self.pointer, parameter, slot) }?;
                // SAFETY: where it is not null, the shim allocated this at::Tensor with `new` for
                // us alone; tch's Tensor frees it.
                Ok((!value.is_null()).then(|| unsafe { Tensor::from_ptr(value.cast()) }))
            })
            .collect::<Result<_>>()?;
        Ok(Some(ParameterState { step, slots }))
    }

    /// Replaces what the optimizer keeps for `parameter`; `None` is the state before the first
    /// step. The optimizer keeps the given tensors themselves and will change them in place.
    ///
    /// # Errors
    /// Where the kind's state is not known, or the number of slots is not the kind's.
    pub fn set_parameter_state(
        &mut self,
        parameter: &Tensor,
        state: Option<ParameterState>,
    ) -> Result<()> {
        let parameter = parameter.as_ptr().cast();
        let Some(state) = state else {
            // SAFETY: `pointer` is the live object that `owner` holds, `parameter` a live tensor,
            // and `&mut self` makes the call the only one on it.
            return Ok(unsafe { bridge::remove_state(self.pointer, parameter) }?);
        };
        let expected = self.kind.slots().len();
        if state.slots.len() != expected {
            return Err(Error(format!(
                "The state of {} has {expected} slots, and {} were given.",
                self.kind.name(),
                state.slots.len()
            )));
        }
        // SAFETY: as above.
        unsafe { bridge::create_state(self.pointer, parameter, state.step) }?;
        for (slot, value) in state.slots.iter().enumerate() {
            if let Some(value) = value {
                let value = value.as_ptr().cast();
                // SAFETY: as above; `value` is a live tensor, and C++ takes a counted reference.
                unsafe { bridge::set_state_slot(self.pointer, parameter, slot, value) }?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
