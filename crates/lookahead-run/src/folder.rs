//! The folder of a run: made once, never overwritten, written by one process at a time.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::disk::{self, At, shown};
use crate::error::{Error, Result};
use crate::hold::{self, CONFIG, Hold};
use crate::identity;
use crate::log::EventLog;
use crate::manifest::Manifest;
use crate::store::CheckpointStore;

pub use crate::hold::Writer;

/// How long the log of a run may be silent before the run counts as crashed, where its process is gone
/// ([`Writer::Gone`]): one that has just ended may not have written its last line yet, or another may be
/// about to begin.
pub const SILENCE: Duration = Duration::from_secs(3);

/// How long the log of a run may be silent before the run counts as crashed, where nothing can be told of
/// its process ([`Writer::Unknown`]): the log of another machine may come in large pieces.
pub const SILENCE_ELSEWHERE: Duration = Duration::from_secs(600);

const EVENTS: &str = "events.jsonl";

/// Most bytes of a configuration that are read: no honest one comes near.
pub const LARGEST_CONFIG: u64 = 1 << 20;

/// The folder of one run: by its path, or held open by the process that writes it.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    name: String,
    hold: Option<Arc<Hold>>,
}

impl RunFolder {
    /// Makes the folder `out/name` for a new run, and `out` where that is missing.
    ///
    /// # Errors
    /// [`Error::RunExists`] if anything of that name is there already, [`Error::RunName`] if the
    /// name is not one plain folder name.
    pub fn create(out: &Path, name: &str) -> Result<RunFolder> {
        Self::make(out, name)?.ok_or_else(|| Error::RunExists { path: out.join(name) })
    }

    /// Checks that [`create`](Self::create) would be allowed just now, without making anything.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn check_free(out: &Path, name: &str) -> Result<()> {
        check_name(name)?;
        let path = out.join(name);
        if path.symlink_metadata().is_ok() { Err(Error::RunExists { path }) } else { Ok(()) }
    }

    /// Makes the folder `out/base` for a new run or, where that is taken, the first free one of
    /// `out/base-2`, `out/base-3`…
    ///
    /// Two processes that do this at the same time get two folders.
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

    /// `None` if the name is taken. Only `create_dir` itself can tell without a race.
    fn make(out: &Path, name: &str) -> Result<Option<RunFolder>> {
        check_name(name)?;
        fs::create_dir_all(out).at("make the folder", out)?;
        let path = out.join(name);
        match fs::create_dir(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            result => result.at("make the folder", &path)?,
        }
        disk::sync_folder(out)?;
        Ok(Some(RunFolder { path, name: name.to_owned(), hold: None }))
    }

    /// The run in an existing folder, told by its `config.toml`.
    ///
    /// # Errors
    /// [`Error::RunMissing`] if there is nothing at the path, [`Error::NotARun`] if it is not the
    /// folder of a run.
    pub fn open(path: &Path) -> Result<RunFolder> {
        let not_a_run = |fault| Error::NotARun { path: path.to_owned(), fault };
        let real = match path.canonicalize() {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(Error::RunMissing { path: path.to_owned() });
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
        Ok(RunFolder { path: path.to_owned(), name, hold: None })
    }

    /// The run that is at a path, or will be: for whoever waits for one that has not begun.
    ///
    /// # Errors
    /// As [`open`](Self::open) where something is there; [`Error::RunMissing`] where not even the
    /// folder is there in which the run's would be made.
    pub fn open_or_await(path: &Path) -> Result<RunFolder> {
        match RunFolder::open(path) {
            Err(missing @ Error::RunMissing { .. }) => {
                let parent = path.parent().filter(|parent| *parent != Path::new(""));
                match path.file_name() {
                    Some(name) if parent.unwrap_or(Path::new(".")).is_dir() => Ok(RunFolder {
                        path: path.to_owned(),
                        name: name.to_string_lossy().into_owned(),
                        hold: None,
                    }),
                    _ => Err(missing),
                }
            }
            found => found,
        }
    }

    /// The folder's path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path through which everything in the folder is reached: not for people where the folder is
    /// held open.
    pub fn base(&self) -> &Path {
        self.hold.as_ref().map_or(&self.path, |hold| hold.base())
    }

    /// Where the folder is now, for people: as it was given, unless it is held open and was moved.
    pub fn present_path(&self) -> PathBuf {
        let present = shown(self.base());
        let same = |a: &Path, b: &Path| {
            a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
        };
        if same(&present, &self.path) { self.path.clone() } else { present }
    }

    /// The run's name, which is the folder's real one: that of `.` is not `.`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the resolved configuration lies, for people.
    pub fn config_path(&self) -> PathBuf {
        self.present_path().join(CONFIG)
    }

    /// Where the event log lies.
    pub fn events_path(&self) -> PathBuf {
        self.base().join(EVENTS)
    }

    /// Opens the event log for appending, as [`EventLog::open`]. Where the folder is held open, nothing is
    /// appended once another process has taken it over.
    ///
    /// # Errors
    /// Where the system says no.
    pub fn open_log(&self) -> Result<EventLog> {
        EventLog::open_held(&self.events_path(), self.hold.clone())
    }

    /// The run's checkpoints.
    pub fn checkpoints(&self) -> CheckpointStore {
        CheckpointStore { run: self.base().to_owned(), hold: self.hold.clone() }
    }

    /// Writes `config.toml`, whole or not at all, over one that may be there.
    pub fn write_config(&self, text: &str) -> Result<()> {
        self.check()?;
        disk::put(self.base(), CONFIG, text.as_bytes())
    }

    /// The text of `config.toml`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where it has more than [`LARGEST_CONFIG`] bytes.
    pub fn read_config(&self) -> Result<String> {
        read_config(&self.base().join(CONFIG))
    }

    /// Makes this process the run's only writer, until the lock is dropped. What it does to the run, it
    /// does through [`RunLock::folder`].
    ///
    /// The system takes the lock back from a process that ends, however it ends, so a run that was
    /// killed can be resumed at once. Reading a run needs no lock.
    ///
    /// # Errors
    /// [`Error::RunInUse`] if another process, or another lock of this one, has the run.
    pub fn lock(&self) -> Result<RunLock> {
        let hold = Arc::new(Hold::take(&self.path)?);
        let (path, name) = (self.path.clone(), self.name.clone());
        let lock = RunLock { folder: RunFolder { path, name, hold: Some(hold) } };
        lock.folder.ensure_id()?;
        Ok(lock)
    }

    /// Gives the run an id, where it has none: that of its newest checkpoint that has one, or a new one.
    fn ensure_id(&self) -> Result<()> {
        if identity::read(self.base()).is_some() {
            return Ok(());
        }
        let newest = self.checkpoints().list()?.into_iter().rev();
        let known = newest.filter_map(|found| Manifest::read(&found.path).ok()?.run_id).next();
        identity::write(self.base(), &known.unwrap_or_else(identity::random))
    }

    /// What can be told of the process that writes the run. Changes nothing in the folder.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn writer(&self) -> Result<Writer> {
        hold::writer(&self.path)
    }

    /// Whether a process is known to write the run just now. Changes nothing in the folder.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn is_in_use(&self) -> Result<bool> {
        Ok(self.writer()? == Writer::Alive)
    }

    /// That the folder is still there and still this process's, where it is
    /// [locked](Self::lock).
    ///
    /// # Errors
    /// [`Error::FolderGone`] if it was removed, [`Error::TakenOver`] if another process has it.
    pub fn check(&self) -> Result<()> {
        self.hold.as_ref().map_or(Ok(()), |hold| hold.check())
    }
}

