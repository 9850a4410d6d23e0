//! Training: the loop, its data, and what happens around it.
//!
//! | module | what is in it |
//! |---|---|
//! | [`loop`](mod@loop) | Algorithm 1, from top to bottom |
//! | `gradients` | the gradients of a step, over accumulated batches, and clipped |
//! | [`run`] | a training in this process, and the record of its end |
//! | [`finish`] | the end of a run: the last sync, and the tests of θ and φ |
//! | [`early_stopping`] | the end of a run that stopped improving: the test of its best model |
//! | [`state`] | what a training carries from step to step besides tensors |
//! | [`setup`], [`restore`] | a training built from its config, and continued from a checkpoint |
//! | `syncs` | sentences about syncs that a configuration does not reach |
//! | [`hook`] | code that runs around a step: the trait, and what a hook may use |
//! | [`hooks`] | what happens around a step: evaluation, probe, checkpoints, log, commands … |
//! | [`evaluation`] | the model on a whole split |
//! | [`averaging`] | a mean of θ, to compare φ with |
//! | [`best`] | the best evaluation so far |
//! | [`recalibration`] | batch normalization's statistics for φ |
//! | [`watchdog`] | losses that jump or no longer fall |
//! | [`divergence`], [`diverged`] | values that are NaN or infinity: the policy, and the error |
//! | `device` | the device to train on |

pub mod averaging;
pub mod best;
mod device;
pub mod diverged;
pub mod divergence;
pub mod early_stopping;
pub mod evaluation;
pub mod finish;
mod gradients;
pub mod hook;
pub mod hooks;
pub mod r#loop;
pub mod recalibration;
pub mod restore;
pub mod run;
pub mod setup;
pub mod state;
mod syncs;
mod unused;
pub mod watchdog;
