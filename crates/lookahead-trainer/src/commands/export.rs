//! `lookahead export`: weights out of a checkpoint, for other programs.

use std::path::Path;

use lookahead_run::RunFolder;

use super::{
    are_final, label, refuse_other_program, retry_while_pruned, select_result, which_weights,
};
use crate::checkpointing::restore::weights_of;
use crate::cli;
use crate::config::Config;
use crate::console::eprint_line;
use crate::tensor_file::{entries, write_new};
use crate::usage::UsageError;

/// Writes one set of weights, and the buffers that belong to it, under the model's own names.
///
/// # Errors
/// Where the run or a checkpoint can't be read, or the file is there already or can't be written.
pub fn export(arguments: &cli::Export) -> anyhow::Result<()> {
    let folder = RunFolder::open(&arguments.run)?;
    refuse_other_program(&folder)?;
    let place = folder.config_path().display().to_string();
    let config = Config::parse(&place, &folder.read_config()?, &[])?.config;
    let weights = which_weights(arguments.weights, &config, folder.name())?;
    let output = &arguments.output;
    refuse_other_formats(output)?;
    if output.symlink_metadata().is_ok() {
        return Err(UsageError::new(format!(
            "{} exists, and an existing file is never overwritten: give another name to `--output`.",
            output.display()
        ))
        .into());
    }
    let slow = are_final(weights, &config);
    let (checkpoint, manifest, notes, tensors) = retry_while_pruned(&folder, || {
        let (checkpoint, manifest, notes) = select_result(&folder, arguments.from)?;
        let tensors = weights_of(&checkpoint.path, slow)?;
        Ok((checkpoint, manifest, notes, tensors))
    })?;
    notes.into_iter().for_each(eprint_line);
    let count = tensors.len();
    let signature = manifest.metadata.signature;
    let signature = (!signature.is_null()).then(|| signature.to_string());
    write_new(output, signature.as_deref(), entries(tensors))?;
    if signature.is_none() {
        eprint_line(format_args!(
            "Note: an earlier version saved {}, without the mean and standard deviation of the inputs, the \
             alphabet, and the class names: they aren't in {} either.",
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

/// A name that promises another format would mislead whoever loads the file.
fn refuse_other_formats(output: &Path) -> Result<(), UsageError> {
    match output.extension() {
        Some(extension) if !extension.eq_ignore_ascii_case("safetensors") => {
            Err(UsageError::new(format!(
                "`--output` is {}, and only safetensors files are written: use {}, which \
             `safetensors.torch.load_file` reads in Python.",
                output.display(),
                output.with_extension("safetensors").display()
            )))
        }
        _ => Ok(()),
    }
}