/// The text of a configuration in a plain file, in the folder of a run or elsewhere.
///
/// # Errors
/// [`Error::TooLarge`] where it has more than [`LARGEST_CONFIG`] bytes.
pub fn read_config(path: &Path) -> Result<String> {
    disk::read_text(disk::open_plain(path).at("read", path)?, path, LARGEST_CONFIG)
}

/// The text of a configuration that the user names, which may come from a pipe too, such as `<(…)` in a
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
    match text.trim().is_empty() {
        // Everything has a default, so that it would be a whole configuration.
        true => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "nothing comes out of it")),
        false => Ok(text),
    }
    .at("read", path)
}

/// The right to write a run, given back when this is dropped.
#[derive(Debug)]
#[must_use = "the run is unlocked again as soon as this is dropped"]
pub struct RunLock {
    folder: RunFolder,
}

impl RunLock {
    /// The run's folder, held open: it stays this one, wherever it is moved, and whatever comes in its
    /// place.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// What the run has to do without on its disk, as sentences.
    pub fn warnings(&self) -> &[String] {
        self.folder.hold.as_ref().map_or(&[], |hold| &hold.warnings)
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        if let Some(hold) = &self.folder.hold {
            hold.release();
        }
    }
}

/// A run is found again by its name, in paths, lists and shell commands, so it must be plain.
fn check_name(name: &str) -> Result<()> {
    let fault = if name.is_empty() {
        "is empty"
    } else if name.contains('/') {
        "contains a `/`"
    } else if name.starts_with('.') {
        "starts with a dot"
    } else if name.contains(char::is_control) {
        "contains a control character"
    } else {
        return Ok(());
    };
    Err(Error::RunName { name: name.to_owned(), fault })
}

#[cfg(test)]
mod tests;
