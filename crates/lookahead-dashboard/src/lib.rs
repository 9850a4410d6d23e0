//! A live terminal dashboard of a run: events in, commands out.
//!
//! | module | what is in it |
//! |---|---|
//! | `handle` | [`spawn`] and [`Dashboard`]: what a trainer holds |
//! | `event_loop` | the one loop that owns the terminal |
//! | `terminal` | taking the terminal over, and giving it back on every way out |
//! | `jobs` | Ctrl-Z, `fg` and `bg`: giving it back for a while |
//! | `model`, `update` | what is known of the run, and how a message changes it: pure |
//! | `view` | how it looks, one pane a file: pure |
//! | [`keys`] | the one table behind dispatch, footer, help and documentation |
//! | `history`, `smoothing`, `clock` | series in bounded memory, running means, time and rate |
//! | `format`, `theme` | how a number is written, how a thing is coloured |
//!
//! It is the Elm architecture: `update(&mut Model, Message) -> Vec<Command>` and
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

mod clock;
mod event_loop;
#[cfg(test)]
mod fixture;
mod format;
mod handle;
mod history;
mod jobs;
pub mod keys;
mod messages;
mod model;
pub mod picture;
mod smoothing;
mod terminal;
mod theme;
mod update;
mod view;

pub use handle::{Dashboard, Options, spawn};
pub use terminal::restore_terminal;
