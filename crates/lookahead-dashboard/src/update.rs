//! How a message changes what the dashboard knows.
//!
//! | module | contents |
//! |---|---|
//! | `mouse` | the mouse |
//! | `prompt` | editing in the prompt, and what a line does |
//! | `command` | commands to runs |
//! | `cursor` | the cursor, and the visible part of the x axis |
//! | `grid` | the grid of charts |
//! | `table` | the table of runs |
//! | `list` | the list of messages or keys that covers the charts |

pub(crate) mod command;
pub(crate) mod cursor;
pub(crate) mod grid;
pub(crate) mod list;
mod mouse;
pub(crate) mod prompt;
pub(crate) mod table;
#[cfg(test)]
mod tests;

use lookahead_run::command::Command;
use lookahead_run::event::{Event, RollBackCause, RolledBack};

use crate::arrangement::Arrangement;
use crate::keys;
use crate::message::{Effect, Message, RunUpdate};
use crate::messages::Severity;
use crate::model::Model;
use crate::model::dialogs::Dialogs;
use crate::run::Run;
use crate::run::connection::Lost;

/// Changes the model and nothing else; returns what to do outside of it.
pub(crate) fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    match message {
        Message::Table(update) => {
            if let Some(table) = &mut model.table {
                table.apply(*update);
            }
        }
        Message::Run(index, update) => on_update(model, index, update),
        Message::Key(key) => return keys::on_key(model, key),
        Message::Paste(text) => prompt::on_paste(model, &text),
        Message::Mouse(mouse) => return mouse::on_mouse(model, mouse),
        Message::Resize(width, height) => model.size = (width, height),
        Message::Tick(now) => {
            model.now = now;
            model.dialogs.notice.take_if(|(_, until)| *until < now);
        }
        Message::Dropped(count) => model.dropped = count,
        Message::Done(text) => model.notify(text),
        Message::Arranged(arrangement) => {
            // The user may have been faster than the disk.
            if model.arrangement == Arrangement::default() {
                model.arrangement = arrangement;
                grid::select_shown(model);
            }
        }
        Message::Closing(now) => {
            model.now = now;
            model.dialogs = Dialogs::default();
            model.view.cursor = None;
            model.closing = true;
        }
    }
    Vec::new()
}

/// What a run answers to a roll-back on request or to the last `set`, for the line above the keys.
fn answer(run: &mut Run, event: &Event) -> Option<String> {
    if let Event::RolledBack(RolledBack { cause: RollBackCause::Requested, .. }) = event
        && std::mem::take(&mut run.pending.roll_back)
    {
        return Some("The fast weights went back to the slow ones.".to_owned());
    }
    let key = run.pending.setting.as_ref()?;
    let answer = match event {
        Event::Changed(changed) => format!("{key} is {} from here on", changed.changes.get(key)?),
        Event::Warning(warning) if warning.message.contains(key) => warning.message.clone(),
        _ => return None,
    };
    run.pending.setting = None;
    Some(answer)
}

fn on_update(model: &mut Model, index: usize, update: RunUpdate) {
    let now = model.now;
    let Some(run) = model.runs.get_mut(index) else { return };
    match update {
        // The channels unpack a past.
        RunUpdate::Past(_) => {}
        RunUpdate::Record(record) => {
            let answer = answer(run, &record.event);
            let names = run.series.scalars.len();
            run.apply(*record);
            if run.series.scalars.len() > names {
                model.add_names(index);
            }
            if let Some(answer) = answer {
                model.notify(answer);
            }
        }
        RunUpdate::Restarted => run.restart(),
        RunUpdate::Damaged { line, cause } => {
            run.summary.warnings += 1;
            let text =
                format!("line {line} of the event log is not an event and is skipped: {cause}");
            run.note(now, Severity::Warning, &text);
        }
        RunUpdate::Unreadable(why) => {
            run.summary.warnings += 1;
            run.note(now, Severity::Error, &why);
        }
        RunUpdate::Reading(read, all) => {
            run.connection.reading = (read < all).then_some((read, all));
        }
        RunUpdate::Heartbeat { alive, control } => {
            run.connection.control = control;
            run.on_heartbeat(alive, now);
        }
        RunUpdate::Refused { command, why } => {
            run.pending.remove(&command);
            run.note(now, Severity::Warning, &why);
            model.notify(why);
        }
        RunUpdate::Accepted(Command::Set(setting)) => {
            model.notify(format!("{} = {} is accepted", setting.key, setting.value));
        }
        RunUpdate::Accepted(_) => {}
        RunUpdate::Disconnected { host, why, retry } => {
            run.on_disconnect(Lost { host, why, retry }, now);
        }
        RunUpdate::Reconnected { host } => {
            run.connection.lost = None;
            run.note(now, Severity::Info, &format!("connected to {host} again"));
        }
    }
}
