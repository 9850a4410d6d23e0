//! What became of something that the user asked for: whole, for a while, over the lowest rows.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::put;
use crate::format;
use crate::model::{Model, Question};

/// Rows at most.
const ROWS: usize = 6;

/// Draws a notice over the rows just above the last one.
pub(crate) fn draw(model: &Model, text: &str, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let lines = format::wrap(text, usize::from(area.width.saturating_sub(2)));
    let lines = &lines[..lines.len().min(ROWS)];
    let last = area.bottom().saturating_sub(if area.height > 1 { 2 } else { 1 });
    for (line, up) in lines.iter().rev().zip(0..area.height) {
        let y = last.saturating_sub(up);
        put(buffer, area, area.x, y, &" ".repeat(usize::from(area.width)), theme.plain);
        put(buffer, area, area.x + 1, y, line, theme.warning);
    }
}

/// What is asked before a run of another process is stopped.
pub(crate) fn of_question(model: &Model, question: &Question) -> String {
    let name = model.runs.get(question.run).map_or("", |run| &run.name);
    format!(
        "Another process trains {name}. Press y to save a checkpoint and stop it; any other key leaves it running."
    )
}
