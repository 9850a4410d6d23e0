//! A run's folder as its writer holds it: an open descriptor, and a lock.
//!
//! While a run trains, its folder can be moved, or removed and made again by another run of the same name.
//! A writer that used the path would then write into the other run. So the writer opens the folder once and
//! reaches everything in it through `/proc/self/fd/N`, which stays the same folder wherever it is. On a
//! system without `/proc` it uses the path, and only the lock shows that the folder is another one now.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::disk::{self, At, shown};
use crate::error::{Error, Result};
use crate::socket;

/// The configuration's name in the folder of a run; a folder without it is not a run.
pub(crate) const CONFIG: &str = "config.toml";

/// The lock's name in the folder of a run.
pub(crate) const LOCK: &str = "lock";

/// How long another process may hold the lock to check whether it is free.
const A_MOMENT: Duration = Duration::from_millis(20);

/// For its owner only: whoever can open a lock can hold it, and so keep the run from being resumed.
const MODE: u32 = 0o600;

/// Most bytes of a lock file that are read.
const LARGEST: u64 = 200;

/// The folder of a run, held by the process that writes it.
#[derive(Debug)]
pub(crate) struct LockedFolder {
    folder: File,
    /// The path through which everything in the folder is reached.
    base: PathBuf,
    lock: Mutex<Lock>,
    /// What the disk can't do, as sentences.
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug)]
struct Lock {
    file: File,
    /// Whether the file system has locks.
    is_supported: bool,
    released: bool,
}

impl LockedFolder {
    /// Opens the folder and locks it.
    ///
    /// # Errors
    /// [`Error::RunInUse`] if another process has it.
    pub(crate) fn lock(path: &Path) -> Result<LockedFolder> {
        let folder = File::open(path).at("open the folder", path)?;
        let base = base(&folder).unwrap_or_else(|| path.to_owned());
        let lock = acquire(&folder, &base)?;
        let mut warnings = Vec::new();
        if !lock.is_supported {
            warnings.push(format!(
                "The disk of `{}` has no file locks: nothing keeps a second process on another \
                 machine from training this run at the same time.",
                path.display()
            ));
        }
        if let Err(cause) = folder.sync_all()
            && disk::is_unsupported(&cause)
        {
            warnings.push(format!(
                "The disk of `{}` can't sync folders ({}): a power cut may take the newest \
                 checkpoints.",
                path.display(),
                crate::words::reason(&cause)
            ));
        }
        Ok(LockedFolder { folder, base, lock: Mutex::new(lock), warnings })
    }

    /// The path through which everything in the folder is reached, wherever the folder is.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// Checks that the folder still exists and is still this process's, before anything in it is published
    /// or removed. Makes a lock file that was deleted again.
    ///
    /// # Errors
    /// [`Error::FolderGone`] if the folder was removed, [`Error::TakenOver`] if the lock in its place
    /// is another process's.
    pub(crate) fn check(&self) -> Result<()> {
        let gone = || Error::FolderGone(shown(&self.base));
        let taken_over = || Error::TakenOver(shown(&self.base));
        if self.folder.metadata().at("look at", &self.base)?.nlink() == 0 {
            return Err(gone());
        }
        let mut lock = self.guard();
        if lock.released {
            return Err(taken_over());
        }
        if is_in_its_place(&lock.file, &self.base) {
            return Ok(());
        }
        // Without `/proc` the folder may be another one by now; and one that is being removed has lost
        // more than its lock.
        let is_here = fs::metadata(&self.base).is_ok_and(|found| is_same(&self.folder, &found));
        if !is_here || !self.base.join(CONFIG).exists() {
            return Err(gone());
        }
        let path = self.base.join(LOCK);
        let file = open(&path).at("open", &path)?;
        let mut content = String::new();
        let read = (&file).take(LARGEST).read_to_string(&mut content);
        // A process that locked the new file and found this one alive has written nothing into it.
        if read.is_err()
            || !content.is_empty()
            || matches!(file.try_lock(), Err(TryLockError::WouldBlock))
        {
            return Err(taken_over());
        }
        lock.sign(&file, &self.folder);
        lock.file = file;
        Ok(())
    }

