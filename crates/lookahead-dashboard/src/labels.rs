//! Names of runs.

use std::collections::HashMap;

use crate::watched_run::WatchedRun;

/// A name for each run: that of its folder, or the path if several have that name; HOST:RUN if it is on another
/// machine.
pub(crate) fn labels(runs: &[WatchedRun]) -> Vec<String> {
    let mut namesakes = HashMap::<&str, u32>::new();
    runs.iter().for_each(|run| *namesakes.entry(run.name()).or_default() += 1);
    let label = |run: &WatchedRun| match run {
        WatchedRun::Here(run) if namesakes[run.name()] > 1 => run.path().display().to_string(),
        run => run.name().to_owned(),
    };
    runs.iter().map(label).collect()
}

#[cfg(test)]
mod tests;
