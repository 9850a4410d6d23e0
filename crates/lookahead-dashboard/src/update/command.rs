//! Commands to runs.

use lookahead_run::command::Command;

use crate::message::Effect;
use crate::model::Model;
use crate::run::RunState;
use crate::run::connection::Control;

/// Sends a command to the selected run, or explains why not.
pub(crate) fn send(model: &mut Model, command: Command) -> Vec<Effect> {
    send_to(model, model.selected, command)
}

pub(crate) fn send_to(model: &mut Model, index: usize, command: Command) -> Vec<Effect> {
    let run = &mut model.runs[index];
    if !run.accepts_commands() {
        if run.has_ended() {
            model.notify("The run has ended, so it accepts no commands.");
        } else if let Some(lost) = &run.connection.lost {
            let sentence = lost.sentence(model.now);
            model.notify(format!("{sentence} Commands can be sent when it is back."));
        } else if run.connection.control == Control::ViewOnly {
            model.notify(
                "View only: the run has no control socket here, so it accepts no commands.",
            );
        }
        return Vec::new();
    }
    if command == Command::RollBack && !run.has_lookahead() {
        model.notify("The run trains without Lookahead: it has no slow weights to roll back to.");
        return Vec::new();
    }
    // The run would ignore these without an answer.
    let already = match (&command, run.pending.transition, run.state()) {
        (Command::Pause, None, RunState::Paused) => Some("paused"),
        (Command::Continue, None, RunState::Training) => Some("training"),
        _ => None,
    };
    if let Some(state) = already {
        model.notify(format!("The run is already {state}."));
        return Vec::new();
    }
    run.pending.add(&command);
    vec![Effect::Send(index, command)]
}
