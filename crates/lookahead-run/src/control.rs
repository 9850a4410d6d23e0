//! The control socket of a run that lives, `control.sock` in its folder: commands in, answers out.
//!
//! A client connects and sends lines, each a JSON object such as `{"command":"pause"}`, and gets a
//! line back for each: `{"ok":true}`, or `{"ok":false,"error":"…"}` with a sentence. Fields that are
//! not known are passed over, so that later versions may add some.
//!
//! Only the run's owner may connect (mode 0600, from the first moment on), and nobody can make the
//! run wait or grow:
//!
//! | bound | |
//! |---|---|
//! | a message | [`LARGEST_MESSAGE`] bytes; after a longer one the connection is closed |
//! | connections | [`CONNECTIONS`] at once; others are told so and closed |
//! | from one message to the end of the next | [`PATIENCE`]; then the connection is closed |
//! | a client that does not take its answers | [`ANSWERED_WITHIN`]; then the connection is closed |

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, chmodat};
use rustix::net::{
    AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, bind, listen, shutdown,
    socket_with,
};
use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::disk::At;
use crate::error::{Error, Result};
use crate::folder::RunFolder;

/// The socket's name in the folder of the run.
pub const FILE_NAME: &str = "control.sock";
/// Most bytes of a message, its line feed counted in.
pub const LARGEST_MESSAGE: usize = 4096;
/// Most connections at once.
pub const CONNECTIONS: usize = 8;
/// How long a connection may take for a message.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long a client may take to accept an answer, and a run to give one.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
struct Message {
    command: Command,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<std::result::Result<(), String>> for Answer {
    fn from(done: std::result::Result<(), String>) -> Self {
        Answer { ok: done.is_ok(), error: done.err() }
    }
}

/// The command in a message.
///
/// # Errors
/// A sentence, for anything that is no command.
pub fn parse(message: &[u8]) -> std::result::Result<Command, String> {
    serde_json::from_slice(message).map(|Message { command }| command).map_err(|cause| {
        format!(
            "The message is no command ({cause}): send a line such as {{\"command\":\"pause\"}}, \
             with pause, continue, checkpoint or stop."
        )
    })
}

/// What is done about a command; an error is a sentence for whoever sent it.
type Accept = dyn Fn(Command) -> std::result::Result<(), String> + Send + Sync;

/// The socket, and the threads that listen. Dropping it ends them and removes the socket.
#[derive(Debug)]
pub struct ControlServer {
    listener: Arc<UnixListener>,
    path: PathBuf,
    /// By which the socket's file is told from another one's.
    inode: u64,
    connections: Connections,
    thread: Option<JoinHandle<()>>,
}

type Connections = Arc<Mutex<Vec<(UnixStream, JoinHandle<()>)>>>;

impl ControlServer {
    /// Makes the socket and listens. `accept` is called on other threads, and should not wait.
    ///
    /// The caller holds the run's lock, so a socket that is there already is a dead process's.
    ///
    /// # Errors
    /// Where something else has the socket's name, or the file system knows no sockets.
    pub fn start(
        run: &RunFolder,
        accept: impl Fn(Command) -> std::result::Result<(), String> + Send + Sync + 'static,
    ) -> Result<ControlServer> {
        let path = run.path().join(FILE_NAME);
        match path.symlink_metadata() {
            Ok(found) if found.file_type().is_socket() => {
                fs::remove_file(&path).at("remove the old socket", &path)?;
            }
            Ok(_) => return Err(Error::NotASocket { path }),
            Err(_) => {}
        }
        let listener = open(run.path()).at("make the socket", &path)?;
        let inode = path.symlink_metadata().at("look at", &path)?.ino();
        let (listener, connections) = (Arc::new(listener), Connections::default());
        let accept: Arc<Accept> = Arc::new(accept);
        let (ours, theirs) = (connections.clone(), listener.clone());
        let thread = thread::Builder::new()
            .name("control".into())
            .spawn(move || welcome(&theirs, &ours, &accept))
            .at("listen at", &path)?;
        Ok(ControlServer { listener, path, inode, connections, thread: Some(thread) })
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        let is_ours = |found: fs::Metadata| found.ino() == self.inode;
        if self.path.symlink_metadata().is_ok_and(is_ours) {
            let _ = fs::remove_file(&self.path);
        }
        let _ = shutdown(&*self.listener, Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        for (stream, thread) in connections.drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            let _ = thread.join();
        }
    }
}

/// A socket in the folder, which nobody but its owner can connect to: until it listens nobody can
/// at all.
fn open(folder: &Path) -> io::Result<UnixListener> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let folder = File::open(folder)?;
    let short = short_path(&folder);
    bind(&socket, &SocketAddrUnix::new(&short)?)?;
    let listening = chmodat(CWD, &short, Mode::RUSR | Mode::WUSR, rustix::fs::AtFlags::empty())
        .and_then(|()| listen(&socket, CONNECTIONS as i32));
    if let Err(error) = listening {
        let _ = fs::remove_file(&short);
        return Err(error.into());
    }
    Ok(UnixListener::from(socket))
}

