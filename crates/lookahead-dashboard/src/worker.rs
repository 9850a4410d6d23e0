//! A thread for what takes time: reading a log at the cursor, and saving pictures.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};
use lookahead_chart::{Figure, Size};
use lookahead_run::index::Index;

use crate::update::{Message, News};

/// The newest place of the cursor, for each run: earlier ones don't matter any more.
type LookUps = Arc<Mutex<BTreeMap<usize, (PathBuf, Index, u64)>>>;

enum Job {
    /// See to what is to be looked up.
    LookUp,
    Save(Box<Figure>, PathBuf),
}

/// The thread, and the ends of its channels.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: Sender<Job>,
    look_ups: LookUps,
    done: Receiver<Message>,
}

/// How large a saved picture is, in pixels.
pub(crate) const SIZE: Size = Size { width: 1200, height: 700 };

impl Worker {
    /// Starts the thread, which ends with this.
    ///
    /// # Errors
    /// Where the system gives none.
    pub(crate) fn start() -> io::Result<Worker> {
        let (jobs, to_do) = unbounded();
        let (done, finished) = unbounded();
        let look_ups = LookUps::default();
        let theirs = look_ups.clone();
        thread::Builder::new().name("dashboard worker".into()).spawn(move || {
            let _ = rustix::process::nice(10);
            work(&to_do, &theirs, &done);
        })?;
        Ok(Worker { jobs, look_ups, done: finished })
    }

    /// Has the values at a step read from the log, where the index says that they are.
    pub(crate) fn look_up(&self, run: usize, path: PathBuf, index: Index, step: u64) {
        let mut look_ups = self.look_ups.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is replaced has been told of already.
        if look_ups.insert(run, (path, index, step)).is_none() {
            let _ = self.jobs.send(Job::LookUp);
        }
    }

    /// Has a picture saved.
    pub(crate) fn save(&self, figure: Figure, path: PathBuf) {
        let _ = self.jobs.send(Job::Save(Box::new(figure), path));
    }

    /// What has been done since.
    pub(crate) fn done(&self) -> Option<Message> {
        self.done.try_recv().ok()
    }
}

fn work(jobs: &Receiver<Job>, look_ups: &LookUps, done: &Sender<Message>) {
    for job in jobs {
        let message = match job {
            Job::LookUp => {
                let next = look_ups.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
                let Some((run, (path, index, step))) = next else { continue };
                match index.exact(&path, step) {
                    Ok(found) => Message::News(run, News::Exact(step, Box::new(found))),
                    // The picture's own values stand in.
                    Err(_) => continue,
                }
            }
            Job::Save(figure, path) => Message::Told(save(&figure, &path)),
        };
        if done.send(message).is_err() {
            return;
        }
    }
}

fn save(figure: &Figure, path: &Path) -> String {
    match lookahead_chart::save(figure, path, SIZE, false) {
        Ok(()) => format!("saved {}", path.display()),
        Err(error) => error.to_string(),
    }
}
