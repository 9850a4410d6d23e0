//! Why runs can't be compared, in full sentences.

use std::path::PathBuf;

use lookahead_run::words::reason;

/// Runs that can't be compared, or not in the requested way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// No paths, or sweeps without runs.
    #[error(
        "There is nothing to compare: {}. Give the folders of runs, or of a sweep that has run.",
        if .0.is_empty() {
            "no folder was given".to_owned()
        } else {
            format!("no run has started in {}", names(.0))
        }
    )]
    NoRuns(Vec<PathBuf>),

    /// A path that is neither a run nor a sweep.
    #[error(
        "`{}` is neither the folder of a run, which has a `config.toml` and an `events.jsonl`, nor \
         that of a sweep, which has its runs in `runs/`. Give one of these.",
        .0.display()
    )]
    Neither(PathBuf),

    /// A folder whose entries can't be listed.
    #[error(
        "The runs in `{}` can't be listed: {}. Check that the folder may be read.",
        folder.display(),
        reason(cause)
    )]
    List {
        /// The folder.
        folder: PathBuf,
        /// The operating system's message.
        cause: std::io::Error,
    },

    /// Runs of several data sets.
    #[error(
        "The runs were trained on different data: {}. Their numbers do not compare. Leave some out, \
         or allow it with `--mixed-data`.",
        .0.join(", ")
    )]
    MixedData(Vec<String>),

    /// A metric that not all runs have.
    #[error(
        "Not all of these runs have the metric `{metric}`. Compare by one of: {}.",
        list(known)
    )]
    Metric {
        /// The requested metric.
        metric: String,
        /// The metrics that all have.
        known: Vec<String>,
    },

    /// A key that no run has.
    #[error(
        "There is no key `{key}` in the configurations of these runs. They differ in {}.",
        list(known)
    )]
    Key {
        /// The key.
        key: String,
        /// Keys in which the runs differ.
        known: Vec<String>,
    },

    /// A baseline that fits no group, or several.
    #[error(
        "`{wanted}` names {found} of the groups that are compared. As the baseline, name one of: {}.",
        list(labels)
    )]
    Baseline {
        /// The requested baseline.
        wanted: String,
        /// The number of groups that it fits.
        found: usize,
        /// The labels of the groups.
        labels: Vec<String>,
    },

    /// No run has the requested number.
    #[error(
        "None of the runs ({runs}) has a final {} on the {split} data{}. {remedy}",
        metric,
        if failed.is_empty() { String::new() } else { format!(" ({failed})") }
    )]
    NoValues {
        /// How many runs there are.
        runs: usize,
        /// The metric.
        metric: String,
        /// The data: `validation` or `test`.
        split: &'static str,
        /// The outcomes of the runs.
        failed: String,
        /// The remedy.
        remedy: &'static str,
    },

    /// A figure of something that these runs do not have.
    #[error("There is nothing to draw: {0}")]
    NoFigure(String),
}

fn names(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    names.join(", ")
}

fn list(words: &[String]) -> String {
    if words.is_empty() {
        return "nothing".to_owned();
    }
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}
