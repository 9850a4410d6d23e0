//! What can happen to a dashboard, and what it does about it outside of the model.

use crossbeam_channel::Receiver;
use crossterm::event::{KeyEvent, MouseEvent};
use lookahead_run::LogItem;
use lookahead_run::command::Command;
use lookahead_run::event::Record;
use serde::{Deserialize, Serialize};

use crate::arrangement::Arrangement;
use crate::model::table::TableUpdate;
use crate::run::connection::Control;

/// What can happen to a dashboard.
#[derive(Debug)]
pub(crate) enum Message {
    /// An update of the run with this number.
    Run(usize, RunUpdate),
    Key(KeyEvent),
    /// The runs of the table have changed.
    Table(Box<TableUpdate>),
    /// Text was pasted.
    Paste(String),
    Mouse(MouseEvent),
    /// The terminal has this many columns and rows.
    Resize(u16, u16),
    /// Another second has begun, at this Unix time.
    Tick(f64),
    /// The number of records that were dropped so far, because the channel was full.
    Dropped(u64),
    /// The result of something that the user requested of the dashboard.
    Done(String),
    /// How the user arranged the charts the last time.
    Arranged(Arrangement),
    /// The next frame is the last, at this Unix time.
    Closing(f64),
}

/// What can happen to a run. From another machine it comes as JSON: see [`wire`](crate::wire).
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunUpdate {
    /// An event.
    Record(Box<Record>),
    /// All earlier events are void.
    Restarted,
    /// What comes out of this channel, until its end, happened before what follows.
    #[serde(skip)]
    Past(Receiver<RunUpdate>),
    /// A line of its log is not an event.
    Damaged { line: u64, cause: String },
    /// Its log can't be read, for now.
    Unreadable(String),
    /// Bytes of its log that are read, and all of them.
    Reading(u64, u64),
    /// Whether its process exists, and whether it accepts commands.
    Heartbeat { alive: bool, control: Control },
    /// It did not accept a command.
    Refused { command: Command, why: String },
    /// It accepted a command.
    Accepted(Command),
    /// The connection to its machine is lost: why, as a clause, and the Unix time of the next attempt.
    #[serde(skip)]
    Disconnected { host: String, why: String, retry: f64 },
    /// The connection is back.
    #[serde(skip)]
    Reconnected { host: String },
}

impl From<LogItem> for RunUpdate {
    fn from(item: LogItem) -> RunUpdate {
        match item {
            LogItem::Record(record) => RunUpdate::Record(Box::new(record)),
            LogItem::Restarted => RunUpdate::Restarted,
            LogItem::Damaged { line, cause } => RunUpdate::Damaged { line, cause },
        }
    }
}

/// What to do outside of the model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Send a command to the run with this number.
    Send(usize, Command),
    /// Show the charts of these runs of the table.
    Open(Vec<usize>),
    /// Save the chart as a picture, in this file or in one named after the run.
    Save(Option<String>),
    /// Remember how the charts are arranged.
    Remember,
}
