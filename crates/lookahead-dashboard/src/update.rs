//! How a message changes what the dashboard knows.
//!
//! | module | what is in it |
//! |---|---|
//! | `keys` | what each action of the table of keys does |
//! | `mouse` | the mouse |
//! | `prompt` | writing in the prompt, and what a line does |
//! | `ask` | commands to runs |
//! | `cursor` | the cursor, and the part of the x axis that is shown |
//! | `list` | the list of messages or keys that is open over the charts |

mod ask;
mod cursor;
mod keys;
mod list;
mod mouse;
mod prompt;
#[cfg(test)]
mod tests;

use lookahead_run::command::Command;

use crate::message::{Effect, Message, RunUpdate};
use crate::messages::Kind;
use crate::model::Model;
use crate::run::{Run, State};

/// Changes the model, and returns what to do outside of it. It touches nothing else.
pub(crate) fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    match message {
        Message::Run(run, news) => on_update(model, run, news),
        Message::Key(key) => return keys::on_key(model, key),
        Message::Paste(text) => prompt::on_paste(model, &text),
        Message::Mouse(mouse) => return mouse::on_mouse(model, mouse),
        Message::Resize(width, height) => model.size = (width, height),
        Message::Tick(now) => {
            model.now = now;
            model.notice.take_if(|(_, until)| *until < now);
        }
        Message::WasStopped { from, to } => {
            model.runs.iter_mut().for_each(|run| run.clock.stand_still(from, to));
        }
        Message::Dropped(count) => model.dropped = count,
        Message::Done(text) => model.notify(text),
        Message::Closing(now) => {
            model.now = now;
            model.overlay = None;
            model.prompt = None;
            model.question = None;
            model.cursor = None;
            model.closing = true;
        }
    }
    Vec::new()
}

/// Runs whose curves can be told apart, as far as runs go by themselves.
const CURVES: usize = 8;

/// With more curves than can be told apart the oldest of those that are over make room; Space brings
/// them back.
fn hide_the_oldest(model: &mut Model) {
    let shown = model.runs.iter().filter(|run| run.shown).count();
    let selected = model.selected;
    let over = model.runs.iter_mut().enumerate().filter(|(index, run)| {
        *index != selected && run.shown && matches!(run.state(), State::Ended(_))
    });
    over.take(shown.saturating_sub(CURVES)).for_each(|(_, run)| run.shown = false);
}

fn on_update(model: &mut Model, index: usize, news: RunUpdate) {
    let now = model.now;
    if let RunUpdate::Joins(name) = news {
        if index == model.runs.len() {
            model.runs.push(Run::new(&name));
            hide_the_oldest(model);
        }
        return;
    }
    let Some(run) = model.runs.get_mut(index) else { return };
    match news {
        RunUpdate::Joins(_) => {}
        RunUpdate::Record(record) => run.apply(*record),
        RunUpdate::Restarted => run.restart(),
        RunUpdate::Damaged { line, cause } => {
            run.summary.warnings += 1;
            let text =
                format!("line {line} of the event log is not an event and is left out: {cause}");
            run.note(now, Kind::Warning, &text);
        }
        RunUpdate::Unreadable(why) => {
            run.summary.warnings += 1;
            run.note(now, Kind::Bad, &why);
        }
        RunUpdate::Reading(read, all) => run.reading = (read < all).then_some((read, all)),
        RunUpdate::Life { alive, control } => {
            run.control = control;
            run.on_heartbeat(alive, now);
        }
        RunUpdate::Refused { command, why } => {
            run.take_back(&command);
            run.note(now, Kind::Warning, &why);
            model.notify(why);
        }
        RunUpdate::Accepted(command) => {
            if let Command::Set(setting) = command {
                model.notify(format!("{} = {} is accepted", setting.key, setting.value));
            }
        }
    }
}
