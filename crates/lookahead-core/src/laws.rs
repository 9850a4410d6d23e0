//! Laws that every inner optimizer keeps: a test for one of your own.

mod around;
mod error;
mod moments;
mod parameters;
mod states;
mod task;

use tch::{Kind, nn};

use crate::{InnerOptimizer, Lookahead, MomentumPolicy, Result};
use task::{Shapes, Task};

pub use error::Error;

/// Checks that an inner optimizer keeps the laws on which Lookahead, checkpoints and the trainer rely. `build` builds it
/// for the trainable variables of a store, with any settings. The laws:
///
/// * A state that is saved after any step and loaded into a new optimizer continues to the bit: alone, also with bfloat16
///   weights, inside a Lookahead with each [`MomentumPolicy`], and inside two.
/// * What [`load_partial`](InnerOptimizer::load_partial) takes of a state of the same model is all of it; of another
///   model's, a variable that the state lacks begins as a new one.
/// * With α = 1, Lookahead is the optimizer, to the bit; if it resets the moments, the optimizer restarted at each sync.
///   The first sync that pulls moments back multiplies them by α.
/// * A variable that is frozen, or that has no gradient, keeps its values. All others move, if not in each step: a
///   cautious one rests while its gradient opposes it. One that is added later joins. One with two names is one parameter.
/// * A state that lacks a tensor, or has an unknown one or one of another shape, is refused and changes nothing.
/// * The moments are those that it names, of their parameter's shape, and shared with the optimizer; with all of them reset
///   it steps as a new one.
/// * Learning rates that are set are those that it has; negative, NaN and infinite ones are refused.
///
/// φ, the phase and the outer momentum of a Lookahead are not moments, and its sync moves also what has no gradient in
/// that step. So a Lookahead, or an average around one, keeps these laws with k = 2, where a reset is tried right after a
/// sync and a step without a gradient between two, and without outer momentum.
///
/// The laws about moments are left out for an optimizer that does not give them
/// ([`moment_names`](InnerOptimizer::moment_names) is `None`), a momentum policy for one that keeps none, and the law about
/// parts of states for one that loads whole ones only.
///
/// ```
/// use lookahead_core::{TchOptimizer, laws};
/// laws::check(|vs| TchOptimizer::new(tch::nn::Adam::default(), vs, 0.01))?;
/// # Ok::<(), laws::Error>(())
/// ```
///
/// # Errors
/// The first broken law, or the optimizer's own error where it must not fail.
pub fn check<O: InnerOptimizer>(build: impl Fn(&nn::VarStore) -> Result<O>) -> Result<(), Error> {
    check_on(Shapes::Any, build)
}

/// [`check`] for an optimizer that takes matrices only.
///
/// ```
/// use lookahead_core::{RuleOptimizer, laws, optimizers::Muon};
/// laws::check_matrices(|vs| RuleOptimizer::new(Muon::default(), vs, 0.02))?;
/// # Ok::<(), laws::Error>(())
/// ```
///
/// # Errors
/// Those of [`check`].
pub fn check_matrices<O: InnerOptimizer>(
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Result<(), Error> {
    check_on(Shapes::Matrices, build)
}

fn check_on<O: InnerOptimizer>(
    shapes: Shapes,
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Result<(), Error> {
    let law = "A saved state continues to the bit.";
    states::resumes(shapes, Kind::BFloat16, law, &build)?;
    for kind in [Kind::Float, Kind::Double] {
        states::resumes(shapes, kind, law, &build)?;
        let lookahead = |vs: &nn::VarStore| Lookahead::around(build(vs)?).k(3).build();
        let law = "A state saved inside Lookahead continues to the bit.";
        states::resumes(shapes, kind, law, lookahead)?;
        let nested = |vs: &nn::VarStore| Lookahead::around(lookahead(vs)?).k(4).build();
        let law = "A state saved inside two Lookaheads continues to the bit.";
        states::resumes(shapes, kind, law, nested)?;
        around::is_lookahead_at_one(shapes, kind, &build)?;
    }
    let names = build(&Task::new(shapes, Kind::Float, 0).vs)?.moment_names();
    if let Some(names) = names {
        let policies = [MomentumPolicy::Reset, MomentumPolicy::Pullback];
        for policy in policies.into_iter().filter(|_| !names.is_empty()) {
            let with_policy = |vs: &nn::VarStore| {
                Lookahead::around(build(vs)?).k(2).momentum_policy(policy).build()
            };
            let law =
                "A state saved inside Lookahead with any momentum policy continues to the bit.";
            states::resumes(shapes, Kind::Float, law, with_policy)?;
        }
        if !names.is_empty() {
            around::restarts_at_each_sync(shapes, &build)?;
            around::pulls_moments_back(shapes, &build)?;
        }
        moments::gives_moments(shapes, &build)?;
        moments::steps_as_new_after_a_reset(shapes, &build)?;
    }
    parameters::moves_only_what_has_a_gradient(shapes, &build)?;
    parameters::takes_late_variables(shapes, &build)?;
    parameters::takes_tied_variables_once(shapes, &build)?;
    states::refuses_other_states(shapes, &build)?;
    states::takes_parts_of_states(shapes, &build)?;
    parameters::keeps_learning_rates(shapes, &build)?;
    Ok(())
}
