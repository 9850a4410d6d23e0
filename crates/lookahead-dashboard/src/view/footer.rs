//! The keys, from their table, and what was asked for with them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{put, width};
use crate::format;
use crate::keys::{Action, KEYS};
use crate::model::{Model, Role};
use crate::run::Asked;

/// Draws the keys at the left, and at the right what is still on its way.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let notice = notice(model);
    let right = area.right().saturating_sub(width(&notice) + 1).max(area.x + 1);
    let mut x = area.x + 1;
    // The last frame goes to the scrollback, where no key works any more.
    if !model.closing {
        let keys = Rect { width: right.saturating_sub(area.x + 1), ..area };
        for binding in KEYS.iter().filter(|binding| !binding.short.is_empty()) {
            let of_run = matches!(
                binding.action,
                Action::TogglePause | Action::Checkpoint | Action::Stop | Action::Prompt
            );
            if of_run && !model.run().takes_commands() {
                continue;
            }
            let text = match binding.action {
                Action::TogglePause if model.run().would_continue() => "continue",
                _ => binding.short,
            };
            x = put(buffer, keys, x, area.y, &binding.keys[0].label(), theme.key);
            x = put(buffer, keys, x + 1, area.y, text, theme.plain) + 3;
        }
    }
    put(buffer, area, right.max(area.x), area.y, &notice, theme.warning);
}

/// What was asked for and has not happened yet; else how much could not be shown.
pub(crate) fn notice(model: &Model) -> String {
    let run = model.run();
    if run.is_over() || model.closing {
        String::new()
    } else if model.interrupts > 0 && model.role == Role::Trainer {
        "stopping: saving a checkpoint…  Ctrl-C again ends without".into()
    } else if run.stop_asked {
        "stopping: saving a checkpoint…".into()
    } else if run.checkpoint_asked {
        "saving a checkpoint…".into()
    } else if run.asked == Some(Asked::Pause) {
        "pausing…".into()
    } else if run.asked == Some(Asked::Continue) {
        "continuing…".into()
    } else if model.dropped > 0 {
        let plural = if model.dropped == 1 { "event" } else { "events" };
        format!("{} {plural} not shown", format::count(model.dropped))
    } else {
        String::new()
    }
}
