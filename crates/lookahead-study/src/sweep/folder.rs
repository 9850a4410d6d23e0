//! The folder of a sweep.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::error::{At, SweepError};
use super::file::is_plain;

const COPY: &str = "sweep.toml";
const RUNS: &str = "runs";

/// The folder of a sweep:
///
/// ```text
/// sweep.toml          the file with which it was last started
/// runs/NAME/          an ordinary run each
/// results.csv         a line for each run
/// results.jsonl       the same as JSON
/// output/NAME.txt     the end of the error output of a run that failed
/// active/NAME         locked by the process of a run while it is running
/// lock                held by the process that runs the sweep
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepFolder {
    path: PathBuf,
    /// Device and inode of the lock, while this process has it.
    lock: OnceLock<(u64, u64)>,
}

impl SweepFolder {
    /// The sweep in an existing folder; `None` if it is not a sweep's.
    pub fn open(path: &Path) -> Option<SweepFolder> {
        let is_one = path.join(COPY).is_file() && path.join(RUNS).is_dir();
        is_one.then(|| SweepFolder::at(path.to_owned()))
    }

    fn at(path: PathBuf) -> SweepFolder {
        SweepFolder { path, lock: OnceLock::new() }
    }

    /// The folder `out/name`, created if it is missing.
    ///
    /// # Errors
    /// If something else has the name.
    pub fn create(out: &Path, name: &str) -> Result<SweepFolder, SweepError> {
        let path = out.join(name);
        if !is_plain(name) {
            return Err(SweepError::NotASweep(path));
        }
        // One of its folders may have been removed.
        let make = |path: &Path| {
            for inner in [RUNS, "output", "active"] {
                let inner = path.join(inner);
                fs::create_dir_all(&inner).at("make the folder", &inner)?;
            }
            Ok::<_, SweepError>(())
        };
        if let Some(folder) = SweepFolder::open(&path) {
            make(&folder.path)?;
            return Ok(folder);
        }
        // A crash before the copy was written left only our empty folders.
        let ours = |name: &std::ffi::OsStr| {
            ["runs", "output", "active", "lock", ".sweep.toml.tmp"].iter().any(|own| name == *own)
        };
        match fs::read_dir(&path) {
            Ok(found) => {
                let names: Vec<_> =
                    found.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
                if !names.iter().all(|name| ours(name)) {
                    return Err(SweepError::NotASweep(path));
                }
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return Err(SweepError::NotASweep(path)),
        }
        make(&path)?;
        Ok(SweepFolder::at(path))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the runs are.
    pub fn runs(&self) -> PathBuf {
        self.path.join(RUNS)
    }

    /// The folder of a run.
    pub fn run(&self, name: &str) -> PathBuf {
        self.runs().join(name)
    }

    /// Where the results are as comma-separated values.
    pub fn csv(&self) -> PathBuf {
        self.path.join("results.csv")
    }

    /// Where the results are as lines of JSON.
    pub fn json_lines(&self) -> PathBuf {
        self.path.join("results.jsonl")
    }

    /// Where the end of a run's error output is, after it failed.
    pub fn output(&self, name: &str) -> PathBuf {
        self.path.join("output").join(format!("{name}.txt"))
    }

    fn active(&self, name: &str) -> PathBuf {
        self.path.join("active").join(name)
    }

    /// Makes this process the only one that runs the sweep, until what is returned is dropped.
    ///
    /// # Errors
    /// If another process has it.
    pub fn lock(&self) -> Result<File, SweepError> {
        let path = self.path.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.at("open", &path)?;
        match try_lock(&file) {
            Ok(()) => {
                let found = file.metadata().at("look at", &path)?;
                let _ = self.lock.set((found.dev(), found.ino()));
                self.check()?;
                Ok(file)
            }
            Err(TryLockError::WouldBlock) => Err(SweepError::InUse(self.path.clone())),
            Err(TryLockError::Error(cause)) => Err(cause).at("lock", &path),
        }
    }

    /// That the folder at the path is still the one that this process has locked. Checked before
    /// anything in it is written or removed: another sweep may have its name by now.
    pub(super) fn check(&self) -> Result<(), SweepError> {
        let found = self.path.join("lock").symlink_metadata();
        let found = found.ok().map(|found| (found.dev(), found.ino()));
        match self.lock.get() {
            Some(own) if found != Some(*own) => Err(SweepError::Gone(self.path.clone())),
            _ => Ok(()),
        }
    }

    /// Removes what is in the place of a run.
    pub(super) fn remove_run(&self, name: &str) -> Result<(), SweepError> {
        self.check()?;
        let path = self.run(name);
        match fs::remove_dir_all(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(cause).at("remove the folder", &path)
            }
            _ => Ok(()),
        }
    }

    /// Copies the sweep's file next to its runs.
    pub(super) fn write_copy(&self, text: &str) -> Result<(), SweepError> {
        self.write(COPY, text.as_bytes())
    }

    /// Writes a file of the sweep, whole or not at all.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), SweepError> {
        self.check()?;
        let (path, draft) = (self.path.join(name), self.path.join(format!(".{name}.tmp")));
        let written = File::create(&draft).and_then(|mut file| {
            io::Write::write_all(&mut file, bytes)?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&draft, &path)).at("write", &path)
    }

    /// A locked file for the process of a run. The lock lasts as long as that process has the file
    /// open: from its start, before there is a run folder that could be locked, and after this
    /// process is gone.
    pub(super) fn activate(&self, name: &str) -> Result<File, SweepError> {
        self.check()?;
        let path = self.active(name);
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.at("open", &path)?;
        match try_lock(&file) {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(io::Error::other("another process has it")).at("lock", &path)
            }
            Err(TryLockError::Error(cause)) => Err(cause).at("lock", &path),
        }
    }

    /// Removes the file of [`activate`](Self::activate).
    pub(super) fn deactivate(&self, name: &str) {
        if self.check().is_ok() {
            let _ = fs::remove_file(self.active(name));
        }
    }

    /// Whether a process of a run is running that this sweep, or an earlier process of it, started.
    pub(super) fn is_active(&self, name: &str) -> bool {
        // Opening for writing and locking shared leaves the file as it is.
        let Ok(file) = File::open(self.active(name)) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

/// Locks a file; on a disk without locks, of which the runs warn, it counts as locked.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    match file.try_lock() {
        Err(TryLockError::Error(cause)) if lookahead_run::is_unsupported(&cause) => Ok(()),
        result => result,
    }
}
