//! The arguments of `completions`.

use clap::Args;
use clap_complete::Shell;

/// `lookahead completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}
