//! The keys, and the commands that are not confirmed yet.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::cells::{put, width};
use crate::format;
use crate::keys::{ESC, KEYS};
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
        let is_diff = is_table && model.table.as_ref().is_some_and(|table| table.diff.is_some());
        let all = own.into_iter().filter(|_| !is_diff).chain(common);
        let mut shown: Vec<(String, &str)> = Vec::new();
        if is_diff {
            shown.push((ESC.label(), "back"));
        }
        for binding in all.filter(|binding| !binding.short.is_empty()) {
            if is_table != binding.is_of_table() && !binding.is_anywhere() {
                continue;
            }
            if binding.is_command && !model.run().accepts_commands() {
                continue;
            }
            let continues = binding.short == "pause" && model.run().would_continue();
            let text = if continues { "continue" } else { binding.short };
            shown.push((binding.keys[0].label(), text));
        }
        if is_table {
            fit(&mut shown, keys.width);
        }
        for (key, text) in shown {
            x = put(buffer, keys, x, area.y, &key, theme.strong);
            x = put(buffer, keys, x + 1, area.y, text, theme.plain) + 3;
        }
    }
    put(buffer, area, right.max(area.x), area.y, &notice, theme.warning);
}

/// Leaves out keys that do not fit, from the right, but never the last two: how to leave, and the help with all others.
fn fit(shown: &mut Vec<(String, &str)>, room: u16) {
    let used = |shown: &[(String, &str)]| -> u16 {
        shown.iter().map(|(key, text)| width(key) + width(text) + 4).sum()
    };
    // Nothing follows the last one.
    while shown.len() > 2 && used(shown) > room + 3 {
        shown.remove(shown.len() - 3);
    }
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
