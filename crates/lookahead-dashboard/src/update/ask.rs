//! Commands to runs.

use lookahead_run::command::Command;

use crate::message::Effect;
use crate::model::Model;
use crate::run::{Control, State};

/// Asks the selected run, if it may be asked; else it is told why not.
pub(super) fn ask(model: &mut Model, command: Command) -> Vec<Effect> {
    ask_run(model, model.selected, command)
}

pub(super) fn ask_run(model: &mut Model, index: usize, command: Command) -> Vec<Effect> {
    let run = &mut model.runs[index];
    // The run would do nothing about it, and tell nothing.
    let already = match (&command, run.asked) {
        (Command::Pause, None) => run.state() == State::Paused,
        (Command::Continue, None) => run.state() == State::Training,
        _ => false,
    };
    if already && run.takes_commands() {
        let state = if command == Command::Pause { "paused" } else { "training" };
        model.notify(format!("The run is {state} already."));
        return Vec::new();
    }
    if run.takes_commands() {
        run.ask(&command);
        return vec![Effect::Ask(index, command)];
    }
    if run.control == Control::ViewOnly && !run.is_over() {
        let text =
            "View only: the run has no control socket here, so it can't be asked for anything.";
        model.notify(text.into());
    }
    Vec::new()
}
