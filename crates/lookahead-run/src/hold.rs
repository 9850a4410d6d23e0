//! A run's folder as its writer has it: an open descriptor, and a lock.
//!
//! A path says where a folder was. While a run trains, its folder can be moved, or removed and made
//! again by another run of the same name, and a writer that goes by the path would then write into the
//! other's. So the writer opens the folder once and reaches everything in it through
//! `/proc/self/fd/N`, which is the same folder for as long as it is open, wherever it is. Where there
//! is no `/proc` it goes by the path, and the lock alone tells that the folder is another one now.

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

/// The configuration's name in the folder of a run: without it a folder is none.
pub(crate) const CONFIG: &str = "config.toml";

/// The lock's name in the folder of a run.
pub(crate) const LOCK: &str = "lock";

/// How long a look at the lock may take.
const A_MOMENT: Duration = Duration::from_millis(20);

/// For its owner only: whoever can open a lock can hold it, and so keep the run from being resumed.
const MODE: u32 = 0o600;

/// Most bytes of a lock file that are read.
const LARGEST: u64 = 200;

/// The folder of a run, held by the process that writes it.
#[derive(Debug)]
pub(crate) struct Hold {
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
    /// Whether the file system knows locks.
    is_known: bool,
    released: bool,
}

impl Hold {
    /// Opens the folder and locks it.
    ///
    /// # Errors
    /// [`Error::RunInUse`] if another process has it.
    pub(crate) fn take(path: &Path) -> Result<Hold> {
        let folder = File::open(path).at("open the folder", path)?;
        let base = base(&folder).unwrap_or_else(|| path.to_owned());
        let lock = acquire(&folder, &base)?;
        let mut warnings = Vec::new();
        if !lock.is_known {
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
                "The disk of `{}` can't sync folders ({cause}): a power cut may take the newest \
                 checkpoints.",
                path.display()
            ));
        }
        Ok(Hold { folder, base, lock: Mutex::new(lock), warnings })
    }

    /// The path through which everything in the folder is reached, wherever the folder is.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// That the folder is still there and still this process's. To be asked before anything in it is
    /// published or removed. A lock file that was deleted is made again.
    ///
    /// # Errors
    /// [`Error::FolderGone`] if the folder was removed, [`Error::TakenOver`] if the lock at its place
    /// is another process's.
    pub(crate) fn check(&self) -> Result<()> {
        let gone = || Error::FolderGone { path: shown(&self.base) };
        if self.folder.metadata().at("look at", &self.base)?.nlink() == 0 {
            return Err(gone());
        }
        let mut lock = self.lock();
        if lock.released {
            return Err(Error::TakenOver { path: shown(&self.base) });
        }
        if is_at_its_place(&lock.file, &self.base) {
            return Ok(());
        }
        // Without `/proc` the folder may be another one by now; and one that is being removed has lost
        // more than its lock.
        let here = fs::metadata(&self.base).is_ok_and(|found| is_same(&self.folder, &found));
        if !here || !self.base.join(CONFIG).exists() {
            return Err(gone());
        }
        let path = self.base.join(LOCK);
        let file = open(&path).at("open", &path)?;
        let mut content = String::new();
        let read = (&file).take(LARGEST).read_to_string(&mut content);
        // One that has locked it, and found that this process is alive, has written nothing.
        if read.is_err()
            || !content.is_empty()
            || matches!(file.try_lock(), Err(TryLockError::WouldBlock))
        {
            return Err(Error::TakenOver { path: shown(&self.base) });
        }
        lock.sign(&file, &self.folder);
        lock.file = file;
        Ok(())
    }

    /// Whether another process has taken the folder over: then nothing of it is this process's to
    /// write.
    pub(crate) fn is_taken_over(&self) -> bool {
        matches!(self.check(), Err(Error::TakenOver { .. }))
    }

    /// Gives the lock back.
    pub(crate) fn release(&self) {
        let mut lock = self.lock();
        lock.released = true;
        // Closing the file is not enough: a child process that is just being started shares the
        // open file, and with it the lock, until it executes its own program. There is nothing to
        // be done about an error, and closing is the second chance.
        let _ = lock.file.unlock();
    }

    fn lock(&self) -> MutexGuard<'_, Lock> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lock {
    /// Writes into a lock file whose it is. Everything works without it, and whoever looks from
    /// outside knows less.
    fn sign(&self, file: &File, folder: &File) {
        let signature = match self.is_known {
            true => Signature::of(folder).text(),
            false => "no file locks\n".to_owned(),
        };
        let _ = file.set_len(0).and_then(|()| file.write_all_at(signature.as_bytes(), 0));
    }
}

