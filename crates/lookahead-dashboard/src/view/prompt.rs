//! The line in which commands are entered.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::cells::{put, width};
use crate::model::Model;
use crate::prompt::Purpose;

/// Draws the prompt over the last row of the area.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let Some(prompt) = model.dialogs.prompt.as_ref().filter(|_| !area.is_empty()) else { return };
    let y = area.bottom() - 1;
    put(buffer, area, area.x, y, &" ".repeat(usize::from(area.width)), theme.plain);
    let (sign, hint) = match prompt.purpose {
        Purpose::Search => ("/", " words in messages"),
        Purpose::Filter if model.is_table_open() => ("/", " part of a name or state, key=value"),
        Purpose::Filter => ("/", " words in the names of charts; none for all charts"),
        Purpose::Command => (
            ":",
            " set KEY=VALUE, pause, continue, checkpoint, stop, roll-back, goto STEP, smooth β, save",
        ),
    };
    let x = put(buffer, area, area.x, y, sign, theme.strong);
    // Scrolled to the cursor if the line is too long.
    let before: String = prompt.text.chars().take(prompt.at).collect();
    let surplus = width(&before).saturating_sub(area.width.saturating_sub(3));
    let mut scrolled = 0;
    let rest = prompt.text.trim_start_matches(|letter: char| {
        let cut = scrolled < surplus;
        scrolled += if cut { width(&letter.to_string()) } else { 0 };
        cut
    });
    put(buffer, area, x, y, rest, theme.plain);
    let at = x + width(&before).saturating_sub(scrolled);
    if let Some(cell) = buffer.cell_mut((at.min(area.right() - 1), y)) {
        cell.set_style(theme.plain.reversed());
    }
    if prompt.text.is_empty() {
        put(buffer, area, x + 1, y, hint, theme.dim);
    }
}
