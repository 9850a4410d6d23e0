//! tch's optimizers with their state: momentum buffers, moments and step counts.
//!
//! tch keeps the pointer of its C++ optimizer private and can neither read nor write the optimizer's
//! state. But any [`nn::OptimizerConfig`] builds a [`COptimizer`]. [`Optimizer::build`] reads the pointer
//! out of that object, and so reaches the state of every optimizer that tch can build.

use std::pin::Pin;

use cxx::UniquePtr;
use tch::{COptimizer, Tensor, nn};

use crate::ffi::bridge;
use crate::handle::{cpp, owned};
use crate::{Error, Result};

pub use crate::ffi::bridge::GroupOptions;

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
    /// Any other kind: it trains, and can't give its state.
    Unknown,
}

impl Kind {
    /// Names of the tensors that the optimizer may keep per parameter, as libtorch calls them. Which of
    /// them exist depends on its options and on the steps taken.
    pub fn slots(self) -> &'static [&'static str] {
        match self {
            Kind::Sgd => &["momentum_buffer"],
            Kind::Adam | Kind::AdamW => &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"],
            Kind::RmsProp => &["square_avg", "momentum_buffer", "grad_avg"],
            Kind::Unknown => &[],
        }
    }

    /// Whether the optimizer counts its steps per parameter.
    pub fn counts_steps(self) -> bool {
        matches!(self, Kind::Adam | Kind::AdamW | Kind::RmsProp)
    }

    /// Which of [`slots`](Self::slots) is the mean squared gradient.
    pub fn second_moment(self) -> Option<usize> {
        match self {
            Kind::Adam | Kind::AdamW => Some(1),
            Kind::RmsProp => Some(0),
            Kind::Sgd | Kind::Unknown => None,
        }
    }

    /// The kind's name in configurations, for example `adamw`.
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
    /// Steps taken on this parameter; 0 if the kind counts none.
    pub step: i64,
    /// One entry for each of [`Kind::slots`].
    pub slots: Vec<Option<Tensor>>,
}

/// One of libtorch's optimizers, with access to its state.
pub struct Optimizer {
    owner: COptimizer,
    kind: Kind,
}

impl std::fmt::Debug for Optimizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Optimizer").field("kind", &self.kind).finish_non_exhaustive()
    }
}

// If COptimizer grew a field, the two functions below would read or write something else.
const _: () = assert!(
    size_of::<COptimizer>() == size_of::<*mut u8>()
        && align_of::<COptimizer>() == align_of::<*mut u8>(),
    "this version of tch lays out its optimizer differently. Use tch 0.26.0: `cargo update -p tch --precise 0.26.0`."
);

/// The address of the C++ optimizer, which is all that a [`COptimizer`] is.
fn pointer_of(optimizer: &COptimizer) -> *mut bridge::Optimizer {
    // SAFETY: a COptimizer is a struct of one field, the pointer that tch's C functions return and take,
    // typed `torch::optim::Optimizer *` in torch-sys's torch_api.h. Its size and alignment are checked
    // above, so these bytes are that pointer. It is only copied: the COptimizer still owns the object.
    unsafe { std::mem::transmute_copy(optimizer) }
}

/// Hands an optimizer that C++ made to tch.
pub(crate) fn owner_of(optimizer: UniquePtr<bridge::Optimizer>) -> COptimizer {
    assert!(!optimizer.is_null(), "C++ returned no optimizer");
    // SAFETY: the inverse of `pointer_of`. tch deletes the object through its virtual destructor when the
    // COptimizer is dropped, and nothing else does.
    unsafe { std::mem::transmute(optimizer.into_raw()) }
}

impl Optimizer {
    /// Builds the optimizer that `config` describes, without parameters.
    pub fn build<C: nn::OptimizerConfig>(config: &C, learning_rate: f64) -> Result<Self> {
        let owner = config.build_copt(learning_rate)?;
        let mut built = Optimizer { owner, kind: Kind::Unknown };
        built.kind = match bridge::optimizer_kind(built.get()) {
            bridge::OptimizerKind::Sgd => Kind::Sgd,
            bridge::OptimizerKind::Adam => Kind::Adam,
            bridge::OptimizerKind::AdamW => Kind::AdamW,
            bridge::OptimizerKind::RmsProp => Kind::RmsProp,
            _ => Kind::Unknown,
        };
        Ok(built)
    }

    fn get(&self) -> &bridge::Optimizer {
        // SAFETY: `owner` holds the live object and never replaces it.
        unsafe { &*pointer_of(&self.owner) }
    }