/// The address of a socket has room for 107 bytes, and a path to a folder can be much longer.
fn short_path(folder: &File) -> PathBuf {
    format!("/proc/self/fd/{}/{FILE_NAME}", folder.as_raw_fd()).into()
}

fn welcome(listener: &UnixListener, connections: &Connections, accept: &Arc<Accept>) {
    // Ends when the server is dropped, which shuts the listener down.
    while let Ok((stream, _)) = listener.accept() {
        let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|(_, thread)| !thread.is_finished());
        if connections.len() >= CONNECTIONS {
            let full = format!("{CONNECTIONS} others are connected: try again later.");
            let _ = stream.set_nonblocking(true).and_then(|()| answer(&stream, Err(full)));
            continue;
        }
        let Ok(other) = stream.try_clone() else { continue };
        let accept = accept.clone();
        let serve = move || {
            let _ = converse(&stream, &*accept);
            let _ = stream.shutdown(std::net::Shutdown::Both);
        };
        if let Ok(thread) = thread::Builder::new().name("control".into()).spawn(serve) {
            connections.push((other, thread));
        }
    }
}

fn converse(stream: &UnixStream, accept: &Accept) -> io::Result<()> {
    stream.set_write_timeout(Some(ANSWERED_WITHIN))?;
    let mut lines = Lines::new(stream);
    loop {
        match lines.next(PATIENCE)? {
            Line::Whole(line) => answer(stream, parse(&line).and_then(accept))?,
            Line::End => return Ok(()),
            Line::TooLong => {
                let text =
                    format!("A message has at most {LARGEST_MESSAGE} bytes, and this one more.");
                return answer(stream, Err(text));
            }
        }
    }
}

fn answer(mut stream: &UnixStream, done: std::result::Result<(), String>) -> io::Result<()> {
    let mut line = serde_json::to_vec(&Answer::from(done))?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Lines of a bounded length, each within a bounded time.
struct Lines<'a> {
    stream: &'a UnixStream,
    buffer: Vec<u8>,
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
    End,
}

impl<'a> Lines<'a> {
    fn new(stream: &'a UnixStream) -> Self {
        Lines { stream, buffer: Vec::with_capacity(LARGEST_MESSAGE) }
    }