    /// Whether another process has taken the folder over, so that this process must not write there.
    pub(crate) fn is_taken_over(&self) -> bool {
        matches!(self.check(), Err(Error::TakenOver(_)))
    }

    /// Releases the lock.
    pub(crate) fn release(&self) {
        let mut lock = self.guard();
        lock.released = true;
        // Closing the file is not enough: a child process that is being started shares the open file, and
        // with it the lock, until it executes its own program.
        let _ = lock.file.unlock();
    }

    fn guard(&self) -> MutexGuard<'_, Lock> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lock {
    /// Writes the owner into a lock file. The lock works without it; other processes then know less.
    fn sign(&self, file: &File, folder: &File) {
        let signature = if self.is_supported {
            Signature::of(folder).text()
        } else {
            "no file locks\n".to_owned()
        };
        let _ = file.set_len(0).and_then(|()| file.write_all_at(signature.as_bytes(), 0));
    }
}

/// A path of an open folder that holds wherever the folder is; none without `/proc`.
fn base(folder: &File) -> Option<PathBuf> {
    let base = PathBuf::from(format!("{}/{}", disk::DESCRIPTORS, folder.as_raw_fd()));
    fs::metadata(&base).is_ok_and(|found| is_same(folder, &found)).then_some(base)
}

fn is_same(file: &File, found: &fs::Metadata) -> bool {
    file.metadata().is_ok_and(|own| (own.dev(), own.ino()) == (found.dev(), found.ino()))
}

fn is_in_its_place(lock: &File, base: &Path) -> bool {
    base.join(LOCK).symlink_metadata().is_ok_and(|found| is_same(lock, &found))
}

fn open(path: &Path) -> io::Result<File> {
    disk::open_own(path, File::options().truncate(false).read(true).write(true).mode(MODE))
}

/// Locks a file; false on a file system without locks.
fn try_lock(file: &File) -> std::result::Result<bool, TryLockError> {
    match file.try_lock() {
        Err(TryLockError::Error(cause)) if disk::is_unsupported(&cause) => Ok(false),
        result => result.map(|()| true),
    }
}

fn acquire(folder: &File, base: &Path) -> Result<Lock> {
    let path = base.join(LOCK);
    let in_use = || Error::RunInUse(shown(base));
    let mut attempts = 10;
    let lock = loop {
        attempts -= 1;
        let file = open(&path).at("open", &path)?;
        if is_of_another_folder(&file, folder) {
            break replace(&path)?;
        }
        let is_supported = match try_lock(&file) {
            // Another process may be checking whether it is locked.
            Err(TryLockError::WouldBlock) if attempts > 0 => {
                thread::sleep(A_MOMENT);
                continue;
            }
            Err(TryLockError::WouldBlock) => return Err(in_use()),
            result => result.map_err(io::Error::from).at("lock", &path)?,
        };
        // It may have been removed, and another one made, between the two calls.
        if is_in_its_place(&file, base) {
            break Lock { file, is_supported, released: false };
        }
        if attempts <= 0 {
            return Err(in_use());
        }
    };
    // A free lock proves nothing if the one that is held was deleted.
    if socket::is_answered(folder, base) {
        return Err(in_use());
    }
    // Locks of earlier versions could be opened by others.
    let _ = lock.file.set_permissions(fs::Permissions::from_mode(MODE));
    lock.sign(&lock.file, folder);
    Ok(lock)
}

