//! `lookahead predict`: what a model says of samples of one's own.

use lookahead_core::tch_ext::inference;

use super::saved_model::SavedModel;
use super::selection::label;
use crate::cli;
use crate::console::eprint_line;
use crate::panics::caught;
use crate::predict::chunks::Chunk;
use crate::predict::outputs::Outputs;
use crate::predict::preparation::Preparation;
use crate::predict::rows::{RowWriter, Target};
use crate::predict::source::Source;
use crate::registry::Registry;
use crate::usage::UsageError;

/// Predicts for the samples in files, in chunks, and writes a row for each in their order.
///
/// # Errors
/// If the run or an input can't be used, or the output exists or can't be written.
pub fn predict(registry: &Registry, arguments: &cli::Predict) -> anyhow::Result<()> {
    let sources = Source::all(&arguments.inputs)?;
    let target = Target::new(arguments.output.as_deref(), arguments.force)?;
    caught(|| {
        let saved =
            SavedModel::load(registry, Some(&arguments.run), arguments.weights, arguments.from)?;
        let SavedModel { model, spec, config, run, step, weights } = &saved;
        let outputs = Outputs::new(spec, run)?;
        let preparation =
            Preparation::new(spec, &config.data, arguments.array.as_deref(), model.vs.device())?;
        let has_files = sources.iter().any(Source::has_files);
        let mut rows = RowWriter::new(target, arguments.format, &outputs, has_files)?;
        let at_once = model.evaluation_batch_size();
        for source in &sources {
            let before = rows.rows();
            let mut take = |Chunk { inputs, origin }: Chunk<'_>| {
                let _no_grad = tch::no_grad_guard();
                let _inference = inference::guard();
                let found = model.forward(&inputs, false);
                rows.write(origin, &outputs.predictions(&found, origin)?)
            };
            source.read(&preparation, at_once, &mut take)?;
            if rows.rows() == before {
                let name = source.name();
                return Err(UsageError::new(format!(
                    "{name} has no samples, so there is nothing to predict."
                ))
                .into());
            }
        }
        let count = rows.rows();
        if let Some(path) = rows.finish()? {
            let (weights, path) = (label(*weights), path.display());
            eprint_line(format_args!(
                "{count} predictions by the {weights} of {run} at step {step}, in {path}"
            ));
        }
        Ok(())
    })
}
