//! The event logs of runs as TensorBoard's event files.

use std::path::{Path, PathBuf};

use lookahead_run::tensorboard;

use super::runs::{Named, refuse_run_folder};
use crate::console::eprint_line;
use crate::usage::UsageError;

/// Writes an event file for each run into the folder of its name in `folder`.
///
/// # Errors
/// If one exists without `force`, a log can't be read, or a file can't be written.
pub(super) fn export(runs: &[Named], folder: &Path, force: bool) -> anyhow::Result<()> {
    if folder.is_file() {
        return Err(UsageError::new(format!(
            "`--tensorboard` is {}, a file. Use the name of a folder.",
            folder.display()
        ))
        .into());
    }
    let folders: Vec<_> = runs.iter().map(|named| folder.join(&named.name)).collect();
    for own in &folders {
        check(own, force)?;
    }
    for (named, own) in runs.iter().zip(&folders) {
        let file = tensorboard::export(&named.run, own)?;
        eprint_line(format_args!("Written: {}", file.display()));
    }
    eprint_line(format_args!("Show with: tensorboard --logdir {}", folder.display()));
    Ok(())
}

/// Refuses the folder of a run, and one with an exported file.
fn check(folder: &Path, force: bool) -> anyhow::Result<()> {
    refuse_run_folder(folder, "Use another folder for `--tensorboard`, or set `log.tensorboard`.")?;
    let is_written = |file: &&PathBuf| file.metadata().is_ok_and(|found| found.len() > 0);
    let files = tensorboard::files(folder)?;
    if let Some(file) = files.iter().find(is_written).filter(|_| !force) {
        return Err(UsageError::new(format!(
            "{} has an event file of a run of this name, {}. Use another folder, or `--force` to replace it.",
            folder.display(),
            file.file_name().unwrap_or_default().display()
        ))
        .into());
    }
    Ok(())
}
