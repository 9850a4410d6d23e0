//! `lookahead man`: manual pages.

use std::fs;

use anyhow::Context;
use clap::CommandFactory;

use crate::cli::{self, Cli};

/// Writes a page for the program and for each command into a folder.
pub fn man(arguments: &cli::Man) -> anyhow::Result<()> {
    let folder = &arguments.folder;
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .with_context(|| format!("The pages can't be written into {}.", folder.display()))
}
