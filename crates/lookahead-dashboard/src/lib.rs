//! A live terminal dashboard of a run: events in, commands out.
//!
//! | module | contents |
//! |---|---|
//! | `handle`, `past` | [`spawn`] and [`Dashboard`]: the trainer's end; the log of a run that is resumed |
//! | `watch` | [`watch()`](watch()): the dashboard on runs of other processes; [`browse()`]: on a table of them |
//! | `watched_run`, `labels` | a run to watch, here or on another machine, and its name |
//! | `remote`, `relay`, `wire` | the two ends of the connection to a run on another machine, and what goes through it |
//! | `table_reader` | the thread that reads the runs of a table |
//! | `followers`, `command_senders` | threads that read their logs, and send commands to them |
//! | `event_loop`, `channels`, `picture` | the loop that owns the terminal, its channels, and saving a chart |
//! | `arrangement`, `arrangement_store` | the grid of charts, and remembering how it is arranged |
//! | `source`, `decoder` | keys, mouse events and pastes, from the bytes of a terminal |
//! | `terminal`, `ownership` | taking the terminal over, and giving it back on every way out |
//! | `jobs` | Ctrl-Z, `fg` and `bg` |
//! | `message`, `update` | what can happen, and how it changes the model |
//! | `model`, `run` | how the user looks at the runs, and what is known of each |
//! | `view` | how the model looks, one pane a file |
//! | `keys`, `words`, `prompt` | the table of keys with their actions, that of words with their meanings, and the line for commands |
//! | `chart`, `series`, `viewport` | the charts, their lines, and the visible part of the x axis |
//! | `history`, `smoothing`, `cycles`, `clock` | series in bounded memory, running means, inner cycles, training time and rate |
//! | `messages`, `format`, `theme`, `options` | messages of runs, numbers, colours |
//! | `offscreen`, `screen_text` | [`Offscreen`]: the dashboard without a terminal; a screen as text |
//! | `heat_map` | the norms of layers as rows and columns |
//! | `figure` | the charts as figures, for files |
//!
//! It follows the Elm architecture: `update(&mut Model, Message) -> Vec<Effect>` and
//! `view(&Model, &mut Frame)` touch nothing outside their arguments, so every behaviour can be tested
//! without a terminal. Nothing here knows of tensors, nor whether records come from a live trainer or
//! from an event log.
//!
//! On Ctrl-Z and SIGTSTP the dashboard gives the terminal back before the program stops; it reacquires
//! it in the foreground, and leaves it alone in the background. For this, [`spawn`] installs permanent
//! handlers of SIGTSTP and SIGCONT, which keep to the default while there is no dashboard.
//!
//! The training never waits for the screen, and a crash of the dashboard never ends the training.
//!
//! ```no_run
//! use std::time::Duration;
//! use lookahead_dashboard::{Options, spawn};
//! # fn records() -> Vec<lookahead_run::event::Record> { vec![] }
//!
//! let dashboard = spawn(Options::default())?;
//! for record in records() {
//!     dashboard.send(&record);
//!     if let Ok(command) = dashboard.commands().try_recv() {
//!         eprintln!("requested: {command:?}");
//!     }
//! }
//! if let Some(last_frame) = dashboard.close(Duration::from_secs(1)) {
//!     println!("{last_frame}");
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

mod arrangement;
mod arrangement_store;
mod channels;
mod chart;
mod clock;
mod command_senders;
mod cycles;
mod decoder;
mod event_loop;
mod figure;
#[cfg(test)]
mod fixture;
mod followers;
mod format;
mod handle;
mod heat_map;
mod history;
mod jobs;
mod keys;
mod labels;
mod message;
mod messages;
mod model;
mod offscreen;
mod options;
mod ownership;
mod pace;
mod past;
mod picture;
mod prompt;
mod relay;
mod remote;
mod run;
mod screen_text;
mod series;
mod smoothing;
mod source;
mod table_reader;
mod terminal;
mod theme;
mod update;
mod view;
mod viewport;
mod watch;
mod watched_run;
mod wire;
mod words;

pub use crossterm::event::KeyCode;
pub use figure::{Plot, PlotError, plot};
pub use handle::{Dashboard, spawn};
pub use offscreen::Offscreen;
pub use options::Options;
pub use ownership::{discard_late_keys, restore_terminal};
pub use relay::{refuse, relay};
pub use remote::{RemoteError, RemoteRun, run_there};
pub use terminal::incapable_terminal;
pub use theme::ThemeName;
pub use viewport::Axis;
pub use watch::{RunSource, browse, watch};
pub use watched_run::WatchedRun;
pub use wire::Bookmark;
