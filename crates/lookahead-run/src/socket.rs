//! The socket in a run's folder: opened, and connected to.

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
pub(crate) const FILE_NAME: &str = "control.sock";

/// How long a process may take to be seen alive.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// A socket in the folder, which no one but its owner can connect to: until it listens no one can at
/// all.
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

/// Connects to the socket in the folder. A run that is suspended accepts no connection, and once its
/// queue is full another one would wait for it: hence the time, which holds for writing as well.
pub(crate) fn connect(folder: &File, patience: Duration) -> io::Result<UnixStream> {
    let socket = unix_socket()?;
    set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(short_path(folder))?)?;
    Ok(UnixStream::from(socket))
}

/// Whether a process listens at the socket in the folder. One with more than one name may be another
/// folder's: this one is then a copy made of hard links.
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

/// The address of a socket has room for 107 bytes, and a path to a folder can be much longer.
pub(crate) fn short_path(folder: &File) -> PathBuf {
    format!("{}/{}/{FILE_NAME}", crate::disk::DESCRIPTORS, folder.as_raw_fd()).into()
}
