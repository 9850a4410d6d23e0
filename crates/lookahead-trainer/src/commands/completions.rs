//! `lookahead completions`: completion scripts for shells.

use clap::CommandFactory;
use lookahead_run::program_name;

use crate::cli::{self, Cli};
use crate::console::print_line;

/// Prints a script that completes the program's commands and options.
pub fn completions(arguments: &cli::Completions) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), program_name(), &mut script);
    Ok(print_line(String::from_utf8(script)?.trim_end())?)
}
