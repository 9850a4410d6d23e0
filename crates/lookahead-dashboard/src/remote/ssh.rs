//! A process of ssh that runs a relay on another machine.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lookahead_run::format::safe;

use super::error::RemoteError;
use crate::wire::{Bookmark, Greeting, PROTOCOL, read_line};

/// The environment variable with another command than `ssh`, and its arguments.
const VARIABLE: &str = "LOOKAHEAD_SSH";
/// A lost link is noticed after 15 seconds.
const OPTIONS: [&str; 7] =
    ["-T", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3", "-o", "ConnectTimeout=15"];
/// Most lines, and most bytes of each, that a shell may print before the greeting.
const LINES_BEFORE: usize = 200;
const LONGEST_BEFORE: usize = 64 << 10;
/// How long the last words of a process may take after its end. A master connection that stays holds its stderr open.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// What happens if ssh has a question for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Questions {
    /// It is asked on the terminal, on which ssh also writes its messages.
    Asked,
    /// The connection fails: the terminal shows the dashboard.
    Failed,
}

/// A process of ssh with a relay that has greeted. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Connection {
    child: Child,
    input: Option<ChildStdin>,
    pub(super) output: Option<BufReader<ChildStdout>>,
    errors: Arc<Errors>,
}

/// What ssh, the shell there and the relay write on stderr.
#[derive(Debug, Default)]
struct Errors {
    last: Mutex<String>,
    /// Whether it also goes to this program's stderr.
    are_shown: AtomicBool,
    have_ended: AtomicBool,
}

/// The name of ssh, and its command with the options of every connection.
fn ssh() -> (String, Command) {
    let set = std::env::var(VARIABLE).unwrap_or_default();
    let mut words = set.split_whitespace();
    let program = words.next().unwrap_or("ssh").to_owned();
    let mut ssh = Command::new(&program);
    ssh.args(words).args(OPTIONS);
    (program, ssh)
}

/// Runs a command of the shell there, which writes to the standard streams of this process and reads nothing. Returns its
/// exit status.
pub(super) fn run(host: &str, command: &str) -> Result<u8, RemoteError> {
    let (program, mut ssh) = ssh();
    ssh.args([host, command]).stdin(Stdio::null());
    let status = ssh.status().map_err(|cause| RemoteError::Start { program, cause })?;
    let host = host.to_owned();
    let words = || match (status.code(), status.signal()) {
        (Some(code), _) => format!("ssh ended with status {code}"),
        (None, signal) => format!("ssh was ended by signal {}", signal.unwrap_or_default()),
    };
    match status.code() {
        Some(126 | 127) => Err(RemoteError::NoProgram { host, words: words() }),
        Some(code @ 0..255) => Ok(code as u8),
        _ => Err(RemoteError::Connect { host, words: words() }),
    }
}

impl Connection {
    /// Starts ssh, and waits for the greeting.
    pub(super) fn open(
        host: &str,
        command: &str,
        after: Bookmark,
        questions: Questions,
    ) -> Result<Connection, RemoteError> {
        let (program, mut ssh) = ssh();
        if questions == Questions::Failed {
            ssh.args(["-o", "BatchMode=yes"]);
        }
        ssh.args([host, &format!("{command} --after {after}")]);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |cause| RemoteError::Start { program: program.clone(), cause };
        let mut child = ssh.spawn().map_err(failed)?;
        let errors = Arc::new(Errors::default());
        errors.are_shown.store(questions == Questions::Asked, Ordering::SeqCst);
        if let Some(stderr) = child.stderr.take() {
            let errors = errors.clone();
            let collect = thread::Builder::new().name("ssh errors".into());
            let collecting = collect.spawn(move || errors.collect(stderr));
            collecting.map_err(failed)?;
        }
        let (input, output) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        let mut connection = Connection { child, input, output, errors };
        let greeting = connection.greeting();
        connection.errors.are_shown.store(false, Ordering::SeqCst);
        let host = host.to_owned();
        match greeting {
            Some(Greeting { error: Some(message), .. }) => {
                let message = message.chars().filter(|letter| !letter.is_control()).collect();
                Err(RemoteError::Refused { host, message })
            }
            Some(Greeting { lookahead_relay: PROTOCOL, .. }) => Ok(connection),
            Some(Greeting { lookahead_relay: found, .. }) => {
                Err(RemoteError::Protocol { host, found })
            }
            None => {
                let words = connection.last_words();
                Err(match connection.child.try_wait().ok().flatten().and_then(|end| end.code()) {
                    Some(255) => RemoteError::Connect { host, words },
                    Some(126 | 127) => RemoteError::NoProgram { host, words },
                    _ => RemoteError::NoGreeting { host, words },
                })
            }
        }
    }

    /// The greeting of the relay; none if it ends, or writes something else. The shell there may print lines before.
    fn greeting(&mut self) -> Option<Greeting> {
        let output = self.output.as_mut()?;
        let mut line = Vec::new();
        for _ in 0..LINES_BEFORE {
            if !read_line(output, LONGEST_BEFORE, &mut line).ok()? {
                return None;
            }
            if let Ok(greeting) = serde_json::from_slice(&line) {
                return Some(greeting);
            }
        }
        None
    }

    /// Sends a line to the relay.
    pub(super) fn send(&mut self, line: &[u8]) -> io::Result<()> {
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        input.write_all(&[line, b"\n"].concat())
    }

    /// Why it ended, as a clause: the last that it wrote on stderr, or else its exit status. Ends it if need be.
    pub(super) fn last_words(&mut self) -> String {
        let until = Instant::now() + LAST_WORDS;
        while !self.errors.have_ended.load(Ordering::SeqCst) && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        // It has closed its output, so it is about to end.
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(5));
        }
        let last = lock(&self.errors.last).clone();
        if !last.is_empty() {
            return safe(last.trim_end_matches('.'));
        }
        match self.child.try_wait() {
            Ok(Some(end)) => match (end.code(), end.signal()) {
                (Some(code), _) => format!("ssh ended with status {code}"),
                (None, signal) => format!("ssh was ended by signal {}", signal.unwrap_or_default()),
            },
            _ => "the program there closed its output".into(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Errors {
    /// Reads all of it, in lines of bounded length.
    fn collect(&self, stderr: ChildStderr) {
        const LONGEST: u64 = 4096;
        let (mut stderr, mut line) = (BufReader::new(stderr), Vec::new());
        while let Ok(1..) = stderr.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            if self.are_shown.load(Ordering::SeqCst) {
                let _ = io::stderr().write_all(&line);
            }
            let text = String::from_utf8_lossy(&line);
            if !text.trim().is_empty() {
                text.trim().clone_into(&mut lock(&self.last));
            }
            line.clear();
        }
        self.have_ended.store(true, Ordering::SeqCst);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