/// Whether the file is the lock of another folder too, because this one is a copy made of hard links.
fn is_of_another_folder(file: &File, folder: &File) -> bool {
    let mut text = String::new();
    let linked = file.metadata().is_ok_and(|found| found.nlink() > 1);
    linked
        && file.take(LARGEST).read_to_string(&mut text).is_ok()
        && Signature::parse(&text).is_some_and(|found| found.folder != Signature::of(folder).folder)
}

/// A new lock in the place of one that is another folder's too.
fn replace(path: &Path) -> Result<Lock> {
    let new = path.with_file_name(".lock.tmp");
    disk::remove_folder(&new)?;
    let file = open(&new).at("create", &new)?;
    let is_supported = try_lock(&file).map_err(io::Error::from).at("lock", &new)?;
    disk::rename(&new, path, disk::REPLACE, path)?;
    Ok(Lock { file, is_supported, released: false })
}

/// What is known of the process that writes a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// It is alive.
    Alive,
    /// It was running on this machine, in this folder, and is gone.
    Gone,
    /// Nothing: it ran on another machine or before this one was restarted, this folder is a copy of the
    /// one that it writes, or the disk has no locks.
    Unknown,
}

/// What is known of the process that writes the run in the folder. Changes nothing there.
///
/// # Errors
/// If the system refuses.
pub(crate) fn writer(run: &Path) -> Result<Writer> {
    let path = run.join(LOCK);
    let folder = match File::open(run) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Writer::Unknown),
        result => result.at("open the folder", run)?,
    };
    let by_socket = || {
        if socket::is_answered(&folder, run) { Writer::Alive } else { Writer::Unknown }
    };
    let file = match disk::open_plain(&path) {
        // The second is another user's.
        Err(cause)
            if matches!(
                cause.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            ) =>
        {
            return Ok(by_socket());
        }
        result => result.at("open", &path)?,
    };
    if is_of_another_folder(&file, &folder) {
        return Ok(Writer::Unknown);
    }
    match file.try_lock_shared() {
        Ok(()) => file.unlock().at("unlock", &path)?,
        Err(TryLockError::WouldBlock) => return Ok(Writer::Alive),
        Err(TryLockError::Error(cause)) if disk::is_unsupported(&cause) => return Ok(by_socket()),
        Err(TryLockError::Error(cause)) => return Err(cause).at("lock", &path),
    }
    let mut text = vec![0; LARGEST as usize];
    let count = file.read_at(&mut text, 0).at("read", &path)?;
    let found = std::str::from_utf8(&text[..count]).ok().and_then(Signature::parse);
    let own = Signature::of(&folder);
    // Locks of earlier versions name the machine alone.
    let is_ours = found.is_some_and(|found| {
        found.boot == own.boot && found.folder.is_none_or(|folder| Some(folder) == own.folder)
    });
    // The lock of a live run may have been deleted and made again.
    Ok(match by_socket() {
        Writer::Unknown if is_ours => Writer::Gone,
        found => found,
    })
}

/// The owner of a lock: this machine since its last start, and a folder on it.
#[derive(Debug, PartialEq, Eq)]
struct Signature {
    boot: String,
    /// Device and inode.
    folder: Option<(u64, u64)>,
}

impl Signature {
    fn of(folder: &File) -> Signature {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let folder = folder.metadata().ok().map(|found| (found.dev(), found.ino()));
        Signature { boot: boot.trim().to_owned(), folder }
    }

    fn text(&self) -> String {
        match (&self.boot[..], self.folder) {
            ("", _) | (_, None) => "an unknown machine\n".to_owned(),
            (boot, Some((device, inode))) => format!("{boot}\n{device}:{inode}\n"),
        }
    }

    fn parse(text: &str) -> Option<Signature> {
        let mut lines = text.lines();
        let boot = lines.next().filter(|boot| !boot.is_empty())?.to_owned();
        let folder = lines.next().and_then(|line| {
            let (device, inode) = line.split_once(':')?;
            Some((device.parse().ok()?, inode.parse().ok()?))
        });
        Some(Signature { boot, folder })
    }
}
