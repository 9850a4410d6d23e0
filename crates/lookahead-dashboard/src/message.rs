//! What can happen to a dashboard, and what it wants done.

use crossterm::event::{KeyEvent, MouseEvent};
use lookahead_run::command::Command;
use lookahead_run::event::Record;

use crate::run::Control;

/// What can happen to a dashboard.
#[derive(Debug)]
pub(crate) enum Message {
    /// There is news of the run of that number.
    Run(usize, RunUpdate),
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The mouse was moved or a button pressed.
    Mouse(MouseEvent),
    /// The terminal has so many columns and rows.
    Resize(u16, u16),
    /// Another second has begun, at this Unix time.
    Tick(f64),
    /// The whole process was stopped between these Unix times, or a little within them.
    WasStopped { from: f64, to: f64 },
    /// So many records in all found no room.
    Dropped(u64),
    /// Something that the user asked of the dashboard is done, or could not be done.
    Done(String),
    /// The next frame is the last, at this Unix time.
    Closing(f64),
}

/// News of a run.
#[derive(Debug)]
pub(crate) enum RunUpdate {
    /// Something happened in it.
    Record(Box<Record>),
    /// All that was told before is void.
    Restarted,
    /// A line of its log is no event.
    Damaged { line: u64, cause: String },
    /// Its log can't be read, for now.
    Unreadable(String),
    /// So much of its log is read, of so much.
    Reading(u64, u64),
    /// Whether its process lives, and whether it can be asked for something.
    Life { alive: bool, control: Control },
    /// It did not take a command.
    Refused { command: Command, why: String },
    /// It took one.
    Accepted(Command),
    /// It is one more, of this name and the number after the last.
    Joins(String),
}

/// What is to be done outside of the model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Ask the run of that number.
    Ask(usize, Command),
    /// Save the chart as a picture, in that file or one that is named by the run.
    Save(Option<String>),
}
