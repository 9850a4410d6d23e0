//! `lookahead train`: a new run.

use anyhow::Context;
use lookahead_run::RunFolder;
use lookahead_run::event::Event;

use super::{run_to_the_end, warn};
use crate::cli;
use crate::config::Config;
use crate::say::say;
use crate::training::{Outside, Training};

/// Starts a run from a config.
///
/// # Errors
/// Where the config, the data or the training fails. A run that can't begin leaves no folder.
pub fn train(arguments: &cli::Train) -> anyhow::Result<()> {
    let loaded = Config::load(&arguments.config, &arguments.shared.overrides)?;
    // A name that can't be had should not cost the time to load the data.
    if let Some(name) = &arguments.name {
        RunFolder::check_free(&arguments.out, name)?;
    }
    for note in &loaded.notes {
        say(format_args!("Note: {note}"));
    }
    let mut training = Training::new(loaded.config.clone())?;

    let folder = match &arguments.name {
        Some(name) => RunFolder::create(&arguments.out, name)?,
        None => {
            let stem =
                arguments.config.file_stem().context("A config that was read has a name.")?;
            RunFolder::create_numbered(&arguments.out, &stem.to_string_lossy())?
        }
    };
    let _lock = folder.lock()?;
    folder.write_config(&loaded.config.to_toml())?;
    let mut outside = Outside::new(&folder, !arguments.shared.no_tui)?;
    outside.observer.record(0, Event::RunStarted(training.info(folder.name())))?;
    warn(&mut outside, 0, loaded.notes)?;
    run_to_the_end(&mut training, &mut outside)?;
    say(format_args!("Run folder: {}", folder.path().display()));
    Ok(())
}
