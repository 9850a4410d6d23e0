//! The folder of a run: made once, never overwritten, written by one process at a time.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::disk::{self, At, shown};
use crate::error::{Error, Result};
use crate::identity;
use crate::locked_folder::{self, CONFIG, LockedFolder};
use crate::log::EventLog;
use crate::manifest::Manifest;
use crate::store::CheckpointStore;

pub use crate::disk::fault_of_name;
pub use crate::locked_folder::Writer;

/// After how long a silence of its log a run counts as crashed if its process is gone ([`Writer::Gone`]):
/// one that has just ended may not have written its last line, or another may be starting.
pub const SILENCE: Duration = Duration::from_secs(3);

/// The same if nothing is known of its process ([`Writer::Unknown`]): the log of another machine may
/// arrive in large pieces.
pub const SILENCE_ELSEWHERE: Duration = Duration::from_secs(600);

const EVENTS: &str = "events.jsonl";

/// Most bytes of a configuration that are read; real ones are far smaller.
pub const LARGEST_CONFIG: u64 = 1 << 20;

/// The folder of one run: its path, or the folder held open by the process that writes it.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    name: String,
    locked: Option<Arc<LockedFolder>>,
}

impl RunFolder {
    /// Makes the folder `out/name` for a new run, and `out` if it is missing.
    ///
    /// # Errors
    /// [`Error::RunExists`] if anything has that name, [`Error::RunName`] if the name is not one plain
    /// folder name.
    pub fn create(out: &Path, name: &str) -> Result<RunFolder> {
        Self::make(out, name)?.ok_or_else(|| Error::RunExists(out.join(name)))
    }

    /// Checks that [`create`](Self::create) would succeed now, without making anything.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn check_free(out: &Path, name: &str) -> Result<()> {
        check_name(name)?;
        let path = out.join(name);
        if disk::is_taken(&path) { Err(Error::RunExists(path)) } else { Ok(()) }
    }

    /// Makes the folder `out/base` for a new run or, if that is taken, the first free one of
    /// `out/base-2`, `out/base-3`… Two processes that do so at the same time get two folders.
    ///
    /// # Errors
    /// [`Error::RunName`] if the base is not one plain folder name.
    pub fn create_numbered(out: &Path, base: &str) -> Result<RunFolder> {
        let mut name = base.to_owned();
        let mut number = 1u64;
        loop {
            if let Some(folder) = Self::make(out, &name)? {
                return Ok(folder);
            }
            number += 1;
            name = format!("{base}-{number}");
        }
    }

    /// `None` if the name is taken, which only `create_dir` itself can find out without a race.
    fn make(out: &Path, name: &str) -> Result<Option<RunFolder>> {
        check_name(name)?;
        fs::create_dir_all(out).at("make the folder", out)?;
        let path = out.join(name);
        match fs::create_dir(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            result => result.at("make the folder", &path)?,
        }
        disk::sync_folder(out)?;
        Ok(Some(RunFolder { path, name: name.to_owned(), locked: None }))
    }

    /// The run in an existing folder, recognized by its `config.toml`.
    ///
    /// # Errors
    /// [`Error::RunMissing`] if there is nothing at the path, [`Error::NotARun`] if it is not the
    /// folder of a run.
    pub fn open(path: &Path) -> Result<RunFolder> {
        let not_a_run = |fault| Error::NotARun { path: path.to_owned(), fault };
        let real = match path.canonicalize() {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(Error::RunMissing(path.to_owned()));
            }
            result => result.at("find", path)?,
        };
        if !real.is_dir() {
            return Err(not_a_run("it is a file, and a run is a folder"));
        }
        if !real.join(CONFIG).is_file() {
            return Err(not_a_run("the folder holds no `config.toml`"));
        }
        let name = real.file_name().ok_or_else(|| not_a_run("a run's folder has a name"))?;
        let name = name.to_string_lossy().into_owned();
        Ok(RunFolder { path: path.to_owned(), name, locked: None })
    }

    /// The run that is at a path or may begin there later.
    ///
    /// # Errors
    /// As [`open`](Self::open) if something is there; [`Error::RunMissing`] if the folder in which the
    /// run's would be made does not exist.
    pub fn open_or_await(path: &Path) -> Result<RunFolder> {
        match (RunFolder::open(path), path.file_name()) {
            (Err(Error::RunMissing(_)), Some(name)) if disk::folder_of(path).is_dir() => {
                let name = name.to_string_lossy().into_owned();
                Ok(RunFolder { path: path.to_owned(), name, locked: None })
            }
            (found, _) => found,
        }
    }

    /// The folder's path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path through which everything in the folder is reached. If the folder is held open, it is not
    /// meant for people.
    pub fn base(&self) -> &Path {
        self.locked.as_ref().map_or(&self.path, |locked| locked.base())
    }

    /// Where the folder is now, for people: as it was given, unless it is held open and was moved.
    pub fn present_path(&self) -> PathBuf {
        let present = shown(self.base());
        let same = |a: &Path, b: &Path| {
            a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
        };
        if same(&present, &self.path) { self.path.clone() } else { present }
    }

    /// The run's name, which is the folder's real one: not `.` for the path `.`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of the resolved configuration, for people.
    pub fn config_path(&self) -> PathBuf {
        self.present_path().join(CONFIG)
    }

    /// The path of the event log.
    pub fn events_path(&self) -> PathBuf {
        self.base().join(EVENTS)
    }

    /// Opens the event log for appending, as [`EventLog::open`]. If the folder is held open, nothing is
    /// appended after another process has taken it over.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn open_log(&self) -> Result<EventLog> {
        EventLog::open_locked(&self.events_path(), self.locked.clone())
    }

    /// The run's checkpoints.
    pub fn checkpoints(&self) -> CheckpointStore {
        CheckpointStore { run: self.base().to_owned(), locked: self.locked.clone() }
    }

    /// Writes `config.toml`, whole or not at all, over an existing one.
    pub fn write_config(&self, text: &str) -> Result<()> {
        self.check()?;
        disk::put(self.base(), CONFIG, text.as_bytes())
    }

    /// The text of `config.toml`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if it has more than [`LARGEST_CONFIG`] bytes.
    pub fn read_config(&self) -> Result<String> {
        read_config(&self.base().join(CONFIG))
    }

    /// Makes this process the run's only writer until the lock is dropped. It writes the run through
    /// [`RunLock::folder`].
    ///
    /// The system releases the lock when the process ends, however it ends, so a run that was killed can
    /// be resumed at once. Reading a run needs no lock.
    ///
    /// # Errors
    /// [`Error::RunInUse`] if another process, or another lock of this one, has the run.
    pub fn lock(&self) -> Result<RunLock> {
        let locked = Some(Arc::new(LockedFolder::lock(&self.path)?));
        let (path, name) = (self.path.clone(), self.name.clone());
        let lock = RunLock { folder: RunFolder { path, name, locked } };
        lock.folder.ensure_id()?;
        Ok(lock)
    }

    /// Gives the run an id if it has none: that of its newest checkpoint that has one, or a new one.
    fn ensure_id(&self) -> Result<()> {
        if identity::read(self.base()).is_some() {
            return Ok(());
        }
        let newest = self.checkpoints().list()?.into_iter().rev();
        let known = newest.filter_map(|found| Manifest::read(&found.path).ok()?.run_id).next();
        identity::write(self.base(), &known.unwrap_or_else(identity::random))
    }

    /// What is known of the process that writes the run. Changes nothing in the folder.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn writer(&self) -> Result<Writer> {
        locked_folder::writer(&self.path)
    }

    /// Whether a process is known to write the run now. Changes nothing in the folder.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn is_in_use(&self) -> Result<bool> {
        Ok(self.writer()? == Writer::Alive)
    }

    /// Checks that the folder, if it is [locked](Self::lock), still exists and is still this process's.
    ///
    /// # Errors
    /// [`Error::FolderGone`] if it was removed, [`Error::TakenOver`] if another process has it.
    pub fn check(&self) -> Result<()> {
        self.locked.as_ref().map_or(Ok(()), |locked| locked.check())
    }
}

