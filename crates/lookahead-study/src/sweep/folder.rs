//! The folder of a sweep.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lookahead_run::folder::fault_of_name;
use lookahead_run::is_unsupported;

use super::error::{At, SweepError};
use super::file::SweepFile;
use super::points::expand;

const COPY: &str = "sweep.toml";
const RUNS: &str = "runs";
const OUTPUT: &str = "output";
const LOCK: &str = "lock";

/// The folder of a sweep:
///
/// ```text
/// sweep.toml          the file with which it was last started
/// runs/NAME/          an ordinary run each
/// results.csv         a line for each run
/// results.jsonl       the same as JSON
/// output/NAME.txt     the end of the error output of a run that failed
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
        // A crash before the copy was written leaves only these.
        let is_ours = |entry: fs::DirEntry| {
            [RUNS, OUTPUT, LOCK, ".sweep.toml.tmp"].iter().any(|own| entry.file_name() == *own)
        };
        let is_free = match fs::read_dir(&path) {
            Ok(found) => found.flatten().all(is_ours),
            Err(cause) => cause.kind() == io::ErrorKind::NotFound,
        };
        let is_usable = is_free || SweepFolder::open(&path).is_some();
        if fault_of_name(name).is_some() || !is_usable {
            return Err(SweepError::NotASweep(path));
        }
        for inner in [RUNS, OUTPUT] {
            let inner = path.join(inner);
            fs::create_dir_all(&inner).at("make the folder", &inner)?;
        }
        Ok(SweepFolder::at(path))
    }

    /// How many runs it will have; `None` if the copy of its file can't be read.
    pub fn planned(&self) -> Option<usize> {
        let file = SweepFile::read(&self.path.join(COPY)).ok()?;
        expand(&file).ok().map(|points| points.len())
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
        self.path.join(OUTPUT).join(format!("{name}.txt"))
    }

    /// Makes this process the only one that runs the sweep, until what is returned is dropped.
    ///
    /// # Errors
    /// If another process has it.
    pub fn lock(&self) -> Result<File, SweepError> {
        let path = self.path.join(LOCK);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.at("open", &path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(SweepError::InUse(self.path.clone())),
            // On a disk without locks, of which the runs warn, it counts as locked.
            Err(TryLockError::Error(cause)) if !is_unsupported(&cause) => {
                return Err(cause).at("lock", &path);
            }
            _ => {}
        }
        let found = file.metadata().at("look at", &path)?;
        let _ = self.lock.set((found.dev(), found.ino()));
        self.check()?;
        Ok(file)
    }

    /// That the folder at the path is still the one that this process has locked. Checked before
    /// anything in it is written or removed: another sweep may have its name by now.
    pub(super) fn check(&self) -> Result<(), SweepError> {
        let found = self.path.join(LOCK).symlink_metadata();
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
        let (path, temporary) = (self.path.join(name), self.path.join(format!(".{name}.tmp")));
        let written = File::create(&temporary).and_then(|mut file| {
            io::Write::write_all(&mut file, bytes)?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&temporary, &path)).at("write", &path)
    }
}
