//! The run in one line, for where there is no room for more.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{footer, header, put, width};
use crate::format;
use crate::model::Model;
use crate::smoothing::DECAYS;

/// Draws progress, loss and time left, as much as fits.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let (run, theme) = (model.run(), &model.theme);
    let (state, style) = header::state_of(model, run);
    let mut x = put(buffer, area, area.x, area.y, state, style) + 1;
    let notice = footer::notice(model);
    if !notice.is_empty() {
        put(buffer, area, x, area.y, &notice, theme.warning);
        return;
    }
    let total = run.total_steps();
    let mut parts = Vec::new();
    if model.runs.len() > 1 {
        parts.push(run.name.clone());
    }
    if total > 0 {
        parts.push(format!("{}/{}", format::count(run.step()), format::count(total)));
        parts.push(format::percent(run.step() as f64 / total as f64, 0));
    }
    if let Some(left) = run.clock.left(total).filter(|_| !run.is_over()) {
        parts.push(format!("{} left", format::duration(left)));
    }
    if let Some(loss) = run.smoothed(&run.loss, DECAYS[model.smoothing]) {
        parts.push(format!("loss {}", format::loss(loss)));
    }
    for part in parts {
        // Half a number is worse than none.
        if x + width(&part) > area.right() {
            return;
        }
        x = put(buffer, area, x, area.y, &part, theme.plain) + 1;
    }
}
