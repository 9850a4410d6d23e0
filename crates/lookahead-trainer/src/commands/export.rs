//! `lookahead export`: what a run has, for other programs.
//!
//! | module | what it writes |
//! |---|---|
//! | `model` | the model of a checkpoint, as safetensors or TorchScript |
//! | `tables` | the event logs of runs as CSV |
//! | `tensorboard` | the event logs of runs as TensorBoard's event files |
//! | `runs` | the runs that were named, those of sweeps too |

mod model;
mod runs;
mod tables;
mod tensorboard;

use crate::cli;
use crate::registry::Registry;

/// Writes the model of a checkpoint, or the event logs of runs.
///
/// # Errors
/// If a run or a checkpoint can't be read, or a file exists without `--force` or can't be written; for a module, if the model
/// can't be built or traced.
pub fn export(registry: &Registry, arguments: &cli::Export) -> anyhow::Result<()> {
    if let Some(output) = &arguments.output {
        return model::export(registry, arguments, output);
    }
    let runs = runs::find(&arguments.runs)?;
    if let Some(folder) = &arguments.csv {
        tables::export(&runs, folder, arguments.force)?;
    }
    if let Some(folder) = &arguments.tensorboard {
        tensorboard::export(&runs, folder, arguments.force)?;
    }
    Ok(())
}
