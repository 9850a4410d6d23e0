//! Moving the cursor and the visible part of the x axis.

use crate::model::Model;
use crate::view::layout::layout;
use crate::viewport::{Axis, Range, Span};

pub(crate) fn zoom(model: &mut Model, factor: f64, about: Option<f64>) {
    let whole = model.whole();
    let run = model.run();
    let axis = model.view.viewport.axis;
    let about = about.or(model.view.cursor.map(|step| run.position(axis, step)));
    // No closer than a few steps.
    let least = match axis {
        Axis::Step => 8.0,
        Axis::Epoch => run.position(axis, 8),
        Axis::Time => 0.01,
    };
    model.view.viewport.zoom(factor, about, whole, least);
}

pub(crate) fn pan(model: &mut Model, widths: f64) {
    let whole = model.whole();
    model.view.viewport.pan(widths, whole);
}

/// Switches to the next unit, and shows the same part of the selected run.
pub(crate) fn next_axis(model: &mut Model) {
    let span = model.span();
    let before = model.view.viewport.axis;
    let axis = before.next();
    let run = model.run();
    let [start, end] =
        [span.start, span.end].map(|position| run.position(axis, run.step_at(before, position)));
    model.view.viewport.range = match model.view.viewport.range {
        Range::Latest(_) if end > start => Range::Latest(end - start),
        Range::Fixed(_) if end > start => Range::Fixed(Span { start, end }),
        _ => Range::All,
    };
    model.view.viewport.axis = axis;
}

/// Dots across the chart.
fn dots(model: &Model) -> f64 {
    f64::from(layout(model).plot.width.saturating_mul(2).max(2))
}

/// A tenth of the chart, in dots.
pub(crate) fn far(model: &Model) -> f64 {
    dots(model) / 10.0
}

/// Moves the cursor by that many dots, and at least by a step.
pub(crate) fn move_cursor(model: &mut Model, dots_right: f64) {
    let axis = model.view.viewport.axis;
    let span = model.span();
    let run = model.run();
    let step = match model.view.cursor {
        None => run.step_at(axis, span.end),
        Some(step) => {
            let moved = dots_right * span.width() / dots(model);
            let there = run.step_at(axis, run.position(axis, step) + moved);
            if dots_right > 0.0 {
                there.max(step.saturating_add(1))
            } else {
                there.min(step.saturating_sub(1))
            }
        }
    };
    put_cursor(model, step);
}

pub(crate) fn put_cursor(model: &mut Model, step: u64) {
    let whole = model.whole();
    let run = model.run();
    let step = step.min(run.step());
    let position = run.position(model.view.viewport.axis, step);
    if model.view.viewport.range != Range::All {
        model.view.viewport.reveal(position, whole);
    }
    model.view.cursor = Some(step);
}
