//! The grid of charts: which one is selected, pinned and shown.

use crate::message::Effect;
use crate::model::Model;
use crate::view::layout::layout;

/// Switches between the grid and one chart.
pub(crate) fn toggle_grid(model: &mut Model) -> Vec<Effect> {
    model.arrangement.grid ^= true;
    select_shown(model);
    vec![Effect::Remember]
}

/// Shows the selected chart of the grid alone.
pub(crate) fn open_chart(model: &mut Model) -> Vec<Effect> {
    if !std::mem::take(&mut model.arrangement.grid) {
        return Vec::new();
    }
    vec![Effect::Remember]
}

/// Selects the chart that is `by` places further on, and no further than the last.
fn select_from(model: &mut Model, by: isize) {
    let charts = model.grid_charts();
    let present = charts.iter().position(|chart| *chart == model.view.chart).unwrap_or(0);
    let next = present.saturating_add_signed(by).min(charts.len().saturating_sub(1));
    model.view.chart = charts.get(next).copied().unwrap_or(model.view.chart);
}

/// Selects the chart some rows further down.
pub(crate) fn step_row(model: &mut Model, by: isize) {
    if model.arrangement.grid {
        let columns = layout(model).grid.columns as isize;
        select_from(model, by * columns);
    }
}

/// Shows another page of the grid.
pub(crate) fn step_page(model: &mut Model, by: isize) {
    if model.arrangement.grid {
        let page = layout(model).grid;
        select_from(model, by * (page.columns * page.rows) as isize);
    }
}

/// Pins the chart, so that it comes first in the grid, or unpins it.
pub(crate) fn toggle_pin(model: &mut Model) -> Vec<Effect> {
    let name = model.chart_name(model.view.chart);
    let pinned = &mut model.arrangement.pinned;
    let before = pinned.len();
    pinned.retain(|other| *other != name);
    let text = if pinned.len() == before {
        pinned.push(name);
        "The chart is pinned: it comes first in the grid."
    } else {
        "The chart is no longer pinned."
    };
    model.notify(text);
    vec![Effect::Remember]
}

/// Moves a chart among the pinned ones; another one becomes the last of them.
pub(crate) fn move_pinned(model: &mut Model, by: isize) -> Vec<Effect> {
    let name = model.chart_name(model.view.chart);
    let pinned = &mut model.arrangement.pinned;
    match pinned.iter().position(|other| *other == name) {
        Some(place) => {
            let next = place.saturating_add_signed(by).min(pinned.len() - 1);
            pinned.swap(place, next);
        }
        None => pinned.push(name),
    }
    vec![Effect::Remember]
}

/// Shows only the charts whose names contain these words; all if there are none.
pub(crate) fn filter(model: &mut Model, words: &str) -> Vec<Effect> {
    words.clone_into(&mut model.arrangement.filter);
    select_shown(model);
    vec![Effect::Remember]
}

/// Selects the first chart of the grid if the present one is not in it.
pub(crate) fn select_shown(model: &mut Model) {
    if model.arrangement.grid {
        let charts = model.grid_charts();
        if !charts.contains(&model.view.chart) {
            model.view.chart = charts.first().copied().unwrap_or(model.view.chart);
        }
    }
}
