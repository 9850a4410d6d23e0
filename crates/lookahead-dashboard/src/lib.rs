//! A live terminal dashboard of a run: events in, commands out.
//!
//! | module | what is in it |
//! |---|---|
//! | `handle` | [`spawn`] and [`Dashboard`]: what a trainer holds |
//! | `watch` | [`watch()`](watch()): the dashboard on the runs of other processes |
//! | `followers`, `command_senders` | the threads that read their logs, and take commands to them |
//! | `event_loop`, `worker` | the one loop that owns the terminal, and a thread for what takes time |
//! | `input` | what a terminal sends, as keys, mouse events and pastes |
//! | `terminal` | taking the terminal over, and giving it back on every way out |
//! | `jobs` | Ctrl-Z, `fg` and `bg`: giving it back for a while |
//! | `model`, `update`, `run` | what the user looks at, what is known of each run, and how a message changes it: pure |
//! | `view` | how it looks, one pane a file: pure |
//! | [`keys`], `prompt` | the one table behind dispatch, footer, help and documentation; the line for commands |
//! | `charts`, `viewport` | which series each chart has, and which part of the x axis is shown |
//! | `history`, `smoothing`, `cycles`, `clock` | series in bounded memory, running means, inner cycles, time and rate |
//! | `format`, `theme`, `options` | how a number is written, how a thing is coloured |
//! | `offscreen` | [`Offscreen`]: the dashboard without a terminal |
//! | `figure` | the charts as figures, for files |
//!
//! It is the Elm architecture: `update(&mut Model, Message) -> Vec<Effect>` and
//! `view(&Model, &mut Frame)` touch nothing outside their arguments, so every behaviour can be
//! tested without a terminal. Nothing here knows of tensors, nor whether a live trainer or a
//! follower of an event log sends the records.
//!
//! A dashboard is a good job of its shell: on Ctrl-Z and SIGTSTP it gives the terminal back before
//! the program stops; it takes it again in the foreground, and leaves it alone in the background.
//! For this, [`spawn`] installs handlers of SIGTSTP and SIGCONT, which stay and, while no dashboard
//! is up, keep to the default.
//!
//! Two promises hold whatever happens here: the training never waits for the screen, and a crash
//! of the dashboard never ends the training.
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
//!         eprintln!("asked for: {command:?}");
//!     }
//! }
//! if let Some(last_frame) = dashboard.close(Duration::from_secs(1)) {
//!     println!("{last_frame}");
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

mod charts;
mod clock;
mod command_senders;
mod cycles;
mod event_loop;
mod figure;
#[cfg(test)]
mod fixture;
mod followers;
mod format;
mod handle;
mod history;
mod input;
mod jobs;
pub mod keys;
mod message;
mod messages;
mod model;
mod offscreen;
mod options;
mod prompt;
mod run;
mod smoothing;
mod terminal;
mod theme;
mod update;
mod view;
mod viewport;
mod watch;
mod worker;

pub use charts::Chart;
pub use figure::{Plot, plot};
pub use handle::{Dashboard, spawn};
pub use offscreen::Offscreen;
pub use options::Options;
pub use terminal::{incapable_terminal, restore_terminal};
pub use theme::ThemeName;
pub use viewport::Axis;
pub use watch::watch;
