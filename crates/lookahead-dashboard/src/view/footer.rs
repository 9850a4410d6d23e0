//! The keys, and the commands that are not confirmed yet.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::cells::{put, width};
use crate::format;
use crate::keys::{Binding, ESC, KEYS};
use crate::model::{Model, Role};
use crate::run::pending::Transition;

/// Draws the keys at the left, and pending commands at the right.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let notice = if model.is_table_open() { String::new() } else { notice(model) };
    let right = area.right().saturating_sub(width(&notice) + 1).max(area.x + 1);
    // The last frame stays in the scrollback, and no key works there.
    if !model.closing {
        let room = right.saturating_sub(area.x + 1);
        let is_table = model.is_table_open();
        let (own, common): (Vec<_>, Vec<_>) =
            KEYS.iter().partition(|binding| binding.is_of_table());
        let is_diff = is_table && model.table.as_ref().is_some_and(|table| table.diff.is_some());
        let all = own.into_iter().filter(|_| !is_diff).chain(common);
        let works = |binding: &&Binding| {
            (is_table == binding.is_of_table() || binding.is_anywhere())
                && (!binding.is_command || model.run().accepts_commands())
        };
        let named = |binding: &Binding| {
            let continues = binding.short == "pause" && model.run().would_continue();
            (binding.keys[0].label(), if continues { "continue" } else { binding.short })
        };
        let back = is_diff.then(|| (ESC.label(), "back"));
        let all = all.filter(|binding| !binding.short.is_empty()).filter(works).map(named);
        let mut shown: Vec<(String, &str)> = back.into_iter().chain(all).collect();
        let area = Rect { width: room, ..area };
        if is_table {
            fit(&mut shown, room);
        }
        draw_keys(model, &shown, area, buffer);
    }
    put(buffer, area, right.max(area.x), area.y, &notice, theme.warning);
}

/// The columns of keys that are so far apart.
fn columns(keys: &[(String, &str)], apart: u16) -> u16 {
    let each = keys.iter().map(|(key, text)| width(key) + 1 + width(text) + apart);
    each.sum::<u16>().saturating_sub(apart)
}

/// Leaves out keys that do not fit, from the right, but never the last two: how to leave, and the help with all others.
fn fit(keys: &mut Vec<(String, &str)>, room: u16) {
    while keys.len() > 2 && columns(keys, 2) >= room {
        keys.remove(keys.len() - 3);
    }
}

/// Draws keys and what they do, as many as fit.
fn draw_keys(model: &Model, keys: &[(String, &str)], area: Rect, buffer: &mut Buffer) {
    let apart = if columns(keys, 3) < area.width { 3 } else { 2 };
    let mut x = area.x + 1;
    for key in keys {
        // Part of it would say nothing.
        if x + columns(std::slice::from_ref(key), 0) > area.right() {
            return;
        }
        let (key, text) = key;
        x = put(buffer, area, x, area.y, key, model.theme.strong);
        x = put(buffer, area, x + 1, area.y, text, model.theme.plain) + apart;
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
