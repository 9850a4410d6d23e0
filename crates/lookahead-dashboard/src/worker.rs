//! A thread that saves pictures.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};
use lookahead_chart::{Figure, Size};

use crate::message::Message;

/// How large a saved picture is, in pixels.
pub(crate) const SIZE: Size = Size { width: 1200, height: 700 };

/// The thread, and the ends of its channels.
#[derive(Debug)]
pub(crate) struct Worker {
    pictures: Sender<(Box<Figure>, PathBuf)>,
    done: Receiver<Message>,
}

impl Worker {
    /// Starts the thread, which ends with this.
    ///
    /// # Errors
    /// If the system gives none.
    pub(crate) fn start() -> io::Result<Worker> {
        let (pictures, to_do) = unbounded::<(Box<Figure>, PathBuf)>();
        let (done, finished) = unbounded();
        thread::Builder::new().name("dashboard worker".into()).spawn(move || {
            let _ = rustix::process::nice(10);
            for (figure, path) in to_do {
                if done.send(Message::Done(save(&figure, &path))).is_err() {
                    return;
                }
            }
        })?;
        Ok(Worker { pictures, done: finished })
    }

    /// Saves a picture when the thread gets to it.
    pub(crate) fn save(&self, figure: Figure, path: PathBuf) {
        let _ = self.pictures.send((Box::new(figure), path));
    }

    /// The next message about what has been done since.
    pub(crate) fn done(&self) -> Option<Message> {
        self.done.try_recv().ok()
    }
}

fn save(figure: &Figure, path: &Path) -> String {
    match lookahead_chart::save(figure, path, SIZE, false) {
        Ok(()) => format!("saved {}", path.display()),
        Err(error) => error.to_string(),
    }
}
