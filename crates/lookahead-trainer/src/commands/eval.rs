//! `lookahead eval`: evaluates a saved model on the test set.

use anyhow::Context;
use lookahead_run::RunFolder;
use lookahead_run::event::{Split, Task, Weights};
use serde::Serialize;

use super::selection::{are_final, label, open_run, retry_while_pruned, select_result};
use crate::checkpointing::restore::load_weights;
use crate::cli;
use crate::config::kinds::Kinds;
use crate::console::{eprint_line, print_line};
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
    samples: u64,
}

/// Evaluates a run's model on the test set. Writes nothing into the run.
pub fn eval(registry: &Registry, arguments: &cli::Eval) -> anyhow::Result<()> {
    let (folder, config, weights) = open_run(registry.kinds(), &arguments.run, arguments.weights)?;
    // This machine may lack the run's device.
    let device = config.train.device().unwrap_or(tch::Device::Cpu);
    config.train.use_threads();
    let data = registry.load_data(&config.data)?;
    let (step, found) = caught(|| {
        let model = registry.build_model(&config.model, &data.spec, device)?;
        let model = model.computing_as(&config.train)?;
        if let Some(note) = model.note() {
            eprint_line(format_args!("Note: {note}"));
        }
        let load = || {
            load(
                registry.kinds(),
                &folder,
                arguments.from,
                are_final(weights, &config),
                (&model, &data),
            )
        };
        let step = retry_while_pruned(&folder, load)?;
        let found = evaluate(&model, &*data.test, Split::Test, weights, || false)?;
        Ok((step, found.context("An evaluation without a stop ends.")?))
    })?;

    let task = data.spec.task;
    if arguments.json {
        let report = EvalReport {
            run: folder.name(),
            step,
            weights,
            split: Split::Test,
            loss: found.loss,
            accuracy: Some(found.accuracy).filter(|accuracy| !accuracy.is_nan()),
            perplexity: (task == Task::Language).then(|| found.loss.exp()),
            samples: found.samples,
        };
        print_line(serde_json::to_string(&report)?)?;
    } else {
        let (run, set, percent, loss) =
            (folder.name(), label(weights), 100.0 * found.accuracy, found.loss);
        let (samples, data) = (found.samples, data.name);
        print_line(match task {
            Task::Classification => format!(
                "{run} at step {step}, {set}: test accuracy {percent:.2} %, loss {loss:.4}, on \
                 {samples} images of {data}"
            ),
            Task::Language => format!(
                "{run} at step {step}, {set}: test perplexity {:.4}, loss {loss:.4}, accuracy \
                 {percent:.2} %, on {samples} characters of {data}",
                loss.exp()
            ),
            Task::Quadratic => {
                format!("{run} at step {step}, {set}: loss {loss:.6e} above the minimum of {data}")
            }
            _ => format!(
                "{run} at step {step}, {set}: test loss {loss:.4}, on {samples} samples of {data}"
            ),
        })?;
    }
    Ok(())
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
