//! The run in one line, for small screens.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::cells::{put, width};
use super::{footer, header};
use crate::format;
use crate::model::Model;
use crate::smoothing;

/// Draws progress, remaining time and loss, as far as they fit.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let (run, theme) = (model.run(), &model.theme);
    let (state, style) = header::state_label(theme, run);
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
    if let Some(left) = run.clock.left(total).filter(|_| !run.has_ended()) {
        parts.push(format!("{} left", format::duration(left)));
    }
    if let Some(loss) = smoothing::newest_mean(&run.series.loss, model.view.decay()) {
        parts.push(format!("loss {}", format::loss(loss)));
    }
    for part in parts {
        // Part of a number would mislead.
        if x + width(&part) > area.right() {
            return;
        }
        x = put(buffer, area, x, area.y, &part, theme.plain) + 1;
    }
}
