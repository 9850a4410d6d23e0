//! A run on another machine, through ssh and a [`relay`](crate::relay()) there.

mod error;
mod ssh;

use std::io::{self, BufReader};
use std::mem;
use std::process::ChildStdout;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select, tick};
use lookahead_run::command::Command;
use lookahead_run::event::unix_time;

use crate::channels::COMMANDS;
use crate::message::RunUpdate;
use crate::wire::{Bookmark, LARGEST_UPDATE, SIGN_OF_LIFE, read_line};
pub use error::RemoteError;
use ssh::{Connection, Questions, lock};

/// The time between two attempts to connect again: at first, and at most.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// A run on another machine, to which there is a connection.
#[derive(Debug)]
pub struct RemoteRun {
    /// What the dashboard calls it.
    name: String,
    host: String,
    /// What ssh runs there, without the bookmark.
    command: String,
    connection: Connection,
}

impl RemoteRun {
    /// Connects to a run on another machine. `ssh` may ask for a password, and shows what it has to say.
    ///
    /// `host` is what ssh takes, for example `user@host`. `command` is what the shell there runs: a program that calls
    /// [`relay`](crate::relay()) with the [`Bookmark`] behind `--after`, which is added.
    ///
    /// # Errors
    /// If there is no connection, no program that understands this one, or no such run.
    pub fn connect(name: &str, host: &str, command: &str) -> Result<RemoteRun, RemoteError> {
        check_host(host)?;
        let [name, host, command] = [name, host, command].map(str::to_owned);
        let connection = Connection::open(&host, &command, Bookmark::default(), Questions::Asked)?;
        Ok(RemoteRun { name, host, command, connection })
    }

    /// What the dashboard calls it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Starts the thread that reports its updates under this number, and returns where commands go.
    pub(crate) fn start(
        self,
        index: usize,
        updates: Sender<(usize, RunUpdate)>,
    ) -> io::Result<Sender<Command>> {
        let (sender, commands) = bounded(COMMANDS);
        let RemoteRun { host, command, connection, .. } = self;
        let link = Link { host, command, index, updates, commands, unanswered: Arc::default() };
        let thread = thread::Builder::new().name(format!("remote {index}"));
        thread.spawn(move || link.follow(connection))?;
        Ok(sender)
    }
}

/// Runs a command of the shell on another machine, which writes to the standard streams of this process and reads nothing.
/// `host` is what ssh takes. Returns the command's exit status.
///
/// # Errors
/// If there is no connection, or the shell there does not find the program.
pub fn run_there(host: &str, command: &str) -> Result<u8, RemoteError> {
    check_host(host)?;
    ssh::run(host, command)
}

fn check_host(host: &str) -> Result<(), RemoteError> {
    // ssh would take it for an option.
    if host.is_empty() || host.starts_with('-') {
        return Err(RemoteError::Host(host.to_owned()));
    }
    Ok(())
}

/// A run that is followed through one connection after the other.
struct Link {
    host: String,
    command: String,
    index: usize,
    updates: Sender<(usize, RunUpdate)>,
    commands: Receiver<Command>,
    /// Commands that were sent.
    unanswered: Arc<Mutex<Vec<Command>>>,
}

/// The dashboard has ended.
struct Closed;

impl Link {
    fn follow(self, mut connection: Connection) {
        let mut bookmark = Bookmark::default();
        while let Ok(why) = self.serve(&mut connection, &mut bookmark) {
            let Ok(new) = self.reconnect(why, bookmark) else { return };
            // Drops the old one, which ends its process.
            connection = new;
        }
    }

    fn report(&self, update: RunUpdate) -> Result<(), Closed> {
        self.updates.send((self.index, update)).map_err(|_| Closed)
    }