/// The path of an open folder that holds wherever the folder is; none without `/proc`.
fn base(folder: &File) -> Option<PathBuf> {
    let base = PathBuf::from(format!("{}/{}", disk::DESCRIPTORS, folder.as_raw_fd()));
    fs::metadata(&base).is_ok_and(|found| is_same(folder, &found)).then_some(base)
}

fn is_same(file: &File, found: &fs::Metadata) -> bool {
    file.metadata().is_ok_and(|own| (own.dev(), own.ino()) == (found.dev(), found.ino()))
}

fn is_at_its_place(lock: &File, base: &Path) -> bool {
    base.join(LOCK).symlink_metadata().is_ok_and(|found| is_same(lock, &found))
}

fn open(path: &Path) -> io::Result<File> {
    disk::open_own(path, File::options().truncate(false).read(true).write(true).mode(MODE))
}

fn acquire(folder: &File, base: &Path) -> Result<Lock> {
    let path = base.join(LOCK);
    let in_use = || Error::RunInUse { path: shown(base) };
    let mut attempts = 10;
    let lock = loop {
        attempts -= 1;
        let file = open(&path).at("open", &path)?;
        if is_of_another_folder(&file, folder) {
            break replace(&path)?;
        }
        let is_known = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::Error(cause)) if disk::is_unsupported(&cause) => false,
            // Someone may just be looking whether it is locked.
            Err(TryLockError::WouldBlock) if attempts > 0 => {
                thread::sleep(A_MOMENT);
                continue;
            }
            Err(TryLockError::WouldBlock) => return Err(in_use()),
            Err(TryLockError::Error(cause)) => return Err(cause).at("lock", &path),
        };
        // It may have been removed, and another one made, between the two calls.
        if is_at_its_place(&file, base) {
            break Lock { file, is_known, released: false };
        }
        if attempts <= 0 {
            return Err(in_use());
        }
    };
    // A lock that is free tells nothing where someone has deleted the one that is held.
    if socket::is_answered(folder, base) {
        return Err(in_use());
    }
    // Those of earlier versions could be opened by others.
    let _ = lock.file.set_permissions(fs::Permissions::from_mode(MODE));
    lock.sign(&lock.file, folder);
    Ok(lock)
}

/// Whether the file is the lock of another folder too, of which this one is a copy made of hard links.
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
    let is_known = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::Error(cause)) if disk::is_unsupported(&cause) => false,
        Err(cause) => return Err(io::Error::from(cause)).at("lock", &new),
    };
    disk::rename(&new, path, "put a new version in place of", path)?;
    Ok(Lock { file, is_known, released: false })
}

/// What can be told of the process that writes a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// It is alive.
    Alive,
    /// It ran on this machine, in this folder, and is gone.
    Gone,
    /// Nothing: it ran on another machine or before a restart of this one, or this folder is a copy of
    /// the one that it writes, or the disk has no locks.
    Unknown,
}

/// What can be told of the process that writes the run in the folder. Changes nothing there.
///
/// # Errors
/// Where the system does not tell.
pub(crate) fn writer(run: &Path) -> Result<Writer> {
    let path = run.join(LOCK);
    let folder = match File::open(run) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Writer::Unknown),
        result => result.at("open the folder", run)?,
    };
    let by_socket = || match socket::is_answered(&folder, run) {
        true => Writer::Alive,
        false => Writer::Unknown,
    };
    let file = match disk::open_plain(&path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(by_socket()),
        // Another user's.
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => return Ok(by_socket()),
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
    // Locks of earlier versions tell the machine alone.
    let is_ours = found.is_some_and(|found| {
        found.boot == own.boot && found.folder.is_none_or(|folder| Some(folder) == own.folder)
    });
    // The lock of a live run may have been deleted and made again by someone who looked.
    match (is_ours, by_socket()) {
        (_, Writer::Alive) => Ok(Writer::Alive),
        (true, _) => Ok(Writer::Gone),
        (false, _) => Ok(Writer::Unknown),
    }
}

/// Whose a lock is: what tells this machine, since it was started, from every other, and a folder on it
/// from every other.
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
