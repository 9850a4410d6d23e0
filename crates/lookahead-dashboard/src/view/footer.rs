//! The keys, and the commands that are not confirmed yet.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::cells::{put, width};
use crate::format;
use crate::keys::KEYS;
use crate::model::{Model, Role};
use crate::run::pending::Transition;

/// Draws the keys at the left, and pending commands at the right.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let notice = if model.is_table_open() { String::new() } else { notice(model) };
    let right = area.right().saturating_sub(width(&notice) + 1).max(area.x + 1);
    let mut x = area.x + 1;
    // The last frame stays in the scrollback, and no key works there.
    if !model.closing {
        let keys = Rect { width: right.saturating_sub(area.x + 1), ..area };
        let is_table = model.is_table_open();
        let (own, common): (Vec<_>, Vec<_>) =
            KEYS.iter().partition(|binding| binding.is_of_table());
        let all = own.into_iter().chain(common);
        for binding in all.filter(|binding| !binding.short.is_empty()) {
            if is_table != binding.is_of_table() && !binding.is_anywhere() {
                continue;
            }
            if binding.is_command && !model.run().accepts_commands() {
                continue;
            }
            let continues = binding.short == "pause" && model.run().would_continue();
            let text = if continues { "continue" } else { binding.short };
            x = put(buffer, keys, x, area.y, &binding.keys[0].label(), theme.strong);
            x = put(buffer, keys, x + 1, area.y, text, theme.plain) + 3;
        }
    }
    put(buffer, area, right.max(area.x), area.y, &notice, theme.warning);
}

/// The command that is not confirmed yet, or how many events were not drawn.
pub(crate) fn notice(model: &Model) -> String {
    let run = model.run();
    if run.has_ended() || model.closing {
        return String::new();
    }
    let text = if model.exit.interrupts > 0 && model.role == Role::Trainer {
        "stopping: saving a checkpoint…  Ctrl-C again exits without"
    } else if run.pending.stop {
        "stopping: saving a checkpoint…"
    } else if run.pending.checkpoint {
        "saving a checkpoint…"
    } else if run.pending.roll_back {
        "rolling back…"
    } else {
        match run.pending.transition {
            Some(Transition::Pause) => "pausing…",
            Some(Transition::Continue) => "continuing…",
            None if model.dropped == 0 => "",
            None => {
                let plural = if model.dropped == 1 { "event" } else { "events" };
                return format!("{} {plural} not shown", format::count(model.dropped));
            }
        }
    };
    text.into()
}
