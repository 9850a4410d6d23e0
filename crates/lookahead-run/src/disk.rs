//! The steps by which something gets onto a disk whole, or not at all. Each reports to
//! [`faults`](crate::faults) when it is done.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::faults::passed;
use crate::text;

/// Turns an I/O error into a sentence that names the operation and the path.
pub(crate) trait At<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T> {
        self.map_err(|cause| Error::Io { operation, path: shown(path), cause })
    }
}

/// The folder inside a run's for abandoned checkpoints and events.
pub(crate) const ABANDONED: &str = "abandoned";

/// The operation of a rename that replaces a file.
pub(crate) const REPLACE: &str = "put a new version in place of";

/// Where the system lists the open files of this process by number.
pub(crate) const DESCRIPTORS: &str = "/proc/self/fd";

/// A path as messages print it. One that leads through an open folder becomes where that folder is now,
/// or was before it was removed, relative to the working directory if it is in there.
pub fn shown(path: &Path) -> PathBuf {
    let found = || {
        let mut parts = path.strip_prefix(DESCRIPTORS).ok()?.components();
        let open = Path::new(DESCRIPTORS).join(parts.next()?);
        let folder = fs::read_link(open).ok().filter(|folder| folder.is_absolute())?;
        let name = folder.file_name()?.to_string_lossy().into_owned();
        let folder = match name.strip_suffix(" (deleted)") {
            Some(name) => folder.with_file_name(name),
            None => folder,
        };
        let here = std::env::current_dir().ok();
        let near = here.and_then(|here| folder.strip_prefix(here).ok().map(Path::to_owned));
        let near = near.filter(|near| *near != Path::new(""));
        let inner = parts.as_path();
        let folder = near.unwrap_or(folder);
        Some(if inner == Path::new("") { folder } else { folder.join(inner) })
    };
    found().unwrap_or_else(|| path.to_owned())
}

/// Whether the file system does not support what was requested, for example locks.
pub fn is_unsupported(cause: &io::Error) -> bool {
    let known = [Errno::NOLCK, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::INVAL, Errno::NOSYS];
    known.iter().any(|errno| cause.raw_os_error() == Some(errno.raw_os_error()))
}

/// What is wrong with a name that should be that of one plain file or folder, as a verb phrase; `None` if
/// nothing is.
pub fn fault_of_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "" => "is empty",
        name if name.contains('/') => "contains a `/`",
        name if name.starts_with('.') => "starts with a dot",
        name if name.contains(char::is_control) => "contains a control character",
        _ => return None,
    })
}

/// The folder of a path. A bare file name has an empty parent, which can't be opened.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Whether a name is taken, even by a link that leads nowhere.
pub(crate) fn is_taken(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Creates a folder that must not exist.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir(path).at("make the folder", path)?;
    passed("mkdir");
    Ok(())
}

/// Creates a folder if it is missing.
///
/// # Errors
/// [`Error::InTheWay`] if something else has its name.
pub(crate) fn ensure_folder(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        // A link could lead out of the run's folder.
        Ok(_) => Err(Error::InTheWay(shown(path))),
        Err(_) => create_folder(path),
    }
}

/// Creates a file that must not exist, for reading and for writing at its end.
pub(crate) fn create_file(path: &Path) -> Result<File> {
    let mut options = File::options();
    let file = options.read(true).append(true).create_new(true).open(path).at("create", path)?;
    passed("create");
    Ok(file)
}

/// Appends `count` bytes of one file to another, and returns how many there were.
pub(crate) fn copy(from: &File, count: u64, to: &mut File) -> io::Result<u64> {
    let copied = io::copy(&mut from.take(count), to)?;
    passed("write");
    Ok(copied)
}

/// Writes bytes to a file, and returns how many the disk took.
pub(crate) fn write(file: &mut File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut taken = 0;
    while taken < bytes.len() {
        match file.write(&bytes[taken..]) {
            Ok(0) => return (taken, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => taken += more,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return (taken, Err(cause)),
        }
    }
    passed("write");
    (taken, Ok(()))
}

/// Removes all bytes of a file, or the file's name here if it has others: in a folder that was copied with hard links
/// the original's file is the same one.
pub(crate) fn empty_file(path: &Path) -> Result<()> {
    if path.symlink_metadata().at("look at", path)?.nlink() > 1 {
        return remove_folder(path);
    }
    File::options().write(true).open(path).and_then(|file| file.set_len(0)).at("empty", path)?;
    passed("truncate");
    Ok(())
}

/// Waits until a file's contents would survive a power cut.
pub(crate) fn sync_file(file: &File, path: &Path) -> Result<()> {
    file.sync_all().at("sync", path)?;
    passed("fsync");
    Ok(())
}

/// Waits until the names in a folder, not the contents behind them, would survive a power cut. A file
/// system that can't do that is reported once, when the run is locked.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    match File::open(path).and_then(|folder| folder.sync_all()) {
        Err(cause) if is_unsupported(&cause) => {}
        result => result.at("sync the folder", path)?,
    }
    passed("fsync of a folder");
    Ok(())
}

/// Renames a file or folder; an error is about `named`.
pub(crate) fn rename(from: &Path, to: &Path, operation: &'static str, named: &Path) -> Result<()> {
    fs::rename(from, to).at(operation, named)?;
    passed("rename");
    Ok(())
}

/// Writes a file, new or in the place of an old one, and waits until its contents would survive a
/// power cut.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    // What a crash left is removed first. A link is not followed.
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause).at("replace", path)?,
        _ => {}
    }
    let mut file = create_file(path)?;
    write(&mut file, bytes).1.at("write", path)?;
    sync_file(&file, path)
}

/// Writes a file of a folder, whole or not at all, over an existing one.
pub(crate) fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let (path, temporary) = (folder.join(name), folder.join(format!(".{name}.tmp")));
    write_synced(&temporary, bytes)?;
    rename(&temporary, &path, REPLACE, &path)?;
    sync_folder(folder)
}

fn not_plain() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file")
}

/// Opens a plain file for reading. Opening a pipe would wait until something is written to it.
///
/// # Errors
/// If the system refuses, or it is not a plain file.
pub fn open_plain(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() { File::open(path) } else { Err(not_plain()) }
}

/// Opens or creates a plain file. A link is not followed, since it could lead out of the run's folder,
/// and a pipe is not opened, since that would wait.
pub(crate) fn open_own(path: &Path, options: &mut fs::OpenOptions) -> io::Result<File> {
    if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
        return Err(not_plain());
    }
    options.create(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path)
}

/// The text in an open file of at most `largest` bytes.
pub(crate) fn read_text(file: File, path: &Path, largest: u64) -> Result<String> {
    let mut bytes = Vec::new();
    file.take(largest.saturating_add(1)).read_to_end(&mut bytes).at("read", path)?;
    if bytes.len() as u64 > largest {
        return Err(Error::TooLarge { path: shown(path), largest });
    }
    let invalid = |sentence| io::Error::new(io::ErrorKind::InvalidData, sentence);
    text::decode(bytes).map_err(invalid).at("read", path)
}

/// Removes a folder with its contents, or a file of its name; one that does not exist is not an error.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    let is_folder = path.symlink_metadata().is_ok_and(|found| found.is_dir());
    let removed = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result.at("remove the folder", path)?,
    }
    passed("remove");
    Ok(())
}
