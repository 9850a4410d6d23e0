//! The list of runs, if there are several.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::widgets::Widget;

use super::cells::{block, put, width};
use super::header;
use super::layout::Layout;
use crate::format;
use crate::model::Model;
use crate::smoothing;

/// Columns of a state, of a list that has room for more numbers, and of one for their names in full.
const STATE: u16 = 12;
const WIDE: u16 = 66;
const WIDEST: u16 = 110;

pub(crate) fn draw(model: &Model, layout: &Layout, buffer: &mut Buffer) {
    let theme = &model.theme;
    let inside = layout.runs;
    if inside.is_empty() {
        return;
    }
    let title = format!("{} runs", model.runs.len());
    let (width_outside, height) = (inside.width + 2, inside.height + 2);
    let frame = Rect { x: inside.x - 1, y: inside.y - 1, width: width_outside, height };
    block(theme, &title).render(frame, buffer);
    let runs = model.runs.iter().enumerate().skip(layout.first_run);
    for ((index, run), y) in runs.zip(inside.top()..inside.bottom()) {
        let (style, marker) = theme.run(index);
        let selected = index == model.selected;
        let x = put(buffer, inside, inside.x, y, if selected { "▶" } else { " " }, theme.strong);
        let x = put(buffer, inside, x, y, if run.hidden { "·" } else { marker }, style);
        let text = match (selected, run.hidden) {
            (true, _) => theme.strong,
            (false, false) => theme.plain,
            (false, true) => theme.dim,
        };
        let (state, state_style) = header::state_label(theme, run);
        let steps = match run.total_steps() {
            0 => format::count(run.step()),
            total => format::percent(run.step() as f64 / total as f64, 0),
        };
        let loss = smoothing::newest_mean(&run.series.loss, model.view.decay());
        let loss = loss.map_or(format::NONE.into(), format::loss);
        let mut numbers = format!("{steps:>6}  loss {loss:>7}");
        if inside.width >= WIDE {
            let validation = &run.series.validation;
            let slow = run.has_lookahead() || run.averages();
            let weights = if slow { &validation.slow } else { &validation.fast };
            let metric = run.chart_metric();
            let newest = if run.is_recorded() {
                run.series.scalar(&metric.name).newest()
            } else {
                weights.metric(&metric.name).newest()
            };
            let value = newest.map_or(format::NONE.into(), |value| metric.format(value));
            numbers = if inside.width >= WIDEST {
                let name = metric.label();
                format!("{steps:>6}   training loss {loss:>7}   validation {name} {value:>7}")
            } else {
                let name = format::short(&metric);
                format!("{steps:>6}   loss {loss:>7}   {name} {value:>7}")
            };
        }
        let right = inside.right().saturating_sub(width(&numbers) + 1);
        let state_at = right.saturating_sub(STATE);
        let name = Rect { width: state_at.saturating_sub(inside.x + 1), ..inside };
        put(buffer, name, x + 1, y, &run.name, text);
        let state_style = state_style.remove_modifier(Modifier::REVERSED);
        put(buffer, inside, state_at.max(x + 1), y, &state.to_lowercase(), state_style);
        put(buffer, inside, right.max(x + 1), y, &numbers, text);
    }
}
