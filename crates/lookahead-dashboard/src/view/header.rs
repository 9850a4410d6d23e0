//! Which run this is, and how it fares.

use lookahead_run::event::{RunInfo, Status};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{put, width};
use crate::format;
use crate::model::{Asked, Model, State};

/// Draws name and state, and below them what is trained with what.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let (text, style) = state(model);
    let badge = format!(" {text} ");
    let room = area.width.saturating_sub(width(&badge) + 2);
    put(buffer, area, area.x + room + 1, area.y, &badge, style);
    let Some(info) = &model.run.info else {
        put(buffer, area, area.x + 1, area.y, "lookahead", theme.strong);
        return;
    };
    let left = Rect { width: room, ..area };
    let x = put(buffer, left, area.x + 1, area.y, &info.run, theme.strong);
    let work = format!("   {} · {} · {}", info.data, info.model, info.optimizer);
    put(buffer, left, x, area.y, &work, theme.plain);
    let x = put(buffer, area, area.x + 1, area.y + 1, &lookahead(info), theme.plain);
    let rest = format!(
        " · {} · {} parameters · seed {}",
        info.device,
        format::count(info.parameters),
        info.seed
    );
    put(buffer, area, x, area.y + 1, &rest, theme.dim);
}

fn lookahead(info: &RunInfo) -> String {
    match info.lookahead {
        Some(settings) => {
            let alpha = format::significant(settings.alpha, 4);
            format!("Lookahead k {} α {alpha}", settings.k)
        }
        None => "without Lookahead".into(),
    }
}

/// The state in a word; what was asked for shows at once, before the run has confirmed it.
pub(crate) fn state(model: &Model) -> (&'static str, Style) {
    let theme = &model.theme;
    match (model.run.state, model.asked) {
        (State::Ended(Status::Finished), _) => ("FINISHED", theme.good.reversed()),
        (State::Ended(Status::Stopped), _) => ("STOPPED", theme.warning.reversed()),
        (State::Ended(Status::Failed), _) => ("FAILED", theme.bad.reversed()),
        _ if model.stop_asked => ("STOPPING", theme.warning.reversed()),
        (_, Some(Asked::Pause)) => ("PAUSING…", theme.warning),
        (_, Some(Asked::Continue)) => ("CONTINUING…", theme.good),
        (State::Paused, None) => ("PAUSED", theme.warning.reversed()),
        (State::Training, None) => ("TRAINING", theme.good),
        (State::Waiting, None) => ("WAITING", theme.dim),
    }
}
