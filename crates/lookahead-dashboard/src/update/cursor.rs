//! Moving the cursor and the part of the x axis that is shown.

use crate::model::Model;
use crate::view::layout::layout;
use crate::viewport::{Axis, Range};

pub(super) fn zoom(model: &mut Model, factor: f64, about: Option<f64>) {
    let whole = model.whole();
    let run = model.run();
    let axis = model.viewport.axis;
    let about = about.or(model.cursor.map(|step| run.position(axis, step)));
    // No closer than some steps.
    let least = match axis {
        Axis::Step => 8.0,
        Axis::Epoch => run.position(axis, 8),
        Axis::Time => 0.01,
    };
    model.viewport.zoom(factor, about, whole, least);
}

pub(super) fn pan(model: &mut Model, widths: f64) {
    let whole = model.whole();
    model.viewport.pan(widths, whole);
}

/// Counts in another unit, and shows the same part of the selected run.
pub(super) fn next_axis(model: &mut Model) {
    let span = model.span();
    let before = model.viewport.axis;
    let axis = before.next();
    let run = model.run();
    let [start, end] =
        [span.start, span.end].map(|place| run.position(axis, run.step_at(before, place)));
    model.viewport.range = match model.viewport.range {
        Range::All => Range::All,
        _ if end <= start => Range::All,
        Range::Latest(_) => Range::Latest(end - start),
        Range::Fixed(_) => Range::Fixed(crate::viewport::Span { start, end }),
    };
    model.viewport.axis = axis;
}

/// Dots across the picture.
pub(super) fn dots(model: &Model) -> u16 {
    layout(model).plot.width.saturating_mul(2).max(2)
}

/// Moves the cursor by so many dots, and at least by a step.
pub(super) fn move_cursor(model: &mut Model, by: f64) {
    let axis = model.viewport.axis;
    let span = model.span();
    let run = model.run();
    let end = run.step_at(axis, span.end).min(run.step());
    let step = match model.cursor {
        None => end,
        Some(step) => {
            let place = run.position(axis, step) + by * span.width() / f64::from(dots(model));
            let there = run.step_at(axis, place).min(run.step());
            match by > 0.0 {
                true => there.max(step.saturating_add(1)).min(run.step()),
                false => there.min(step.saturating_sub(1)),
            }
        }
    };
    put_cursor(model, step);
}

pub(super) fn put_cursor(model: &mut Model, step: u64) {
    let axis = model.viewport.axis;
    let whole = model.whole();
    let run = model.run();
    let step = step.min(run.step());
    let place = run.position(axis, step);
    if model.viewport.range != Range::All {
        model.viewport.reveal(place, whole);
    }
    model.cursor = Some(step);
}
