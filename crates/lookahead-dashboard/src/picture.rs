//! Saving a chart as a picture.

use std::path::PathBuf;
use std::thread;

use crossbeam_channel::Sender;
use lookahead_chart::{Figure, Size};

use crate::message::Message;

/// The size of a saved picture in pixels.
const SIZE: Size = Size { width: 1200, height: 700 };

/// Saves a picture on a thread of its own, and sends the result to `done`.
pub(crate) fn save(figure: Figure, path: PathBuf, done: &Sender<Message>) {
    let sender = done.clone();
    let spawned = thread::Builder::new().name("dashboard picture".into()).spawn(move || {
        let _ = rustix::process::nice(10);
        let text = match lookahead_chart::save(&figure, &path, SIZE, false) {
            Ok(()) => format!("saved {}", path.display()),
            Err(error) => error.to_string(),
        };
        let _ = sender.send(Message::Done(text));
    });
    if let Err(error) = spawned {
        let _ = done.send(Message::Done(format!("The picture can't be saved: {error}.")));
    }
}
