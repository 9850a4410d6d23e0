//! `lookahead man`: manual pages.

use std::fs;

use anyhow::Context;
use clap::CommandFactory;
use lookahead_run::program_name;

use crate::cli::{self, Cli};
use crate::console::eprint_line;
use crate::hints::quoted;

/// Writes a page for the program and for each command into a folder.
pub fn man(arguments: &cli::Man) -> anyhow::Result<()> {
    let folder = &arguments.folder;
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .with_context(|| format!("The pages can't be written into {}.", folder.display()))?;
    let page = folder.join(format!("{}.1", program_name()));
    eprint_line(format_args!(
        "The manual pages are in {}. To read the first: man {}",
        folder.display(),
        quoted(&std::path::absolute(page)?)
    ));
    Ok(())
}
