//! A history folded into the columns of a screen, each with its extremes.

use crate::history::{Bucket, History};

/// The steps from the left to the right edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Steps {
    /// The column of `count` in which a step lies.
    fn column(&self, step: u64, count: usize) -> Option<usize> {
        if step < self.first || step > self.last || count == 0 {
            return None;
        }
        let span = (self.last - self.first).max(1) as f64;
        let part = (step - self.first) as f64 / span;
        Some(((part * (count - 1) as f64).round() as usize).min(count - 1))
    }
}

/// What each of `count` columns has of a series; the work is bounded by the size of the history,
/// not by the number of points that went into it.
pub(crate) fn columns(history: &History, steps: Steps, count: usize) -> Vec<Option<Bucket>> {
    let mut columns: Vec<Option<Bucket>> = vec![None; count];
    for bucket in history.buckets() {
        let middle = bucket.first_step + (bucket.last_step - bucket.first_step) / 2;
        let Some(index) = steps.column(middle, count) else {
            continue;
        };
        match &mut columns[index] {
            Some(column) => {
                let gap = column.gap_before;
                column.absorb(bucket);
                // A gap inside of a column is too narrow to be seen.
                column.gap_before = gap;
            }
            column => *column = Some(*bucket),
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spike_shows_in_some_column() {
        let mut history = History::new(4096);
        for step in 0..100_000 {
            history.push(step, if step == 33_333 { 50.0 } else { 1.0 });
        }
        let steps = Steps { first: 0, last: 99_999 };
        let columns = columns(&history, steps, 160);
        assert!(columns.iter().all(Option::is_some));
        let spikes: Vec<usize> =
            (0..160).filter(|index| columns[*index].unwrap().max == 50.0).collect();
        assert_eq!(spikes, [53]);
    }

    #[test]
    fn the_edges_hold_the_first_and_the_last_step() {
        let mut history = History::new(16);
        for step in [10, 20] {
            history.push(step, step as f64);
        }
        let steps = Steps { first: 10, last: 20 };
        let found = columns(&history, steps, 5);
        assert_eq!(found[0].unwrap().last, 10.0);
        assert_eq!(found[4].unwrap().last, 20.0);
        assert!(found[1..4].iter().all(Option::is_none));
        assert!(columns(&history, steps, 0).is_empty());
    }
}
