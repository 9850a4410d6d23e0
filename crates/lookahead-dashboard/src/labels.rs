//! Names of runs.

use std::collections::HashMap;

use lookahead_run::RunFolder;

/// A name for each run: that of its folder, or the path if several have that name.
pub(crate) fn labels(runs: &[RunFolder]) -> Vec<String> {
    let mut namesakes = HashMap::<&str, u32>::new();
    runs.iter().for_each(|run| *namesakes.entry(run.name()).or_default() += 1);
    let label = |run: &RunFolder| match namesakes[run.name()] {
        1 => run.name().to_owned(),
        _ => run.path().display().to_string(),
    };
    runs.iter().map(label).collect()
}

#[cfg(test)]
mod tests;
