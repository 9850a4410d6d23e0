//! How far a sweep, or a folder of runs, has come.

use super::row::{Row, RowState};

/// The least part of its steps from which a run's duration is estimated.
const ENOUGH: f64 = 0.02;

/// Runs by their states, and the time left.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Progress {
    pub(crate) total: usize,
    pub(crate) finished: usize,
    pub(crate) running: usize,
    pub(crate) failed: usize,
    pub(crate) stopped: usize,
    pub(crate) unreadable: usize,
    /// Those that have not begun.
    pub(crate) waiting: usize,
    /// Seconds until all have ended, if as many as now run at once; none if none runs or nothing is known.
    pub(crate) left: Option<f64>,
}

/// The progress of some runs, of `planned` if that is known.
pub(crate) fn progress<'a>(
    rows: impl Iterator<Item = &'a Row> + Clone,
    planned: Option<usize>,
) -> Progress {
    let count = |state| rows.clone().filter(|row| row.state == state).count();
    let there = rows.clone().count();
    let total = planned.unwrap_or(there).max(there);
    Progress {
        total,
        finished: count(RowState::Finished),
        running: count(RowState::Running),
        failed: count(RowState::Failed),
        stopped: count(RowState::Stopped),
        unreadable: count(RowState::Unreadable),
        waiting: total - there + count(RowState::Waiting),
        left: left(rows, total - there),
    }
}

/// How long a run has trained, in seconds.
fn seconds(row: &Row) -> Option<f64> {
    Some((row.last? - row.first? - row.idle?).max(0.0))
}

fn left<'a>(rows: impl Iterator<Item = &'a Row> + Clone, not_begun: usize) -> Option<f64> {
    let of = |state| rows.clone().filter(move |row| row.state == state);
    // How long a run takes that has taken this part of its steps.
    let whole = |row: &Row| {
        let part = row.part().filter(|part| *part >= ENOUGH)?;
        Some(seconds(row)? / part)
    };
    let mean =
        |all: Vec<f64>| (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64);
    let usual = mean(of(RowState::Finished).filter_map(seconds).collect())
        .or_else(|| mean(of(RowState::Running).filter_map(whole).collect()))?;
    let of_running: Vec<f64> = of(RowState::Running)
        .map(|row| whole(row).unwrap_or(usual) * (1.0 - row.part().unwrap_or(0.0)))
        .collect();
    let at_once = of_running.len();
    let waiting = (not_begun + of(RowState::Waiting).count()) as f64 * usual;
    let longest = of_running.iter().copied().fold(0.0, f64::max);
    let work = of_running.iter().sum::<f64>() + waiting;
    (at_once > 0).then(|| (work / at_once as f64).max(longest))
}