/// The text of a configuration in a plain file, in the folder of a run or elsewhere.
///
/// # Errors
/// [`Error::TooLarge`] if it has more than [`LARGEST_CONFIG`] bytes.
pub fn read_config(path: &Path) -> Result<String> {
    disk::read_text(disk::open_plain(path).at("read", path)?, path, LARGEST_CONFIG)
}

/// The text of a configuration that the user named, which may come from a pipe, for example `<(…)` in a
/// shell or `/dev/stdin`.
///
/// # Errors
/// As [`read_config`]; if nothing comes out of a pipe.
pub fn read_given_config(path: &Path) -> Result<String> {
    let is_pipe = fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
    if !is_pipe {
        return read_config(path);
    }
    let text = disk::read_text(File::open(path).at("read", path)?, path, LARGEST_CONFIG)?;
    if text.trim().is_empty() {
        // Everything has a default, so nothing would be a whole configuration.
        let cause = io::Error::new(io::ErrorKind::UnexpectedEof, "nothing comes out of it");
        return Err(cause).at("read", path);
    }
    Ok(text)
}

/// The right to write a run, released when this is dropped.
#[derive(Debug)]
#[must_use = "the run is unlocked as soon as this is dropped"]
pub struct RunLock {
    folder: RunFolder,
}

impl RunLock {
    /// The run's folder, held open: it stays the same folder if it is moved or another takes its place.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// What the run's disk does not support, as sentences.
    pub fn warnings(&self) -> &[String] {
        self.folder.locked.as_ref().map_or(&[], |locked| &locked.warnings)
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        if let Some(locked) = &self.folder.locked {
            locked.release();
        }
    }
}

/// A run is named in paths, lists and shell commands, so its name must be plain.
fn check_name(name: &str) -> Result<()> {
    match fault_of_name(name) {
        Some(fault) => Err(Error::RunName { name: name.to_owned(), fault }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
