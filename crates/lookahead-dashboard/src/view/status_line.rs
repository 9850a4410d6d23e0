//! The run in one line, for where there is no room for more.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{footer, header, put};
use crate::format;
use crate::model::Model;

/// Draws progress, loss and time left, as much as fits.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let (run, theme) = (&model.run, &model.theme);
    let (state, style) = header::state(model);
    let mut x = put(buffer, area, area.x, area.y, state, style) + 1;
    let notice = footer::notice(model);
    if !notice.is_empty() {
        put(buffer, area, x, area.y, &notice, theme.warning);
        return;
    }
    x = put(buffer, area, x, area.y, &format::count(run.step), theme.plain);
    let total = run.total_steps();
    if total > 0 {
        let done = run.step as f64 / total as f64;
        x = put(buffer, area, x, area.y, &format!("/{}", format::count(total)), theme.plain);
        x = put(buffer, area, x, area.y, &format!(" {}", format::percent(done, 0)), theme.plain);
    }
    if let Some(left) = run.clock.left(total).filter(|_| !model.has_ended()) {
        x = put(buffer, area, x, area.y, &format!(" {} left", format::duration(left)), theme.plain);
    }
    if let Some(loss) = run.smoothed.newest() {
        put(buffer, area, x, area.y, &format!(" loss {}", format::loss(loss)), theme.dim);
    }
}
