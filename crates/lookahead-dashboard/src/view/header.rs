//! Which run this is, and how it fares.

use lookahead_run::event::{RunInfo, Status};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{put, width};
use crate::format;
use crate::model::Model;
use crate::run::{Asked, Control, Run, State};

/// Draws name and state, and below them what is trained with what.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let run = model.run();
    let (text, style) = state_of(model, run);
    let badge = format!(" {text} ");
    let mut room = area.width.saturating_sub(width(&badge) + 2);
    put(buffer, area, area.x + room + 1, area.y, &badge, style);
    if let Some(text) = aside(run) {
        room = room.saturating_sub(width(&text) + 1);
        put(buffer, area, area.x + room + 1, area.y, &text, theme.warning);
    }
    let Some(info) = run.info() else {
        let name = if run.name.is_empty() { "lookahead" } else { &run.name };
        put(buffer, area, area.x + 1, area.y, name, theme.strong);
        return;
    };
    let left = Rect { width: room, ..area };
    let x = put(buffer, left, area.x + 1, area.y, &run.name, theme.strong);
    let work = format!("   {} · {} · {}", info.data, info.model, info.optimizer);
    put(buffer, left, x, area.y, &work, theme.plain);
    let x = put(buffer, area, area.x + 1, area.y + 1, &lookahead(info), theme.plain);
    let rest = format!(
        " · {} · {} parameters · seed {}",
        info.compute.device,
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

/// What keeps the state from being the whole truth.
fn aside(run: &Run) -> Option<String> {
    if let Some((read, all)) = run.reading {
        return Some(format!("reading the log: {} %", 100 * read / all.max(1)));
    }
    (run.control == Control::ViewOnly && !run.is_over()).then(|| "VIEW ONLY".into())
}

/// The state in a word; what was asked for shows at once, before the run has confirmed it.
pub(crate) fn state_of(model: &Model, run: &Run) -> (&'static str, Style) {
    let theme = &model.theme;
    match (run.state(), run.asked) {
        (State::Ended(Status::Finished), _) if run.stopped_early() => {
            ("STOPPED EARLY", theme.good.reversed())
        }
        (State::Ended(Status::Finished), _) => ("FINISHED", theme.good.reversed()),
        (State::Ended(Status::Stopped), _) => ("STOPPED", theme.warning.reversed()),
        (State::Ended(Status::Failed), _) => ("FAILED", theme.bad.reversed()),
        (State::Crashed, _) => ("CRASHED", theme.bad.reversed()),
        _ if run.stop_asked => ("STOPPING", theme.warning.reversed()),
        (_, Some(Asked::Pause)) => ("PAUSING…", theme.warning),
        (_, Some(Asked::Continue)) => ("CONTINUING…", theme.good),
        (State::Paused, None) => ("PAUSED", theme.warning.reversed()),
        (State::Training, None) => ("TRAINING", theme.good),
        (State::Waiting, None) => ("WAITING", theme.dim),
    }
}
