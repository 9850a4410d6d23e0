//! The few steps by which something gets onto a disk whole, or not at all. Each tells
//! [`faults`](crate::faults) when it is done.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
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

/// The folder in a run's for what an abandoned timeline left behind.
pub(crate) const ABANDONED: &str = "abandoned";

/// Where the system shows the open files of this process, each under its number.
pub(crate) const DESCRIPTORS: &str = "/proc/self/fd";

/// A path for people, of one that may lead through an open folder: that is where the folder is now,
/// or was before it was removed, from the working directory on where it is in there.
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

/// Whether the system refused what the file system does not know, such as file locks.
pub fn is_unsupported(cause: &io::Error) -> bool {
    let known = [Errno::NOLCK, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::INVAL, Errno::NOSYS];
    known.iter().any(|errno| cause.raw_os_error() == Some(errno.raw_os_error()))
}

/// The folder that a path is in. A bare file name has an empty parent, which can't be opened.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Creates a folder that must not be there yet.
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
        Ok(_) => Err(Error::InTheWay { path: shown(path) }),
        Err(_) => create_folder(path),
    }
}

/// Makes a new, empty file.
pub(crate) fn create_file(path: &Path) -> Result<File> {
    let file = File::options().write(true).create_new(true).open(path).at("create", path)?;
    passed("create");
    Ok(file)
}

/// Creates a new, empty file that is read, and written at its end.
pub(crate) fn create_log(path: &Path) -> Result<File> {
    let mut options = File::options();
    let file = options.read(true).append(true).create_new(true).open(path).at("create", path)?;
    passed("create");
    Ok(file)
}

/// Appends `count` bytes of a file to another one, and returns how many there were.
pub(crate) fn copy(from: &File, count: u64, to: &mut File) -> io::Result<u64> {
    let copied = io::copy(&mut from.take(count), to)?;
    passed("write");
    Ok(copied)
}

/// Appends bytes to a file.
pub(crate) fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    write_counted(file, bytes).1
}

/// Writes as much of some bytes as the disk takes, and tells how much that was.
pub(crate) fn write_counted(file: &mut File, bytes: &[u8]) -> (usize, io::Result<()>) {
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

/// Gives a file or folder another name; `operation` is what that is for.
pub(crate) fn rename(from: &Path, to: &Path, operation: &'static str, named: &Path) -> Result<()> {
    fs::rename(from, to).at(operation, named)?;
    passed("rename");
    Ok(())
}

/// Writes a file, new or in the place of an old one, and waits until its contents would survive a
/// power cut.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    // What a crash left there goes first. A link in its place is not followed.
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause).at("replace", path)?,
        _ => {}
    }
    let mut file = create_file(path)?;
    write(&mut file, bytes).at("write", path)?;
    sync_file(&file, path)
}

/// Writes a file of a folder, whole or not at all, over one that may be there.
pub(crate) fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let (path, draft) = (folder.join(name), folder.join(format!(".{name}.tmp")));
    write_synced(&draft, bytes)?;
    rename(&draft, &path, "put a new version in place of", &path)?;
    sync_folder(folder)
}

/// Opens a plain file for reading. Opening a pipe would wait until somebody writes to it.
///
/// # Errors
/// Where the system says no, or it is something else.
pub fn open_plain(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"));
    }
    File::open(path)
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

/// Opens a plain file for writing at its end or anywhere, and makes it where there is none. A link is
/// not followed: it could lead out of the run's folder; and opening a pipe would wait.
pub(crate) fn open_own(path: &Path, options: &mut fs::OpenOptions) -> io::Result<File> {
    if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"));
    }
    options.create(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path)
}

/// Removes a folder and all that is in it, or a file of its name; one that is not there is no error.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    let is_folder = path.symlink_metadata().is_ok_and(|found| found.is_dir());
    let removed = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        result => {
            result.at("remove the folder", path)?;
            passed("remove");
            Ok(())
        }
    }
}

/// Whether the name is taken, be it by a link that leads nowhere.
pub(crate) fn is_taken(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
