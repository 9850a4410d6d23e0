//! `lookahead export`: writes the weights of a checkpoint to a file for other programs.

use std::path::Path;

use super::selection::{are_final, label, open_run, retry_while_pruned, select_result};
use crate::checkpointing::restore::weights_of;
use crate::cli;
use crate::config::kinds::Kinds;
use crate::console::eprint_line;
use crate::tensor_file::{entries, write_new};
use crate::usage::UsageError;

/// Writes one set of weights and its buffers under the model's names.
///
/// # Errors
/// If the run or a checkpoint can't be read, or the file exists or can't be written.
pub fn export(kinds: &Kinds, arguments: &cli::Export) -> anyhow::Result<()> {
    let (folder, config, weights) = open_run(kinds, &arguments.run, arguments.weights)?;
    let output = &arguments.output;
    refuse_other_formats(output)?;
    if output.symlink_metadata().is_ok() {
        return Err(UsageError::new(format!(
            "{} exists, and files are never overwritten. Use another name for `--output`.",
            output.display()
        ))
        .into());
    }
    let is_final = are_final(weights, &config);
    let (checkpoint, manifest, notes, tensors) = retry_while_pruned(&folder, || {
        let (checkpoint, manifest, notes) = select_result(kinds, &folder, arguments.from)?;
        let tensors = weights_of(&checkpoint.path, is_final)?;
        Ok((checkpoint, manifest, notes, tensors))
    })?;
    notes.into_iter().for_each(eprint_line);
    let count = tensors.len();
    let signature = manifest.metadata.signature;
    let signature = (!signature.is_null()).then(|| signature.to_string());
    write_new(output, signature.as_deref(), entries(tensors))?;
    if signature.is_none() {
        eprint_line(format_args!(
            "Note: an earlier version saved {}, without the normalization of the inputs, the alphabet and the class \
             names. {} lacks them too.",
            checkpoint.name(),
            output.display()
        ));
    }
    let set = label(weights);
    eprint_line(format_args!(
        "{count} tensors, {set} of {}, in {}",
        checkpoint.name(),
        output.display()
    ));
    Ok(())
}

/// Refuses a name that looks like another format.
fn refuse_other_formats(output: &Path) -> Result<(), UsageError> {
    match output.extension() {
        Some(extension) if !extension.eq_ignore_ascii_case("safetensors") => {
            Err(UsageError::new(format!(
                "`--output` is {}, but only safetensors files are written. Use {}, which \
                 `safetensors.torch.load_file` reads in Python.",
                output.display(),
                output.with_extension("safetensors").display()
            )))
        }
        _ => Ok(()),
    }
}
