//! Opening the socket in a run's folder, and connecting to it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, chmodat};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};

/// The socket's name in the folder of the run.
pub const FILE_NAME: &str = "control.sock";

/// How long a process may take to accept a connection.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// A socket in the folder that only its owner can connect to; no one can before it listens.
pub(crate) fn open(folder: &Path, connections: usize) -> io::Result<UnixListener> {
    let socket = unix_socket()?;
    let folder = File::open(folder)?;
    let short = short_path(&folder);
    bind(&socket, &SocketAddrUnix::new(&short)?)?;
    let listening = chmodat(CWD, &short, Mode::RUSR | Mode::WUSR, rustix::fs::AtFlags::empty())
        .and_then(|()| listen(&socket, connections as i32));
    if let Err(error) = listening {
        let _ = fs::remove_file(&short);
        return Err(error.into());
    }
    Ok(UnixListener::from(socket))
}

/// Connects to the socket in the folder. A suspended run accepts no connection, and once its queue is full
/// the next one would wait: hence the timeout, which also holds for writing.
pub(crate) fn connect(folder: &File, patience: Duration) -> io::Result<UnixStream> {
    let socket = unix_socket()?;
    set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(short_path(folder))?)?;
    Ok(UnixStream::from(socket))
}

/// Whether a process listens at the socket in the folder. A socket with several names may be another
/// folder's, of which this one is a copy made of hard links.
pub(crate) fn is_answered(folder: &File, path: &Path) -> bool {
    let found = path.join(FILE_NAME).symlink_metadata();
    if !found.is_ok_and(|found| found.file_type().is_socket() && found.nlink() == 1) {
        return false;
    }
    match connect(folder, ANSWER_WITHIN) {
        Ok(_) => true,
        // It is suspended, and its queue is full.
        Err(cause) => matches!(cause.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
    }
}

pub(crate) fn unix_socket() -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC, None)?)
}

/// A path of at most 107 bytes, which is what a socket's address has room for.
pub(crate) fn short_path(folder: &File) -> PathBuf {
    format!("{}/{}/{FILE_NAME}", crate::disk::DESCRIPTORS, folder.as_raw_fd()).into()
}
