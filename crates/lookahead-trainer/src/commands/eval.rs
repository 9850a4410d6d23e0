//! `lookahead eval`: evaluates a saved model on the test set.

use std::collections::BTreeMap;

use anyhow::Context;
use lookahead_run::RunFolder;
use lookahead_run::event::{MetricInfo, Split, Task, Weights};
use lookahead_run::format::count;
use serde::Serialize;

use super::find;
use super::selection::{are_final, label, open_run, retry_while_pruned, select_result};
use crate::checkpointing::restore::load_weights;
use crate::cli;
use crate::config::kinds::Kinds;
use crate::console::{eprint_line, print_data, print_line};
use crate::data::Dataset;
use crate::models::Model;
use crate::panics::caught;
use crate::registry::Registry;
use crate::train::evaluation::evaluate;
use crate::train::setup::refuse_other_contents;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct EvalReport<'a> {
    run: &'a str,
    step: u64,
    weights: Weights,
    split: Split,
    #[serde(with = "lookahead_run::number")]
    loss: f64,
    /// Only if something is classified.
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    /// Only for text.
    #[serde(skip_serializing_if = "Option::is_none")]
    perplexity: Option<f64>,
    /// All that fit the task, not only those of the config.
    #[serde(with = "lookahead_run::number::map", skip_serializing_if = "BTreeMap::is_empty")]
    metrics: BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confusion_matrix: Option<Vec<Vec<u64>>>,
    samples: u64,
}

/// Evaluates a run's model on the test set. Writes nothing into the run.
pub fn eval(registry: &Registry, arguments: &cli::Eval) -> anyhow::Result<()> {
    let (run, from) = find::checkpoint(arguments.run.as_deref(), arguments.from)?;
    let (folder, config, weights) = open_run(registry.kinds(), &run, arguments.weights)?;
    // This machine may lack the run's device.
    let device = config.train.device().unwrap_or(tch::Device::Cpu);
    config.train.use_threads();
    let data = registry.load_data(&config.data)?;
    let task = registry.build_objective(&config, &data.spec, device)?.info();
    let things = match (task.kind, data.spec.inputs.shape.len()) {
        (Task::Language, _) => "characters",
        (_, 3) => "images",
        _ => "samples",
    };
    let (step, found) = caught(|| {
        let model = registry.build_model(&config.model, &data.spec, device)?;
        let model = model.computing_as(&config.train)?;
        if let Some(note) = model.note() {
            eprint_line(format_args!("Note: {note}"));
        }
        let load =
            || load(registry.kinds(), &folder, from, are_final(weights, &config), (&model, &data));
        let step = retry_while_pruned(&folder, load)?;
        let objective = registry.build_full_objective(&config, &data.spec, device)?;
        let found = evaluate(&objective, &model, &*data.test, Split::Test, weights, || false)?;
        Ok((step, found.context("An evaluation without a stop ends.")?))
    })?;

    if arguments.json {
        let report = EvalReport {
            run: folder.name(),
            step,
            weights,
            split: Split::Test,
            loss: found.loss,
            accuracy: Some(found.accuracy).filter(|accuracy| !accuracy.is_nan()),
            perplexity: found.metrics.get("perplexity").copied(),
            metrics: found.metrics,
            confusion_matrix: found.confusion_matrix,
            samples: found.samples,
        };
        return Ok(print_data(serde_json::to_string(&report)?)?);
    }
    let (run, set, data, loss) = (folder.name(), label(weights), data.name, found.loss);
    let step = count(step);
    if task.kind == Task::Quadratic {
        let text =
            format!("{run} at step {step}, {set}: loss {loss:.6e} above the minimum of {data}");
        return Ok(print_line(text)?);
    }
    let values = task.metrics.iter().filter_map(|metric| {
        Some(format!("{} {}", metric.label(), metric.format(found.value(&metric.name)?)))
    });
    let mut values: Vec<String> = values.collect();
    // The most important number comes first.
    values.insert(values.len().min(1), format!("loss {}", MetricInfo::loss().format(loss)));
    let (values, samples) = (values.join(", "), count(found.samples));
    let text =
        format!("{run} at step {step}, {set}: test {values}, on {samples} {things} of {data}");
    Ok(print_line(text)?)
}

/// Loads the weights of the selected checkpoint and returns its step.
fn load(
    kinds: &Kinds,
    folder: &RunFolder,
    from: Option<cli::CheckpointArgument>,
    is_final: bool,
    (model, data): (&Model, &Dataset),
) -> anyhow::Result<u64> {
    let (checkpoint, manifest, notes) = select_result(kinds, folder, from)?;
    // With another alphabet, the result would be meaningless.
    refuse_other_contents(data, &manifest.metadata)?;
    load_weights(&checkpoint.path, is_final, &model.vs)?;
    notes.into_iter().for_each(eprint_line);
    Ok(checkpoint.step)
}