    fn next(&mut self, patience: Duration) -> io::Result<Line> {
        let started = Instant::now();
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                return Ok(Line::Whole(line));
            }
            let room = LARGEST_MESSAGE - self.buffer.len();
            if room == 0 {
                return Ok(Line::TooLong);
            }
            // However slowly the bytes come, they come within the time.
            let left = patience.saturating_sub(started.elapsed());
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let mut bytes = [0; LARGEST_MESSAGE];
            match self.stream.read(&mut bytes[..room]) {
                Ok(0) => return Ok(Line::End),
                Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Asks a run that lives for something, and waits until it has accepted it. What is accepted takes
/// effect at the run's next step.
///
/// # Errors
/// [`Error::NotRunning`] where nobody listens; [`Error::Refused`] with what the run said;
/// where there is no answer.
pub fn send(run: &RunFolder, command: Command) -> Result<()> {
    let path = run.path().join(FILE_NAME);
    let folder = File::open(run.path()).at("open", run.path())?;
    let mut stream = match UnixStream::connect(short_path(&folder)) {
        Err(cause)
            if matches!(
                cause.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Err(Error::NotRunning { path: run.path().to_owned() });
        }
        result => result.at("connect to", &path)?,
    };
    stream.set_write_timeout(Some(ANSWERED_WITHIN)).at("connect to", &path)?;
    let mut line = serde_json::to_vec(&Message { command })
        .map_err(io::Error::from)
        .at("encode a command for", &path)?;
    line.push(b'\n');
    // Where there are too many connections, the answer may be there before the question.
    let written = stream.write_all(&line);
    let refused = |message| Error::Refused { path: run.path().to_owned(), message };
    match Lines::new(&stream).next(ANSWERED_WITHIN).at("get an answer from", &path)? {
        Line::Whole(line) => match serde_json::from_slice(&line) {
            Ok(Answer { ok: true, .. }) => Ok(()),
            Ok(Answer { error, .. }) => {
                Err(refused(error.unwrap_or_else(|| "It said no more.".into())))
            }
            Err(_) => {
                Err(refused("It gave an answer that this version does not understand.".into()))
            }
        },
        Line::TooLong => Err(refused("Its answer was too long.".into())),
        Line::End => {
            written.at("ask", &path)?;
            Err(refused("It ended without an answer.".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::os::unix::fs::PermissionsExt;
    use std::sync::mpsc;
    use tempfile::{TempDir, tempdir};

    struct Live {
        _temp: TempDir,
        run: RunFolder,
        server: Option<ControlServer>,
        asked: mpsc::Receiver<Command>,
    }

    fn live() -> Live {
        let temp = tempdir().unwrap();
        let run = RunFolder::create(temp.path(), "run").unwrap();
        let (sender, asked) = mpsc::channel();
        let sender = Mutex::new(sender);
        let server = ControlServer::start(&run, move |command| match command {
            Command::Checkpoint => Err("Not now.".to_owned()),
            command => sender.lock().unwrap().send(command).map_err(|error| error.to_string()),
        });
        Live { _temp: temp, run, server: Some(server.unwrap()), asked }
    }

    impl Live {
        fn connect(&self) -> UnixStream {
            let stream = UnixStream::connect(self.run.path().join(FILE_NAME)).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream
        }

        /// Sends bytes, ends the sending, and returns all that comes back.
        fn say(&self, bytes: &[u8]) -> String {
            let mut stream = self.connect();
            // The other side may have closed before it has heard all.
            let _ = stream.write_all(bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said);
            String::from_utf8(said).unwrap()
        }
    }

    #[test]
    fn commands_arrive_in_order_and_are_answered() {
        let live = live();
        for command in [Command::Pause, Command::Continue, Command::Stop] {
            send(&live.run, command).unwrap();
            assert_eq!(live.asked.try_recv(), Ok(command));
        }
        let error = send(&live.run, Command::Checkpoint).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(error.to_string().contains("Not now."), "{error}");
        // Several on one connection, and a field of a later version.
        let lines = b"{\"command\":\"pause\"}\n{\"by\":[1],\"command\":\"stop\"}\n";
        assert_eq!(live.say(lines), "{\"ok\":true}\n{\"ok\":true}\n");
        assert_eq!(live.asked.try_iter().collect::<Vec<_>>(), [Command::Pause, Command::Stop]);
    }

    #[test]
    fn whatever_is_no_command_gets_a_sentence() {
        let live = live();
        let deep = [&b"[".repeat(4000)[..], b"\n"].concat();
        let messages: [&[u8]; 9] = [
            b"\n",
            b"stop\n",
            b"{}\n",
            b"[]\n",
            b"{\"command\":\"fly\"}\n",
            b"{\"command\":7}\n",
            b"{\"command\":\"stop\"\n",
            b"\xff\xfe\0\n",
            &deep,
        ];
        for message in messages {
            let said = live.say(message);
            let answer: Answer = serde_json::from_str(said.trim()).unwrap();
            assert!(!answer.ok, "{message:?}");
            assert!(answer.error.unwrap().contains("is no command"), "{message:?}");
        }
        // A line that is not ended is no message.
        assert_eq!(live.say(b"{\"command\":\"stop\"}"), "");
        assert!(live.asked.try_recv().is_err());
        send(&live.run, Command::Pause).unwrap();
    }

    #[test]
    fn a_message_without_an_end_is_not_kept() {
        let live = live();
        let said = live.say(&vec![b'x'; 1 << 20]);
        // The answer may be lost, since the rest of the message was never read.
        assert!(said.is_empty() || said.contains("at most 4096 bytes"), "{said}");
        let just_fits = format!("{:<1$}\n", "{\"command\":\"pause\"}", LARGEST_MESSAGE - 1);
        assert_eq!(live.say(just_fits.as_bytes()), "{\"ok\":true}\n");
        let too_long = format!("{:<1$}\n", "{\"command\":\"pause\"}", LARGEST_MESSAGE);
        assert!(live.say(too_long.as_bytes()).contains("at most 4096 bytes"));
    }

    #[test]
    fn who_is_one_too_many_is_told_and_the_others_are_served() {
        let live = live();
        let mut connected: Vec<_> = (0..CONNECTIONS).map(|_| live.connect()).collect();
        for stream in &mut connected {
            // An answer shows that it has been welcomed.
            stream.write_all(b"{\"command\":\"pause\"}\n").unwrap();
            let mut line = String::new();
            BufReader::new(&*stream).read_line(&mut line).unwrap();
            assert_eq!(line, "{\"ok\":true}\n");
        }
        let error = send(&live.run, Command::Stop).unwrap_err().to_string();
        assert!(error.contains("8 others are connected"), "{error}");
        drop(connected.pop());
        let started = Instant::now();
        while send(&live.run, Command::Stop).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20));
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn bytes_that_come_slowly_come_within_the_time() {
        let (mut client, server) = UnixStream::pair().unwrap();
        let slow = thread::spawn(move || {
            while client.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
        });
        let found = Lines::new(&server).next(Duration::from_millis(100));
        assert!(found.is_err(), "a byte now and then keeps nobody here");
        drop(server);
        slow.join().unwrap();
    }

    #[test]
    fn the_socket_is_its_owners_and_goes_with_the_server() {
        let mut live = live();
        let path = live.run.path().join(FILE_NAME);
        assert_eq!(path.symlink_metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let idle = live.connect();
        live.server = None;
        assert!(!path.exists());
        assert_eq!((&idle).read(&mut [0]).unwrap(), 0, "connections are closed");
        let error = send(&live.run, Command::Stop).unwrap_err();
        assert!(matches!(error, Error::NotRunning { .. }), "{error}");
        assert!(error.to_string().contains("lookahead resume"), "{error}");
    }

    #[test]
    fn a_dead_processs_socket_gives_way_and_nothing_else_does() {
        let temp = tempdir().unwrap();
        let run = RunFolder::create(temp.path(), "run").unwrap();
        let path = run.path().join(FILE_NAME);
        drop(UnixListener::bind(&path).unwrap());
        let error = send(&run, Command::Stop).unwrap_err();
        assert!(matches!(error, Error::NotRunning { .. }), "{error}");
        drop(ControlServer::start(&run, |_| Ok(())).unwrap());

        fs::write(&path, "mine").unwrap();
        let error = ControlServer::start(&run, |_| Ok(())).unwrap_err();
        assert!(matches!(error, Error::NotASocket { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn another_ones_socket_is_not_removed() {
        let mut live = live();
        let path = live.run.path().join(FILE_NAME);
        fs::rename(&path, live.run.path().join("moved")).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        live.server = None;
        assert!(path.exists());
    }

    #[test]
    fn a_folders_path_may_be_longer_than_an_address() {
        let temp = tempdir().unwrap();
        let out = temp.path().join("x".repeat(100)).join("y".repeat(100));
        let run = RunFolder::create(&out, &"z".repeat(100)).unwrap();
        let server = ControlServer::start(&run, |_| Ok(())).unwrap();
        send(&run, Command::Pause).unwrap();
        drop(server);
        assert!(!run.path().join(FILE_NAME).exists());
    }
}