    fn get_mut(&mut self) -> Pin<&mut bridge::Optimizer> {
        // SAFETY: as in `get`; `&mut self` makes this the only reference, and C++ does not move it.
        unsafe { Pin::new_unchecked(&mut *pointer_of(&self.owner)) }
    }

    /// Which of libtorch's optimizers this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Adds a parameter to a group. Groups up to that one are made with the configured options.
    pub fn add_parameter(&mut self, parameter: &Tensor, group: usize) -> Result<()> {
        Ok(self.owner.add_parameters(parameter, group)?)
    }

    /// Takes one step on every parameter that has a gradient.
    pub fn step(&mut self) -> Result<()> {
        Ok(bridge::optimizer_step(self.get_mut())?)
    }

    /// As [`step`](Self::step), and returns whether all parameters that take gradients are finite after it. One of
    /// [`fused`](crate::fused) looks at them while it writes them; another does not look: `None`.
    pub fn step_and_look(&mut self) -> Result<Option<bool>> {
        let finite = bridge::optimizer_step_and_look(self.get_mut())?;
        Ok((finite >= 0).then_some(finite > 0))
    }

    /// Makes the gradient of every parameter undefined.
    pub fn zero_grad(&mut self) -> Result<()> {
        Ok(bridge::optimizer_zero_grad(self.get_mut())?)
    }

    /// The number of parameter groups.
    pub fn groups(&self) -> usize {
        bridge::group_count(self.get())
    }

    /// Adds groups without parameters until there are `count`, with the options of later groups.
    pub fn add_groups(&mut self, count: usize) -> Result<()> {
        Ok(bridge::add_groups(self.get_mut(), count)?)
    }

    /// The options of a parameter group. Group [`groups`](Self::groups), one past the last, holds those
    /// that later groups begin with.
    pub fn group_options(&self, group: usize) -> Result<GroupOptions> {
        Ok(bridge::group_options(self.get(), group)?)
    }

    /// Sets the options of a parameter group, numbered as in [`group_options`](Self::group_options),
    /// without checking the values. On an optimizer of unknown kind it sets only the learning rate.
    pub fn set_group_options(&mut self, group: usize, options: GroupOptions) -> Result<()> {
        Ok(bridge::set_group_options(self.get_mut(), group, options)?)
    }

    /// The decay of a group's mean squared gradient: β₂ of Adam and AdamW, libtorch's α of RMSprop.
    /// Refused for kinds without one.
    pub fn second_moment_decay(&self, group: usize) -> Result<f64> {
        Ok(bridge::second_moment_decay(self.get(), group)?)
    }

    /// Which of [`Kind::slots`] the optimizer keeps for a parameter that it has stepped, by the options of any group:
    /// Adam keeps `max_exp_avg_sq` only with amsgrad. Refused for unknown kinds.
    pub fn required_slots(&self) -> Result<Vec<bool>> {
        let mask = bridge::required_slots(self.get())?;
        Ok((0..self.kind.slots().len()).map(|slot| mask >> slot & 1 == 1).collect())
    }

    /// What the optimizer keeps for `parameter`: its own tensors, not copies. `None` before its first step
    /// with a gradient.
    pub fn parameter_state(&self, parameter: &Tensor) -> Result<Option<ParameterState>> {
        let step = bridge::state_step(self.get(), cpp(parameter));
        if step < 0 {
            return Ok(None);
        }
        let slot = |slot| {
            let value = bridge::state_slot(self.get(), cpp(parameter), slot)?;
            Ok((!value.is_null()).then(|| owned(value)))
        };
        let slots = (0..self.kind.slots().len()).map(slot).collect::<Result<_>>()?;
        Ok(Some(ParameterState { step, slots }))
    }

    /// Replaces what the optimizer keeps for `parameter`; `None` is the state before the first step. The
    /// optimizer keeps the given tensors and changes them in place. Refused for unknown kinds and for a
    /// wrong number of slots.
    pub fn set_parameter_state(
        &mut self,
        parameter: &Tensor,
        state: Option<ParameterState>,
    ) -> Result<()> {
        let Some(state) = state else {
            bridge::remove_state(self.get_mut(), cpp(parameter));
            return Ok(());
        };
        let expected = self.kind.slots().len();
        if state.slots.len() != expected {
            return Err(Error(format!(
                "The state of {} has {expected} slots, and {} were given.",
                self.kind.name(),
                state.slots.len()
            )));
        }
        bridge::create_state(self.get_mut(), cpp(parameter), state.step)?;
        for (slot, value) in state.slots.iter().enumerate() {
            if let Some(value) = value {
                bridge::set_state_slot(self.get_mut(), cpp(parameter), slot, cpp(value))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
