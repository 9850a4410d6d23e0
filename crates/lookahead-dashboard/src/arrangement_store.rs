//! Remembers how the charts of a run, or of the runs in a folder, are arranged.
//!
//! It is a small file per folder in the user's state directory, not in the run: a run may be someone else's. A
//! thread of its own reads and writes it, so that neither the dashboard nor the training waits for a disk.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use lookahead_run::checkpoint::fingerprint_of;
use serde_json::{Value, json};

use crate::arrangement::Arrangement;
use crate::message::Message;
use crate::watched_run::WatchedRun;

/// Most bytes of a file.
const LARGEST: u64 = 1 << 20;
/// How long the end of the dashboard waits for the last change to be written.
const PATIENCE: Duration = Duration::from_millis(500);

/// The thread that remembers.
#[derive(Debug)]
pub(crate) struct ArrangementStore {
    changes: Option<Sender<Arrangement>>,
    finished: Receiver<()>,
}

impl ArrangementStore {
    /// Sends to `done` how the charts of `folder` were arranged, and from then on writes each change. Without a
    /// folder, or without a home of the user, nothing is remembered.
    pub(crate) fn start(folder: Option<PathBuf>, done: Sender<Message>) -> Self {
        let (changes, changed) = unbounded();
        let (finished_in, finished) = bounded(0);
        let store = ArrangementStore { changes: Some(changes), finished };
        let Some((folder, state)) = folder.zip(state_directory()) else { return store };
        let work = move || {
            let _finished = finished_in;
            let _ = rustix::process::nice(10);
            let folder = std::path::absolute(&folder).unwrap_or(folder);
            let folder = fs::canonicalize(&folder).unwrap_or(folder);
            follow(&folder, &path(&state, &folder), &changed, &done);
        };
        // Without the thread nothing is remembered, and everything else works.
        let _ = thread::Builder::new().name("arrangement".into()).spawn(work);
        store
    }

    /// Writes an arrangement, without waiting for that.
    pub(crate) fn save(&self, arrangement: Arrangement) {
        if let Some(changes) = &self.changes {
            let _ = changes.send(arrangement);
        }
    }
}

impl Drop for ArrangementStore {
    fn drop(&mut self) {
        self.changes = None;
        let _ = self.finished.recv_timeout(PATIENCE);
    }
}

/// `$XDG_STATE_HOME/lookahead`, or that in `~/.local/state`.
fn state_directory() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(base.join("lookahead"))
}

/// The file of a folder. Its name is a hash, since a path can be longer than a name may be.
fn path(state: &Path, folder: &Path) -> PathBuf {
    let hash = fingerprint_of(folder.as_os_str().as_encoded_bytes());
    state.join("charts").join(format!("{hash:015x}.json"))
}

/// The folder that holds all of these runs: the run itself if there is one.
pub(crate) fn common_folder(runs: &[WatchedRun]) -> Option<PathBuf> {
    let (first, rest) = runs.split_first()?;
    let mut common = first.place().ok()?;
    for run in rest {
        let path = run.place().ok()?;
        while !path.starts_with(&common) {
            common.pop();
        }
    }
    Some(common)
}

fn follow(folder: &Path, file: &Path, changes: &Receiver<Arrangement>, done: &Sender<Message>) {
    match read(file) {
        Ok(Some(arrangement)) => drop(done.send(Message::Arranged(arrangement))),
        Ok(None) => {}
        Err(why) => {
            let file = file.display();
            let text =
                format!("The saved chart layout {file} is damaged and ignored: {why}. Delete it.");
            let _ = done.send(Message::Done(text));
        }
    }
    let mut failed = false;
    while let Ok(mut arrangement) = changes.recv() {
        // Only the last of several counts.
        while let Ok(later) = changes.try_recv() {
            arrangement = later;
        }
        if let Err(error) = write(folder, file, &arrangement) {
            let text = format!("The arrangement of the charts is not remembered: {error}.");
            if !std::mem::replace(&mut failed, true) {
                let _ = done.send(Message::Done(text));
            }
        }
    }
}

/// Reads a file; nothing if there is none.
fn read(file: &Path) -> Result<Option<Arrangement>, String> {
    let opened = match lookahead_run::open_plain(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| error.to_string())?,
    };
    let mut text = String::new();
    let limited = &mut opened.take(LARGEST);
    limited.read_to_string(&mut text).map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let arrangement = Arrangement::from_json(&value);
    arrangement.map(Some).ok_or_else(|| "it is not such an arrangement".to_owned())
}

/// Writes a file whole: another dashboard may read it at the same time.
fn write(folder: &Path, file: &Path, arrangement: &Arrangement) -> io::Result<()> {
    let mut value = arrangement.to_json();
    value["folder"] = json!(folder.to_string_lossy());
    fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
    let new = file.with_extension(format!("{}.tmp", std::process::id()));
    let mut out = File::create(&new)?;
    out.write_all(format!("{value:#}\n").as_bytes())?;
    fs::rename(&new, file)
}

#[cfg(test)]
mod tests;
