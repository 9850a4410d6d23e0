//! The model of a checkpoint, as safetensors or TorchScript.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;
use lookahead_run::event::Task;
use lookahead_run::{Checkpoint, Manifest, RunFolder};
use tch::Device;

use super::super::find;
use super::super::selection::{are_final, label, open_run, retry_while_pruned, select_result};
use crate::checkpointing::restore::{load_weights, weights_of};
use crate::cli;
use crate::config::Config;
use crate::console::eprint_line;
use crate::data::DataSpec;
use crate::output_file;
use crate::panics::caught;
use crate::registry::Registry;
use crate::tensor_file::{SIGNATURE, entries, write_new};
use crate::usage::UsageError;

/// What is written, by the extension of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// `.safetensors`: tensors under the model's names.
    Weights,
    /// `.pt`: TorchScript, the tensors with the code.
    Module,
}

/// Writes one set of weights and its buffers under the model's names, as a file of weights or as a TorchScript module.
///
/// # Errors
/// If the run or a checkpoint can't be read, or the file exists without `--force` or can't be written; for a module, if the model
/// can't be built or traced.
pub(super) fn export(
    registry: &Registry,
    arguments: &cli::Export,
    output: &Path,
) -> anyhow::Result<()> {
    let kinds = registry.kinds();
    if let [_, another, ..] = &arguments.runs[..] {
        return Err(UsageError::new(format!(
            "`--output` takes the model of one run, and `{}` is another. Leave it out, or use `--csv` or \
             `--tensorboard`, which take several.",
            another.display()
        ))
        .into());
    }
    let run = arguments.runs.first().map(PathBuf::as_path);
    let (run, from) = find::checkpoint(run, arguments.from)?;
    let (folder, config, weights) = open_run(kinds, &run, arguments.weights)?;
    let format = format_of(output)?;
    output_file::check(output, arguments.force)?;
    let is_final = are_final(weights, &config);
    let (checkpoint, manifest, notes, count) = retry_while_pruned(&folder, || {
        let (checkpoint, manifest, notes) = select_result(kinds, &folder, from)?;
        let count = write_to(output, arguments.force, |file| match format {
            Format::Weights => write_weights(&checkpoint, &manifest, is_final, file),
            Format::Module => {
                let selected = (&folder, &checkpoint, &manifest);
                caught(|| write_module(registry, &config, selected, is_final, file))
            }
        })?;
        Ok((checkpoint, manifest, notes, count))
    })?;
    notes.into_iter().for_each(eprint_line);
    if manifest.metadata.signature.is_null() {
        eprint_line(format_args!(
            "Note: an earlier version saved {}, without the normalization of the inputs, the alphabet and the class \
             names. {} lacks them too.",
            checkpoint.name(),
            output.display()
        ));
    }
    let set = label(weights);
    let form = if format == Format::Module { ", as a TorchScript module," } else { "," };
    eprint_line(format_args!(
        "{count} tensors, {set} of {}{form} in {}",
        checkpoint.name(),
        output.display()
    ));
    Ok(())
}

/// Calls `write` with the name of a file that it creates. With `force` it is not `output` but a file that replaces it
/// once it is complete.
fn write_to(
    output: &Path,
    force: bool,
    write: impl FnOnce(&Path) -> anyhow::Result<usize>,
) -> anyhow::Result<usize> {
    let Some(name) = output.file_name().filter(|_| force) else { return write(output) };
    let failed = || format!("The file {} can't be written.", output.display());
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let aside = tempfile::Builder::new().prefix(".export-").tempdir_in(folder);
    let aside = aside.with_context(failed)?;
    let file = aside.path().join(name);
    let count = write(&file)?;
    std::fs::rename(file, output).with_context(failed)?;
    Ok(count)
}

/// The signature as JSON. Early versions saved none.
fn signature(manifest: &Manifest) -> Option<String> {
    let signature = &manifest.metadata.signature;
    (!signature.is_null()).then(|| signature.to_string())
}

/// Writes the tensors, and returns how many there are.
fn write_weights(
    checkpoint: &Checkpoint,
    manifest: &Manifest,
    is_final: bool,
    output: &Path,
) -> anyhow::Result<usize> {
    let tensors = weights_of(&checkpoint.path, is_final)?;
    let count = tensors.len();
    write_new(output, signature(manifest).as_deref(), entries(tensors))?;
    Ok(count)
}

/// Builds the model on the CPU, writes it as a TorchScript module with the signature as its extra file, and returns how
/// many tensors it has.
fn write_module(
    registry: &Registry,
    config: &Config,
    (folder, checkpoint, manifest): (&RunFolder, &Checkpoint, &Manifest),
    is_final: bool,
    output: &Path,
) -> anyhow::Result<usize> {
    let signature = signature(manifest);
    let spec: DataSpec = match &signature {
        Some(text) => serde_json::from_str(text).context("The signature can't be read.")?,
        None => registry.load_data(&config.data)?.spec,
    };
    if spec.task == Task::Quadratic {
        return Err(UsageError::new(format!(
            "{} has found a minimum, and its model computes nothing for other programs. Use {}, which has the point.",
            folder.name(),
            output.with_extension("safetensors").display()
        ))
        .into());
    }
    // Other programs choose their device, and without autocast.
    let model = registry.build_model(&config.model, &spec, Device::Cpu)?;
    load_weights(&checkpoint.path, is_final, &model.vs)?;
    model.with_module(&spec, |module| {
        let written = File::create_new(output).map_err(anyhow::Error::from).and_then(|_| {
            let extra = signature.as_deref().map(|text| (SIGNATURE, text));
            let saved = module.save(output, extra).map_err(anyhow::Error::from);
            let saved = saved.and_then(|()| Ok(File::open(output)?.sync_all()?));
            saved.inspect_err(|_| drop(std::fs::remove_file(output)))
        });
        written.with_context(|| format!("The file {} can't be written.", output.display()))
    })?;
    Ok(model.vs.len())
}

/// The format that a name asks for.
fn format_of(output: &Path) -> Result<Format, UsageError> {
    let ends_with = |ending| output.extension().is_some_and(|own| own.eq_ignore_ascii_case(ending));
    if ends_with("safetensors") {
        return Ok(Format::Weights);
    }
    if ends_with("pt") {
        return Ok(Format::Module);
    }
    let lacks = if output.extension().is_none() { ", without an ending" } else { "" };
    Err(UsageError::new(format!(
        "`--output` is {}{lacks}. Use {} for the weights alone, which `safetensors.torch.load_file` reads in Python, or {} \
         for a TorchScript module, which `torch.jit.load` runs.",
        output.display(),
        output.with_extension("safetensors").display(),
        output.with_extension("pt").display()
    )))
}
