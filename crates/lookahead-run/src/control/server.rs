//! The run's side of the socket.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, shutdown};

use super::protocol::{
    ANSWER_TIMEOUT, Accepted, Answer, CONNECTIONS, FILE_NAME, LARGEST_ANSWER, LARGEST_MESSAGE,
    MESSAGE_TIMEOUT, Message, Messages, Request, parse,
};
use crate::command::Command;
use crate::disk::{At, shown};
use crate::error::{Error, Result};
use crate::folder::RunFolder;
use crate::socket;
use crate::status::Status;

/// The pause after an accept that failed, for example because the process has too many open files.
pub(super) const RETRY: Duration = Duration::from_millis(50);

/// How long answers that are being sent may take when the server ends.
const LAST_ANSWERS: Duration = Duration::from_millis(200);

/// Handles a command.
type Accept = dyn Fn(Command) -> Accepted + Send + Sync;

/// What the connections share.
pub(super) struct Shared {
    pub(super) accept: Box<Accept>,
    pub(super) status: Box<dyn Fn() -> Status + Send + Sync>,
}

impl Shared {
    pub(super) fn answer(&self, message: &[u8]) -> Answer {
        match parse(message) {
            Ok(Request::Status) => {
                let status = Some((self.status)());
                Answer { ok: true, error: None, status, note: None }
            }
            Ok(Request::Command(command)) => (self.accept)(command).into(),
            Err(sentence) => Answer::refusal(sentence),
        }
    }
}

/// The socket and its threads. Dropping it ends them and removes the socket.
#[derive(Debug)]
pub struct ControlServer {
    listener: Arc<Listener>,
    path: PathBuf,
    /// Tells this socket's file from another one's.
    inode: u64,
    thread: Option<JoinHandle<()>>,
}

/// What the server shares with the thread that accepts connections.
#[derive(Debug)]
struct Listener {
    socket: UnixListener,
    closing: AtomicBool,
    connections: Mutex<Vec<(Arc<UnixStream>, JoinHandle<()>)>>,
}

impl ControlServer {
    /// Creates the socket and listens. `accept`, for each command, and `status`, for each request
    /// for the status, are called on other threads and should not wait.
    ///
    /// The caller holds the run's lock, so an existing socket is a dead process's.
    ///
    /// # Errors
    /// If something else has the socket's name, or the file system has no sockets.
    pub fn start(
        run: &RunFolder,
        accept: impl Fn(Command) -> Accepted + Send + Sync + 'static,
        status: impl Fn() -> Status + Send + Sync + 'static,
    ) -> Result<ControlServer> {
        let path = run.base().join(FILE_NAME);
        match path.symlink_metadata() {
            Ok(found) if found.file_type().is_socket() => {
                fs::remove_file(&path).at("remove the old socket", &path)?;
            }
            Ok(_) => return Err(Error::NotASocket(shown(&path))),
            Err(_) => {}
        }
        let socket = socket::open(run.base(), CONNECTIONS).at("make the socket", &path)?;
        let inode = path.symlink_metadata().at("look at", &path)?.ino();
        let (closing, connections) = (AtomicBool::new(false), Mutex::default());
        let listener = Arc::new(Listener { socket, closing, connections });
        let shared = Arc::new(Shared { accept: Box::new(accept), status: Box::new(status) });
        let ours = listener.clone();
        let thread = thread::Builder::new()
            .name("control".into())
            .spawn(move || accept_loop(&ours, &shared))
            .at("listen at", &path)?;
        Ok(ControlServer { listener, path, inode, thread: Some(thread) })
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        let is_ours = |found: fs::Metadata| found.ino() == self.inode;
        if self.path.symlink_metadata().is_ok_and(is_ours) {
            let _ = fs::remove_file(&self.path);
        }
        self.listener.closing.store(true, Ordering::Release);
        let _ = shutdown(&self.listener.socket, Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let mut connections =
            self.listener.connections.lock().unwrap_or_else(PoisonError::into_inner);
        // An answer that is being sent still arrives, for example that to the command by which the run ends.
        connections.iter().for_each(|(stream, _)| drop(stream.shutdown(std::net::Shutdown::Read)));
        let started = Instant::now();
        while started.elapsed() < LAST_ANSWERS
            && connections.iter().any(|(_, serves)| !serves.is_finished())
        {
            thread::sleep(Duration::from_millis(1));
        }
        for (stream, thread) in connections.drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            let _ = thread.join();
        }
    }
}

fn accept_loop(listener: &Listener, shared: &Arc<Shared>) {
    loop {
        let stream = match listener.socket.accept() {
            Ok((stream, _)) => Arc::new(stream),
            // Dropping the server shuts the listener down.
            Err(_) if listener.closing.load(Ordering::Acquire) => return,
            // Other errors pass, for example too many open files.
            Err(_) => {
                thread::sleep(RETRY);
                continue;
            }
        };
        let mut connections = listener.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|(_, thread)| !thread.is_finished());
        if connections.len() >= CONNECTIONS {
            let full = format!("{CONNECTIONS} other clients are connected. Try again later.");
            let _ =
                stream.set_nonblocking(true).and_then(|()| answer(&stream, Answer::refusal(full)));
            continue;
        }
        let (shared, theirs) = (shared.clone(), stream.clone());
        let serve = move || {
            let _ = serve(&theirs, &shared, MESSAGE_TIMEOUT, ANSWER_TIMEOUT);
            let _ = theirs.shutdown(std::net::Shutdown::Both);
        };
        if let Ok(thread) = thread::Builder::new().name("control".into()).spawn(serve) {
            connections.push((stream, thread));
        }
    }
}

pub(super) fn serve(
    stream: &UnixStream,
    shared: &Shared,
    message_timeout: Duration,
    answer_timeout: Duration,
) -> io::Result<()> {
    stream.set_write_timeout(Some(answer_timeout))?;
    let mut messages = Messages::new(stream, LARGEST_MESSAGE);
    loop {
        match messages.next(message_timeout)? {
            Message::Whole(message) => answer(stream, shared.answer(&message))?,
            Message::End => return Ok(()),
            Message::TooLong => {
                let text = format!(
                    "A message has at most {LARGEST_MESSAGE} bytes, and this one has more."
                );
                return answer(stream, Answer::refusal(text));
            }
        }
    }
}

fn answer(mut stream: &UnixStream, answer: Answer) -> io::Result<()> {
    let encoded = |answer: &Answer| -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(answer)?;
        line.push(b'\n');
        Ok(line)
    };
    let mut line = encoded(&answer)?;
    if line.len() > LARGEST_ANSWER {
        let instead = format!(
            "The answer would have {} bytes, and one has at most {LARGEST_ANSWER}.",
            line.len()
        );
        line = encoded(&Answer::refusal(instead))?;
    }
    stream.write_all(&line)
}