    /// Passes on updates and commands until the connection is lost; returns why, as a clause.
    fn serve(
        &self,
        connection: &mut Connection,
        bookmark: &mut Bookmark,
    ) -> Result<String, Closed> {
        let Some(output) = connection.output.take() else { return Err(Closed) };
        let (sender, read) = bounded(1);
        let (index, updates) = (self.index, self.updates.clone());
        let (mut reached, unanswered) = (*bookmark, self.unanswered.clone());
        let work = move || {
            let end = pass_on(output, index, &updates, &mut reached, &unanswered);
            let _ = sender.send((end, reached));
        };
        let spawned = thread::Builder::new().name(format!("remote updates {index}")).spawn(work);
        if let Err(error) = spawned {
            return Ok(error.to_string());
        }
        let signs_of_life = tick(SIGN_OF_LIFE);
        let end = loop {
            select! {
                recv(read) -> end => break end.ok(),
                recv(self.commands) -> command => {
                    let Ok(command) = command else { return Err(Closed) };
                    let line = serde_json::to_vec(&command).unwrap_or_default();
                    lock(&self.unanswered).push(command);
                    // If it can't be written, the other end is gone, and reading ends too.
                    let _ = connection.send(&line);
                }
                recv(signs_of_life) -> _ => drop(connection.send(b"")),
            }
        };
        let Some((end, reached)) = end else { return Ok("a bug in this program".into()) };
        *bookmark = reached;
        match end? {
            Some(fault) => Ok(fault),
            None => Ok(connection.last_words()),
        }
    }

    /// Tries to connect until it works, and refuses commands meanwhile.
    fn reconnect(&self, mut why: String, bookmark: Bookmark) -> Result<Connection, Closed> {
        let host = &self.host;
        for command in mem::take(&mut *lock(&self.unanswered)) {
            let why = format!(
                "The connection to {host} was lost before the run answered, so it may or may not have got this command."
            );
            self.report(RunUpdate::Refused { command, why })?;
        }
        let mut pause = FIRST_RETRY;
        loop {
            let retry = unix_time() + pause.as_secs_f64();
            self.report(RunUpdate::Disconnected { host: host.clone(), why, retry })?;
            let until = Instant::now() + pause;
            loop {
                match self.commands.recv_deadline(until) {
                    Ok(command) => self.refuse(command)?,
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return Err(Closed),
                }
            }
            match Connection::open(host, &self.command, bookmark, Questions::Failed) {
                Ok(connection) => {
                    // They are too old to be carried out now.
                    self.commands.try_iter().try_for_each(|command| self.refuse(command))?;
                    self.report(RunUpdate::Reconnected { host: host.clone() })?;
                    return Ok(connection);
                }
                Err(error) => why = error.clause(),
            }
            pause = (2 * pause).min(LAST_RETRY);
        }
    }

    fn refuse(&self, command: Command) -> Result<(), Closed> {
        let why = format!("The connection to {} is lost, so the run did not get it.", self.host);
        self.report(RunUpdate::Refused { command, why })
    }
}

/// Reports the updates in the lines of a relay until its end; returns a clause if they are not as they should be.
fn pass_on(
    mut output: BufReader<ChildStdout>,
    index: usize,
    updates: &Sender<(usize, RunUpdate)>,
    bookmark: &mut Bookmark,
    unanswered: &Mutex<Vec<Command>>,
) -> Result<Option<String>, Closed> {
    let mut line = Vec::new();
    loop {
        match read_line(&mut output, LARGEST_UPDATE, &mut line) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Ok(Some(error.to_string())),
        }
        let update = match serde_json::from_slice::<RunUpdate>(&line) {
            Ok(update) => update,
            Err(error) => return Ok(Some(format!("it sent what is not an update: {error}"))),
        };
        bookmark.add(&update);
        if let RunUpdate::Accepted(command) | RunUpdate::Refused { command, .. } = &update {
            let mut all = lock(unanswered);
            let at = all.iter().position(|sent| sent == command);
            at.map(|at| all.remove(at));
        }
        updates.send((index, update)).map_err(|_| Closed)?;
    }
}
