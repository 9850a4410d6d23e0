//! Saving and restoring a training: `[checkpoint]`.
//!
//! A checkpoint holds two files. `model.safetensors` is the final model: φ and the buffers under
//! the model's own names. `training.safetensors` is all else that decides the future: θ and the
//! buffers under `fast/`, φ and the inner optimizer's state under `optimizer/`, the random
//! generators under `generator/`; integers and numbers are in the manifest.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use lookahead_core::{State, generator};
use lookahead_run::{Details, Manifest};
use serde::{Deserialize, Serialize};
use tch::{Cuda, Device, Tensor, nn};

use crate::check::{Invalid, require};
use crate::optimizer::Optimizer;
use crate::tensor_file;

/// `[checkpoint]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// A checkpoint at every so many steps; 0 saves only at the end and on request.
    pub every_steps: u64,
    /// How many checkpoints to keep.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        CheckpointConfig { every_steps: 500, keep: 3 }
    }
}

impl CheckpointConfig {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        require(self.keep >= 1, "checkpoint.keep", self.keep, "at least 1")
    }
}

/// File of the final model.
pub const MODEL: &str = "model.safetensors";
/// File of all that goes on.
pub const TRAINING: &str = "training.safetensors";

const FAST: &str = "fast";
const OPTIMIZER: &str = "optimizer";
const GENERATOR: &str = "generator";
const SLOW: &str = "slow";

/// Writes the two files of a checkpoint into `folder`. `recalibrated` are the buffers that belong
/// to φ, where it has some of its own.
///
/// # Errors
/// Where the disk says no.
pub fn write(
    folder: &Path,
    vs: &nn::VarStore,
    state: &State,
    recalibrated: BTreeMap<String, Tensor>,
) -> anyhow::Result<()> {
    let variables: BTreeMap<String, Tensor> = vs.variables().into_iter().collect();
    let mut slow = state.part(SLOW).tensors;
    slow.extend(recalibrated);
    let model = variables
        .iter()
        .map(|(name, fast)| {
            let value = slow.get(name).unwrap_or(fast);
            // The model file has the model's element types; a wider φ is in the training file.
            Ok((name.clone(), value.f_to_kind(fast.kind())?))
        })
        .collect::<anyhow::Result<_>>()?;
    tensor_file::write(&folder.join(MODEL), &model)?;

    let mut training = State::default();
    training.nest(FAST, State { tensors: variables, ..State::default() });
    for (name, tensor) in &state.tensors {
        training.tensors.insert(format!("{OPTIMIZER}/{name}"), tensor.shallow_clone());
    }
    for (name, device) in generators() {
        training.tensors.insert(format!("{GENERATOR}/{name}"), generator::state(device)?);
    }
    tensor_file::write(&folder.join(TRAINING), &training.tensors)
}

/// The generators that a training may draw from.
fn generators() -> Vec<(String, Device)> {
    let cuda =
        (0..Cuda::device_count().max(0) as usize).map(|i| (format!("cuda{i}"), Device::Cuda(i)));
    std::iter::once(("cpu".to_owned(), Device::Cpu)).chain(cuda).collect()
}

/// Takes a checkpoint's training state on: θ and buffers, φ, the inner optimizer's state, the
/// generators. Everything is read and checked before the first change.
///
/// # Errors
/// Where a file can't be read or does not fit the model or the optimizer.
pub fn restore(
    folder: &Path,
    details: &Details,
    vs: &nn::VarStore,
    optimizer: &mut Optimizer,
) -> anyhow::Result<()> {
    let path = folder.join(TRAINING);
    let file = State { tensors: tensor_file::read(&path)?, ..State::default() };
    let fast = file.part(FAST).tensors;
    fits(vs, &fast, &path)?;
    let random = file.part(GENERATOR).tensors;
    let missing = || format!("{} holds no state of the CPU's random generator.", path.display());
    random.get("cpu").with_context(missing)?;

    copy_into(vs, &fast)?;
    optimizer.load_state(&State {
        tensors: file.part(OPTIMIZER).tensors,
        integers: of_the_optimizer(&details.integers),
        numbers: details.numbers.clone(),
    })?;
    for (name, device) in generators() {
        if let Some(state) = random.get(&name) {
            generator::set_state(device, state)?;
        }
    }
    Ok(())
}

/// Without the integers that the trainer keeps for itself.
fn of_the_optimizer(integers: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let own = integers.iter().filter(|(key, _)| !key.starts_with("data/"));
    own.map(|(key, value)| (key.clone(), *value)).collect()
}

/// Loads the weights of one set into the model: φ from the model file, θ from the training file.
///
/// # Errors
/// Where the file can't be read or does not fit the model; the model is as before then.
pub fn load_weights(folder: &Path, slow: bool, vs: &nn::VarStore) -> anyhow::Result<()> {
    let path = folder.join(if slow { MODEL } else { TRAINING });
    let mut tensors = tensor_file::read(&path)?;
    if !slow {
        tensors = State { tensors, ..State::default() }.part(FAST).tensors;
    }
    fits(vs, &tensors, &path)?;
    copy_into(vs, &tensors)
}

/// An error unless the tensors are the store's variables: same names, shapes and element types.
fn fits(vs: &nn::VarStore, tensors: &BTreeMap<String, Tensor>, path: &Path) -> anyhow::Result<()> {
    let variables = vs.variables();
    for (name, variable) in &variables {
        let Some(found) = tensors.get(name) else {
            bail!("{} has no tensor `{name}`: it was saved for another model.", path.display());
        };
        if (found.size(), found.kind()) != (variable.size(), variable.kind()) {
            bail!(
                "The tensor `{name}` in {} is {:?} of shape {:?}, and the model's is {:?} of shape \
                 {:?}: it was saved for another model.",
                path.display(),
                found.kind(),
                found.size(),
                variable.kind(),
                variable.size()
            );
        }
    }
    if let Some(name) = tensors.keys().find(|name| !variables.contains_key(*name)) {
        bail!("{} has a tensor `{name}` that the model lacks.", path.display());
    }
    Ok(())
}

fn copy_into(vs: &nn::VarStore, tensors: &BTreeMap<String, Tensor>) -> anyhow::Result<()> {
    let _guard = tch::no_grad_guard();
    for (name, mut variable) in vs.variables() {
        variable.f_copy_(&tensors[&name])?;
    }
    Ok(())
}

/// What of this machine may make a resumed run differ in its last bits, as a sentence.
pub fn other_bits(manifest: &Manifest, threads: u32, capability: &str) -> Option<String> {
    let saved = &manifest.details;
    let mut differences = Vec::new();
    if saved.threads != threads {
        differences.push(format!("{} threads then and {threads} now", saved.threads));
    }
    if saved.cpu_capability != capability {
        differences.push(format!("{} kernels then and {capability} now", saved.cpu_capability));
    }
    (!differences.is_empty()).then(|| {
        format!(
            "The checkpoint was saved with {}: sums are taken in another order, so the run goes \
             on correctly but may not be bit-identical to one that was never interrupted.",
            differences.join(", ")
        )
    })
}
