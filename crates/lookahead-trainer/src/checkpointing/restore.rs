//! A checkpoint that is read, checked, and only then loaded.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use lookahead_core::State;
use lookahead_core::tch_ext::generator;
use lookahead_run::{TrainingMetadata, checkpoint, shown};
use tch::{Tensor, nn};

use super::moment::{MOMENT, refuse_other_moment};
use super::{
    AVERAGE, FAST, GENERATOR, MODEL, OPTIMIZER, SOUND, TRAINING, generator_states,
    optimizer_entries,
};
use crate::optimizers::Optimizer;
use crate::tensor_file::TensorFile;
use crate::train::averaging::Average;
use crate::train::state::TrainState;
use crate::weights::copy_into;

/// A training's state in a checkpoint.
#[derive(Debug)]
pub struct Saved {
    /// The manifest.
    pub metadata: TrainingMetadata,
    /// The tensors of the training file.
    pub tensors: BTreeMap<String, Tensor>,
    /// Where they come from, for messages.
    pub place: PathBuf,
}

impl Saved {
    /// Reads a checkpoint, all of whose files are verified.
    ///
    /// # Errors
    /// If a file can't be read or is damaged.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let (metadata, tensors) = tensors_of(folder, TRAINING)?;
        Ok(Saved { metadata, tensors, place: shown(&folder.join(TRAINING)) })
    }
}

/// Loads a training state: θ and buffers, φ, the inner optimizer's state, the generators, and the mean of θ if the run
/// averages. Returns its manifest, and the buffers that a roll-back would restore.
///
/// Everything is checked against the model and the optimizer before the first change.
///
/// # Errors
/// If it does not fit the model or the optimizer. Nothing has changed then.
pub fn restore(
    saved: Saved,
    vs: &nn::VarStore,
    optimizer: &mut Optimizer,
    average: Option<&mut Average>,
) -> anyhow::Result<(TrainingMetadata, BTreeMap<String, Tensor>)> {
    let Saved { metadata, tensors, place: path } = saved;
    let averaged_steps = TrainState::from_metadata(&metadata)?.averaged_steps;
    let file = State { tensors, ..State::default() };
    for name in file.tensors.keys() {
        let section = name.split_once('/').map(|(section, _)| section);
        if !matches!(section, Some(FAST | OPTIMIZER | GENERATOR | SOUND | AVERAGE)) {
            bail!("{} has a tensor `{name}`, which this program does not know.", path.display());
        }
    }
    let fast = file.part(FAST).tensors;
    fits(vs, &fast, &path)?;
    let sound = file.part(SOUND).tensors;
    for (name, tensor) in &sound {
        let like = fast.get(name).map(|fast| (fast.size(), fast.kind()));
        if like != Some((tensor.size(), tensor.kind())) {
            bail!("{} has a tensor `{SOUND}/{name}` that the model lacks.", path.display());
        }
    }
    let mean = file.part(AVERAGE).tensors;
    if let Some(average) = &average {
        average.check(&mean).with_context(|| format!("{} does not fit.", path.display()))?;
    }
    let random = file.part(GENERATOR).tensors;
    let missing = || format!("{} holds no state of the CPU's random generator.", path.display());
    random.get("cpu").with_context(missing)?;
    let state = State {
        tensors: file.part(OPTIMIZER).tensors,
        integers: optimizer_entries(&metadata.integers),
        numbers: optimizer_entries(&metadata.numbers),
    };

    let before = generator_states()?;
    let loaded = (|| {
        for (name, device, _) in &before {
            if let Some(state) = random.get(name) {
                generator::set_state(*device, state)?;
            }
        }
        // It changes nothing if it refuses.
        Ok(optimizer.load_state(&state)?)
    })();
    if let Err(error) = loaded {
        for (_, device, state) in &before {
            generator::set_state(*device, state)?;
        }
        return Err(error);
    }
    copy_into(vs, &fast)?;
    if let Some(average) = average {
        average.load(averaged_steps, &mean)?;
    }
    // A state is loaded together with the fast weights in the model, which have just changed.
    optimizer.load_state(&state)?;
    Ok((metadata, sound))
}

/// Loads the weights of one set into the model: φ from the model file, θ from the training file.
///
/// # Errors
/// If the file can't be read or does not fit the model, which is unchanged then.
pub fn load_weights(folder: &Path, slow: bool, vs: &nn::VarStore) -> anyhow::Result<()> {
    let tensors = weights_of(folder, slow)?;
    fits(vs, &tensors, &folder.join(if slow { MODEL } else { TRAINING }))?;
    copy_into(vs, &tensors)
}

/// The weights of one set and their buffers: φ from the model file, θ from the training file.
///
/// # Errors
/// If the checkpoint is damaged.
pub fn weights_of(folder: &Path, slow: bool) -> anyhow::Result<BTreeMap<String, Tensor>> {
    let (_, tensors) = tensors_of(folder, if slow { MODEL } else { TRAINING })?;
    Ok(if slow { tensors } else { State { tensors, ..State::default() }.part(FAST).tensors })
}

/// The tensors of one file of a checkpoint, all of whose files are verified.
fn tensors_of(
    folder: &Path,
    file: &str,
) -> anyhow::Result<(TrainingMetadata, BTreeMap<String, Tensor>)> {
    let (manifest, mut contents) = checkpoint::read(folder, &[file])?;
    let bytes = contents.remove(file).unwrap_or_default();
    let tensors = TensorFile::new(Cursor::new(bytes)).and_then(|mut file| {
        refuse_other_moment(file.entry(MOMENT), &manifest.metadata)?;
        file.tensors()
    });
    let what = || format!("The file {} can't be used.", shown(&folder.join(file)).display());
    Ok((manifest.metadata, tensors.with_context(what)?))
}

/// An error unless the tensors are the store's variables: same names, shapes and element types.
fn fits(vs: &nn::VarStore, tensors: &BTreeMap<String, Tensor>, path: &Path) -> anyhow::Result<()> {
    let variables = vs.variables();
    for (name, variable) in &variables {
        let Some(found) = tensors.get(name) else {
            bail!("{} has no tensor `{name}`: it is of another model.", path.display());
        };
        if (found.size(), found.kind()) != (variable.size(), variable.kind()) {
            bail!(
                "The tensor `{name}` in {} is {:?} of shape {:?}, and the model's is {:?} of shape \
                 {:?}: it is of another model.",
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
