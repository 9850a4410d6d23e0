//! The runs, where there are several: what each looks like, and how it fares.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::widgets::Widget;

use super::layout::Layout;
use super::{block, header, put, width};
use crate::format;
use crate::model::Model;
use crate::smoothing::DECAYS;

/// Columns of a state, and those of a list from which on it has more numbers.
const STATE: u16 = 12;
const WIDE: u16 = 66;

/// Draws the list.
pub(crate) fn draw(model: &Model, layout: &Layout, buffer: &mut Buffer) {
    let theme = &model.theme;
    let inside = layout.runs;
    if inside.is_empty() {
        return;
    }
    let frame = Rect {
        x: inside.x - 1,
        y: inside.y - 1,
        width: inside.width + 2,
        height: inside.height + 2,
    };
    let title = format!("{} runs", model.runs.len());
    block(theme, &title).render(frame, buffer);
    let runs = model.runs.iter().enumerate().skip(layout.first_run);
    for ((index, run), y) in runs.zip(inside.top()..inside.bottom()) {
        let (style, marker) = theme.run(index);
        let selected = index == model.selected;
        let x = put(buffer, inside, inside.x, y, if selected { "▶" } else { " " }, theme.key);
        let x = put(buffer, inside, x, y, if run.shown { marker } else { "·" }, style);
        let text = match (selected, run.shown) {
            (true, _) => theme.strong,
            (false, true) => theme.plain,
            (false, false) => theme.dim,
        };
        let (state, state_style) = header::state_of(model, run);
        let steps = match run.total_steps() {
            0 => format::count(run.step()),
            total => format::percent(run.step() as f64 / total as f64, 0),
        };
        let loss = run.smoothed(&run.loss, DECAYS[model.smoothing]);
        let accuracy = match run.has_lookahead() || run.averages() {
            true => run.validation.slow.accuracy.newest(),
            false => run.validation.fast.accuracy.newest(),
        };
        let mut numbers =
            format!("{steps:>6}  {:>7}", loss.map_or(format::NONE.into(), format::loss));
        if inside.width >= WIDE {
            let accuracy = accuracy.map_or(format::NONE.into(), |value| format::percent(value, 2));
            let loss = loss.map_or(format::NONE.into(), format::loss);
            numbers = format!("{steps:>6}   loss {loss:>7}   acc. {accuracy:>7}");
        }
        let right = inside.right().saturating_sub(width(&numbers) + 1);
        let state_at = right.saturating_sub(STATE);
        let name = Rect { width: state_at.saturating_sub(inside.x + 1), ..inside };
        put(buffer, name, x + 1, y, &run.name, text);
        // In a list a word is enough.
        let state_style = state_style.remove_modifier(Modifier::REVERSED);
        put(buffer, inside, state_at.max(x + 1), y, &state.to_lowercase(), state_style);
        put(buffer, inside, right.max(x + 1), y, &numbers, text);
    }
}
