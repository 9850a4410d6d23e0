//! The arguments of `config`, `init` and `schema`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::Override;

/// `lookahead config`.
#[derive(Debug, Args)]
pub struct ConfigKeys {
    /// A key, a section, a kind, for example of an optimizer or a schedule, or a preset [default: all keys]
    pub key: Option<String>,
    /// Print a JSON array of keys to stdout
    #[arg(long)]
    pub json: bool,
}

/// `lookahead init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The kind of data; without it, the kinds are listed
    pub kind: Option<String>,
    /// The file of your data, or the folder of your images
    #[arg(long, value_name = "PATH", visible_alias = "file", requires = "kind")]
    pub data: Option<PathBuf>,
    /// csv: the column to predict [default: a column named target, label, class or y, otherwise the last one]
    #[arg(long, value_name = "COLUMN", requires = "kind")]
    pub target: Option<String>,
    /// Set a key of the config, for example model.kind=resnet; can be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "kind")]
    pub overrides: Vec<Override>,
    /// The file to write, or - for stdout [default: KIND.toml]
    #[arg(long, short, value_name = "FILE", requires = "kind")]
    pub output: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub force: bool,
}

/// `lookahead schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// What it describes
    #[arg(default_value = "config")]
    pub of: SchemaOf,
}

/// What a schema describes, as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// A config
    Config,
    /// A sweep
    Sweep,
}
