//! A thread for what takes time: reading a log at the cursor, and saving pictures.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use lookahead_run::index::Index;

use crate::picture::{self, Figure, Size};
use crate::update::{Message, News};

enum Job {
    LookUp { run: usize, path: PathBuf, index: Index, step: u64 },
    Save(Box<Figure>, PathBuf),
}

/// The thread, and the ends of its channels.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: Sender<Job>,
    done: Receiver<Message>,
}

/// How large a saved picture is, in pixels.
pub(crate) const SIZE: Size = Size { width: 1200, height: 700 };

/// Jobs that wait at most; a key that is held down asks for more.
const WAITING: usize = 64;

impl Worker {
    /// Starts the thread, which ends with this.
    ///
    /// # Errors
    /// Where the system gives none.
    pub(crate) fn start() -> io::Result<Worker> {
        let (jobs, to_do) = bounded(WAITING);
        let (done, finished) = unbounded();
        thread::Builder::new().name("dashboard worker".into()).spawn(move || {
            let _ = rustix::process::nice(10);
            work(&to_do, &done);
        })?;
        Ok(Worker { jobs, done: finished })
    }

    /// Has the values at a step read from the log, where the index says that they are.
    pub(crate) fn look_up(&self, run: usize, path: PathBuf, index: Index, step: u64) {
        // Without room the next move of the cursor asks again.
        let _ = self.jobs.try_send(Job::LookUp { run, path, index, step });
    }

    /// Has a picture saved.
    pub(crate) fn save(&self, figure: Figure, path: PathBuf) {
        let _ = self.jobs.try_send(Job::Save(Box::new(figure), path));
    }

    /// What has been done since.
    pub(crate) fn done(&self) -> Option<Message> {
        self.done.try_recv().ok()
    }
}

fn work(jobs: &Receiver<Job>, done: &Sender<Message>) {
    let mut later: Option<Job> = None;
    while let Some(job) = later.take().or_else(|| jobs.recv().ok()) {
        let message = match job {
            Job::LookUp { run, path, index, step } => {
                // Of a cursor that moves on only the last place matters.
                let mut newer = None;
                while newer.is_none() {
                    match jobs.try_recv() {
                        Ok(next) => newer = Some(next),
                        Err(_) => break,
                    }
                }
                if let Some(next) = newer {
                    let same = matches!(&next, Job::LookUp { run: other, .. } if *other == run);
                    later = Some(next);
                    if same {
                        continue;
                    }
                }
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
    match picture::save(figure, path, SIZE, false) {
        Ok(()) => format!("saved {}", path.display()),
        Err(error) => error.to_string(),
    }
}
