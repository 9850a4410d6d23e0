//! A history as the columns of a screen, each with its extremes.

use crate::history::{Bucket, History};
use crate::run::Run;
use crate::smoothing::{Ema, warm_up};
use crate::viewport::{Axis, Span};

/// The values of a series in one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Column {
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// A non-finite value is between this column and the one before: no line leads here.
    pub(crate) gap_before: bool,
}

/// The columns of a chart: one for each dot across.
pub(crate) type Columns = Vec<Option<Column>>;

impl Column {
    pub(crate) fn of(value: f64) -> Column {
        Column { first: value, last: value, min: value, max: value, gap_before: false }
    }
}

impl From<&Bucket> for Column {
    fn from(bucket: &Bucket) -> Column {
        let Bucket { first, last, min, max, gap_before, .. } = *bucket;
        Column { first, last, min, max, gap_before }
    }
}

/// A series of a run, or its running mean with β `decay`, in `count` columns. The work is bounded by the
/// number of columns, not by the number of points.
pub(crate) fn columns(
    run: &Run,
    history: &History,
    decay: Option<f64>,
    axis: Axis,
    span: Span,
    count: usize,
) -> Columns {
    let mut columns: Columns = vec![None; count];
    if count == 0 || history.is_empty() {
        return columns;
    }
    let [first, last] = [span.start, span.end].map(|position| run.step_at(axis, position));
    let buckets = match decay {
        None => history.slice(first, last, 2 * count),
        Some(decay) => history.slice_after(first, last, 2 * count, warm_up(decay)),
    };
    let mut mean = decay.map(Ema::new);
    for bucket in &buckets {
        let value = mean.as_mut().map(|mean| mean.push(bucket));
        let part = |step| span.part(run.position(axis, step));
        let (start, end) = (part(bucket.first_step), part(bucket.last_step));
        if !(end >= 0.0 && start <= 1.0) {
            continue;
        }
        let index = |part: f64| (part.clamp(0.0, 1.0) * (count - 1) as f64).round() as usize;
        match value {
            // A mean is drawn at the end of its points.
            Some(value) => {
                if (0.0..=1.0).contains(&end) {
                    let mean = Column { gap_before: bucket.gap_before, ..Column::of(value) };
                    put(&mut columns[index(end)], mean);
                }
            }
            None => {
                let (from, to) = (index(start), index(end));
                let range = if to <= from + 1 {
                    // Narrower than a column: in one only, so that a spike is one dot wide.
                    (from + to) / 2..=(from + to) / 2
                } else if bucket.gap_inside {
                    from..=from
                } else {
                    from..=to
                };
                for index in range.clone() {
                    let mut column = Column::from(bucket);
                    column.gap_before &= index == *range.start();
                    put(&mut columns[index], column);
                }
            }
        }
    }
    columns
}

fn put(column: &mut Option<Column>, later: Column) {
    match column {
        Some(column) => {
            column.last = later.last;
            column.min = column.min.min(later.min);
            column.max = column.max.max(later.max);
            // A gap inside a column is too narrow to be visible.
        }
        None => *column = Some(later),
    }
}

/// The cells, of `count`, that have steps without a finite value.
pub(crate) fn gaps(
    run: &Run,
    history: &History,
    axis: Axis,
    span: Span,
    count: usize,
) -> Vec<usize> {
    let mut cells = Vec::new();
    if count == 0 {
        return cells;
    }
    for gap in history.gaps() {
        let part = |step| span.part(run.position(axis, step));
        let (start, end) = (part(gap.from), part(gap.to));
        if !(end >= 0.0 && start <= 1.0) {
            continue;
        }
        let index = |part: f64| (part.clamp(0.0, 1.0) * (count - 1) as f64).round() as usize;
        cells.extend(index(start)..=index(end));
    }
    cells
}

#[cfg(test)]
mod tests;
