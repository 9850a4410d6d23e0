//! A model from a checkpoint alone, without its training data.

use std::path::Path;

use lookahead_run::event::{Task, Weights};
use lookahead_run::program_name;
use serde_json::Value;

use super::find;
use super::selection::{are_final, open_run, retry_while_pruned, select_result};
use crate::checkpointing::restore::load_weights;
use crate::cli::{CheckpointArgument, WeightsArgument};
use crate::config::Config;
use crate::console::eprint_line;
use crate::data::DataSpec;
use crate::models::Model;
use crate::registry::Registry;
use crate::usage::UsageError;

/// A model with the weights of a checkpoint, ready to be used.
#[derive(Debug)]
pub(super) struct SavedModel {
    /// The model.
    pub(super) model: Model,
    /// Its inputs and outputs.
    pub(super) spec: DataSpec,
    /// The run's config.
    pub(super) config: Config,
    /// The run's name.
    pub(super) run: String,
    /// The checkpoint's step.
    pub(super) step: u64,
    /// Which weights it has.
    pub(super) weights: Weights,
}

impl SavedModel {
    /// Builds the model that the signature in a checkpoint's manifest describes, and loads the weights. The run is what
    /// was typed; by default the latest.
    ///
    /// # Errors
    /// If the run or the checkpoint can't be read, or its manifest has no signature; for a quadratic problem, whose
    /// model has no inputs.
    pub(super) fn load(
        registry: &Registry,
        run: Option<&Path>,
        weights: Option<WeightsArgument>,
        from: Option<CheckpointArgument>,
    ) -> anyhow::Result<SavedModel> {
        let (run, from) = find::checkpoint(run, from)?;
        let (folder, config, weights) = open_run(registry.kinds(), &run, weights)?;
        // This machine may lack the run's device.
        let device = config.train.device().unwrap_or(tch::Device::Cpu);
        config.train.use_threads();
        let load = || {
            let (checkpoint, manifest, notes) = select_result(registry.kinds(), &folder, from)?;
            let spec = parse(&manifest.metadata.signature, &checkpoint.name())?;
            let model = registry.build_model(&config.model, &spec, device)?;
            let model = model.computing_as(&config.train)?;
            load_weights(&checkpoint.path, are_final(weights, &config), &model.vs)?;
            Ok((model, spec, checkpoint.step, notes))
        };
        let (model, spec, step, notes) = retry_while_pruned(&folder, load)?;
        notes
            .into_iter()
            .chain(model.note().map(|note| format!("Note: {note}")))
            .for_each(eprint_line);
        let run = folder.name().to_owned();
        Ok(SavedModel { model, spec, config, run, step, weights })
    }
}

/// The spec by the signature in a checkpoint's manifest.
fn parse(signature: &Value, name: &str) -> anyhow::Result<DataSpec> {
    if signature.is_null() {
        return Err(UsageError::new(format!(
            "An earlier version saved {name}, without the description of the model's inputs (`signature`). Resume \
             the run, for example for one more step (`--set train.max_steps=…`): its next checkpoint has it."
        ))
        .into());
    }
    let spec: DataSpec = serde_json::from_value(signature.clone()).map_err(|error| {
        anyhow::anyhow!(
            "The description of the model's inputs (`signature`) in {name} can't be used: {error}. If a later \
             version of this program saved it, use that one."
        )
    })?;
    if spec.task == Task::Quadratic {
        return Err(UsageError::new(format!(
            "The model of {} is a point, so it has no inputs and nothing to predict. `{} eval` prints its loss.",
            spec.data,
            program_name()
        ))
        .into());
    }
    Ok(spec)
}

#[cfg(test)]
mod tests;
