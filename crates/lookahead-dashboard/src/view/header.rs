//! Name and state of the run.

use lookahead_run::event::{RunInfo, Status};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::cells::{put, width};
use crate::format;
use crate::model::Model;
use crate::run::connection::Control;
use crate::run::pending::Transition;
use crate::run::{Run, RunState};
use crate::theme::Theme;

/// Draws name and state, and below them data, model and optimizer.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let run = model.run();
    let (text, style) = state_label(theme, run);
    let badge = format!(" {text} ");
    let mut room = area.width.saturating_sub(width(&badge) + 2);
    put(buffer, area, area.x + room + 1, area.y, &badge, style);
    if let Some(text) = restriction(run) {
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
    // A program's own loop may not name all of them.
    let known =
        [&info.data, &info.model, &info.optimizer].into_iter().filter(|name| !name.is_empty());
    let work = format!("   {}", known.map(String::as_str).collect::<Vec<_>>().join(" · "));
    put(buffer, left, x, area.y, &work, theme.plain);
    if run.is_recorded() {
        let line = recorded(info);
        put(buffer, area, area.x + 1, area.y + 1, &line, theme.dim);
        return;
    }
    let rest = format!(
        " · {} · {} parameters · seed {}",
        info.compute.device,
        format::count(info.parameters.trainable),
        info.seed
    );
    let all = lookahead(info);
    let room = area.width.saturating_sub(width(&rest) + 1);
    let settings = all.iter().find(|text| width(text) <= room).unwrap_or(&all[1]);
    let x = put(buffer, area, area.x + 1, area.y + 1, settings, theme.plain);
    put(buffer, area, x, area.y + 1, &rest, theme.dim);
}

/// What is known of a program's own loop.
fn recorded(info: &RunInfo) -> String {
    let program = info.software.program.as_ref().map(|program| format!("recorded by {program}"));
    let parameters = Some(info.parameters.trainable).filter(|count| *count > 0);
    let parameters = parameters.map(|count| format!("{} parameters", format::count(count)));
    let parts = [program, parameters, Some(format!("seed {}", info.seed))];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// The settings of Lookahead, in words and in short.
fn lookahead(info: &RunInfo) -> [String; 2] {
    let Some(settings) = info.lookahead else {
        return ["without Lookahead"; 2].map(str::to_owned);
    };
    let (k, alpha) = (settings.k, format::significant(settings.alpha, 4));
    let steps = if k == 1 { "after each step".into() } else { format!("every k = {k} steps") };
    [
        format!("Lookahead: a sync {steps}, slow step size α = {alpha}"),
        format!("Lookahead k {k} α {alpha}"),
    ]
}

/// What limits the picture of a run, or the commands to it.
fn restriction(run: &Run) -> Option<String> {
    if let Some((read, all)) = run.connection.reading {
        return Some(format!("reading the log: {} %", 100 * read / all.max(1)));
    }
    let connection = &run.connection;
    let view_only = connection.control == Control::ViewOnly && connection.lost.is_none();
    let view_only = view_only && !run.has_ended();
    view_only.then(|| "VIEW ONLY".into())
}

/// The state in a word; a requested change shows at once, before the run confirms it.
pub(crate) fn state_label(theme: &Theme, run: &Run) -> (&'static str, Style) {
    match (run.state(), run.pending.transition) {
        (RunState::Ended(Status::Finished), _) if run.stopped_early() => {
            ("STOPPED EARLY", theme.good.reversed())
        }
        (RunState::Ended(Status::Finished), _) => ("FINISHED", theme.good.reversed()),
        (RunState::Ended(Status::Stopped), _) => ("STOPPED", theme.warning.reversed()),
        (RunState::Ended(Status::Failed), _) => ("FAILED", theme.bad.reversed()),
        (RunState::Crashed, _) => ("CRASHED", theme.bad.reversed()),
        _ if run.connection.lost.is_some() => ("LINK LOST", theme.warning.reversed()),
        _ if run.pending.stop => ("STOPPING", theme.warning.reversed()),
        (_, Some(Transition::Pause)) => ("PAUSING…", theme.warning),
        (_, Some(Transition::Continue)) => ("CONTINUING…", theme.good),
        (RunState::Paused, None) => ("PAUSED", theme.warning.reversed()),
        (RunState::Training, None) => ("TRAINING", theme.good),
        (RunState::Waiting, None) => ("WAITING", theme.dim),
        (RunState::Unreadable, None) => ("UNREADABLE", theme.bad.reversed()),
    }
}
