//! The line in which commands are written.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{put, width};
use crate::model::Model;
use crate::prompt::{Prompt, Purpose};

/// Draws the prompt over the last row of the area, and what is wrong with it above.
pub(crate) fn draw(model: &Model, prompt: &Prompt, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    if area.is_empty() {
        return;
    }
    let y = area.bottom() - 1;
    put(buffer, area, area.x, y, &" ".repeat(usize::from(area.width)), theme.plain);
    let sign = if prompt.purpose == Purpose::Search { "/" } else { ":" };
    let x = put(buffer, area, area.x, y, sign, theme.key);
    // The end of a line that is too long, so that the place where one writes is seen.
    let before: String = prompt.text.chars().take(prompt.at).collect();
    let room = area.width.saturating_sub(2);
    let surplus = width(&before).saturating_sub(room.saturating_sub(1));
    let mut hidden = 0;
    let cut = prompt.text.chars().take_while(|letter| {
        let is_cut = hidden < surplus;
        hidden += if is_cut { width(&letter.to_string()) } else { 0 };
        is_cut
    });
    let shown: String = prompt.text.chars().skip(cut.count()).collect();
    put(buffer, area, x, y, &shown, theme.plain);
    let place = x + width(&before).saturating_sub(hidden);
    if let Some(cell) = buffer.cell_mut((place.min(area.right() - 1), y)) {
        cell.set_style(theme.plain.reversed());
    }
    if let Some(error) = &prompt.error {
        let lines = crate::format::wrap(error, usize::from(area.width.saturating_sub(1)));
        for (line, up) in lines.iter().rev().zip(1..area.height) {
            put(buffer, area, area.x, y - up, &" ".repeat(usize::from(area.width)), theme.plain);
            put(buffer, area, area.x + 1, y - up, line, theme.warning);
        }
    } else if prompt.text.is_empty() {
        let hint = match prompt.purpose {
            Purpose::Search => " words in messages",
            Purpose::Command => {
                " set KEY=VALUE, pause, continue, checkpoint, stop, goto STEP, smooth β, save"
            }
        };
        put(buffer, area, x + 1, y, hint, theme.dim);
    }
}
