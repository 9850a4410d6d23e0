//! The contents of a checkpoint, copied in memory while training waits.

use std::collections::BTreeMap;

use lookahead_core::State;
use tch::{Device, Tensor, nn};

use super::ranks::is_shared;
use super::{AVERAGE, FAST, GENERATOR, OPTIMIZER, SOUND, generator_states};
use crate::optimizers::Optimizer;
use crate::tensor_file::{self, Entry};
use crate::train::averaging::Average;

/// A training at one moment, on the CPU, sharing no memory with it. It is reused for the next one: a run needs the
/// memory of one more training state, and each snapshot but the first costs one copy.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// θ and the buffers.
    fast: State,
    /// φ and the inner optimizer's state.
    optimizer: State,
    /// The part of that with the final model.
    result_part: Option<&'static str>,
    generators: BTreeMap<String, Tensor>,
    /// The mean of θ or of φ, if the run averages.
    average: State,
    /// What is in that mean.
    averaged_steps: u64,
    /// The buffers that belong to φ, if they are not θ's.
    recalibrated: BTreeMap<String, Tensor>,
    /// The buffers that a roll-back to φ would restore.
    sound: BTreeMap<String, Tensor>,
    /// The final model, if a last sync came after all of the above.
    final_model: BTreeMap<String, Tensor>,
}

impl Snapshot {
    /// Copies everything. `recalibrated` are the buffers that belong to φ, if they are not θ's; `sound` those that a
    /// roll-back would restore. Both are copies already.
    ///
    /// # Errors
    /// Those of libtorch and the optimizer; then the snapshot is useless, but can be taken again.
    pub fn take(
        &mut self,
        vs: &nn::VarStore,
        optimizer: &mut Optimizer,
        average: Option<&Average>,
        recalibrated: BTreeMap<String, Tensor>,
        sound: BTreeMap<String, Tensor>,
    ) -> anyhow::Result<()> {
        let mut earlier = std::mem::take(&mut self.fast);
        for (name, tensor) in vs.variables() {
            self.fast.copy_into_reused(name, &tensor, &mut earlier)?;
        }
        let mut earlier = std::mem::take(&mut self.average);
        self.averaged_steps = average.map_or(0, Average::count);
        for (name, tensor) in average.into_iter().flat_map(Average::tensors) {
            self.average.copy_into_reused(name.clone(), tensor, &mut earlier)?;
        }
        optimizer.state_into(&mut self.optimizer)?;
        self.result_part = optimizer.result_part();
        let states = generator_states()?.into_iter();
        self.generators = states.map(|(name, _, state)| (name, state)).collect();
        (self.recalibrated, self.sound) = (recalibrated, sound);
        self.final_model.clear();
        // Only the first time on a GPU: later copies go to these.
        let (fast, optimizer) = (&mut self.fast.tensors, &mut self.optimizer.tensors);
        let average = &mut self.average.tensors;
        let all = [fast, optimizer, average, &mut self.recalibrated, &mut self.sound];
        for tensor in all.into_iter().flat_map(BTreeMap::values_mut) {
            if tensor.device() != Device::Cpu {
                *tensor = tensor.f_to_device(Device::Cpu)?;
            }
        }
        Ok(())
    }

    /// Adds the final model: the weights after the last sync, with the `recalibrated` buffers if there are any, or the
    /// `average`. All else stays as it is.
    pub(crate) fn take_final_model(
        &mut self,
        vs: &nn::VarStore,
        average: Option<&Average>,
        recalibrated: BTreeMap<String, Tensor>,
    ) -> anyhow::Result<()> {
        anyhow::ensure!(!self.fast.tensors.is_empty(), "The state before the last sync is gone.");
        let _guard = tch::no_grad_guard();
        self.final_model = vs.variables().into_iter().collect();
        self.final_model.extend(recalibrated);
        let means = average.into_iter().flat_map(Average::tensors);
        self.final_model.extend(means.map(|(name, mean)| (name.clone(), mean.shallow_clone())));
        for tensor in self.final_model.values_mut() {
            *tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.copy();
        }
        Ok(())
    }

    /// How many steps, or syncs, are in the mean of the training state.
    pub(crate) fn averaged_steps(&self) -> u64 {
        self.averaged_steps
    }

    /// Integers of the optimizer.
    pub fn integers(&self) -> &BTreeMap<String, i64> {
        &self.optimizer.integers
    }

    /// Numbers of the optimizer.
    pub fn numbers(&self) -> &BTreeMap<String, f64> {
        &self.optimizer.numbers
    }

    /// The final model: the mean, φ, or θ, in the model's element types. The training file has the wider φ.
    pub(super) fn model(&self) -> Vec<Entry> {
        let entry = |(name, fast): (&String, &Tensor)| {
            let result = self.result_part.map(|part| format!("{part}/{name}"));
            let result = result.and_then(|key| self.optimizer.tensors.get(&key));
            let mean = self.average.tensors.get(name);
            let last = self.final_model.get(name).or(self.recalibrated.get(name));
            let value = last.or(mean).or(result).unwrap_or(fast);
            (name.clone(), value.shallow_clone(), fast.kind())
        };
        self.fast.tensors.iter().map(entry).collect()
    }

    /// The training state.
    pub(super) fn training(&self) -> Vec<Entry> {
        let sections = [
            (FAST, &self.fast.tensors),
            (OPTIMIZER, &self.optimizer.tensors),
            (GENERATOR, &self.generators),
            (SOUND, &self.sound),
            (AVERAGE, &self.average.tensors),
        ];
        let all = sections.into_iter().flat_map(|(section, tensors)| {
            tensors.iter().map(move |(name, tensor)| {
                (format!("{section}/{name}"), tensor.shallow_clone(), tensor.kind())
            })
        });
        all.collect()
    }

    /// A file of this process's training state, without φ, which is the same in all processes.
    pub(crate) fn own_part(&self) -> anyhow::Result<Vec<u8>> {
        let mut entries = self.training();
        entries.retain(|(name, _, _)| !is_shared(name));
        let mut bytes = Vec::new();
        tensor_file::write_to(&mut bytes, None, entries, |_, _, _| Ok(()))?;
        Ok(bytes)
    }

    /// Bytes of all its tensors.
    pub fn bytes(&self) -> usize {
        let all = self.training().into_iter();
        all.map(|(_, tensor, kind)| tensor.numel() * kind.elt_size_in_bytes()).sum()
    }
}
