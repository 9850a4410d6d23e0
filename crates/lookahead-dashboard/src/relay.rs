//! The end of a connection that is on the machine of the run: its updates to stdout, commands from stdin.

use std::io::{self, BufWriter, ErrorKind, StdinLock, Write};
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, at, bounded, select};
use lookahead_run::command::Command;
use lookahead_run::control::LARGEST_MESSAGE;
use lookahead_run::{LogItem, LogTail, RunFolder};

use crate::channels::{BUSY, COMMANDS};
use crate::command_senders;
use crate::followers::Followers;
use crate::message::RunUpdate;
use crate::wire::{Bookmark, Greeting, PROTOCOL, SILENCE, read_line};

/// Most updates that wait for the pipe: the log is read only as fast as the connection takes it.
const UPDATES: usize = 1 << 12;
/// Most updates that are written before commands are looked for.
const AT_ONCE: usize = 1 << 10;

/// Relays a run between this process's standard streams and the [`watch`](crate::watch()) of another machine, until
/// that closes stdin. It has the log up to `after`, which is not sent again if the log still begins so.
///
/// # Errors
/// If the log can't be read at first, or a thread can't be started.
pub fn relay(run: &RunFolder, after: Bookmark) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let outcome = greet(&mut out, None).and_then(|()| serve(run, after, &mut out));
    match outcome {
        // The other end is gone.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Tells the other end why there is nothing to relay.
///
/// # Errors
/// If stdout can't be written.
pub fn refuse(why: &str) -> io::Result<()> {
    greet(&mut io::stdout().lock(), Some(why.to_owned()))
}

fn greet(out: &mut impl Write, error: Option<String>) -> io::Result<()> {
    write(out, &Greeting { lookahead_relay: PROTOCOL, error })?;
    out.flush()
}

fn write(out: &mut impl Write, line: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

fn serve(run: &RunFolder, after: Bookmark, out: &mut impl Write) -> io::Result<()> {
    let requests = requests()?;
    let tail = tail_from(run, after)?;
    if tail.is_none() {
        write(out, &RunUpdate::Restarted)?;
    }
    let tail = tail.unwrap_or_else(|| LogTail::new(&run.events_path()));
    let (sender, updates) = bounded(UPDATES);
    let followers = Followers::start(sender.clone())?;
    followers.follow(0, run, tail);
    let commands = command_senders::start(0, run.clone(), sender).map_err(io::Error::other)?;
    let mut deadline = Instant::now() + SILENCE;
    loop {
        select! {
            recv(updates) -> update => {
                let Ok((_, update)) = update else { return Ok(()) };
                write(out, &update)?;
                for (_, update) in updates.try_iter().take(AT_ONCE) {
                    write(out, &update)?;
                }
                if updates.is_empty() {
                    out.flush()?;
                }
            }
            recv(requests) -> request => {
                deadline = Instant::now() + SILENCE;
                let Ok(request) = request else { return Ok(()) };
                if let Some(command) = request
                    && commands.try_send(command.clone()).is_err()
                {
                    write(out, &RunUpdate::Refused { command, why: BUSY.to_owned() })?;
                    out.flush()?;
                }
            }
            recv(at(deadline)) -> _ => return Ok(()),
        }
    }
}

/// The commands from stdin, with nothing for a sign of life; disconnected at its end, and after what is no command.
fn requests() -> io::Result<Receiver<Option<Command>>> {
    fn next(stdin: &mut StdinLock<'_>, line: &mut Vec<u8>) -> Option<Option<Command>> {
        if !read_line(stdin, LARGEST_MESSAGE, line).ok()? {
            return None;
        }
        if line.is_empty() { Some(None) } else { serde_json::from_slice(line).ok().map(Some) }
    }
    let (sender, requests) = bounded(COMMANDS);
    thread::Builder::new().name("requests".into()).spawn(move || {
        let (mut stdin, mut line) = (io::stdin().lock(), Vec::new());
        while let Some(request) = next(&mut stdin, &mut line) {
            if sender.send(request).is_err() {
                return;
            }
        }
    })?;
    Ok(requests)
}

/// The log after what `after` marks; none if the log does not begin so.
fn tail_from(run: &RunFolder, after: Bookmark) -> io::Result<Option<LogTail>> {
    const LINES: u64 = 4096;
    let mut tail = LogTail::new(&run.events_path());
    let mut read = Bookmark::default();
    while read.lines < after.lines {
        let most = (after.lines - read.lines).min(LINES);
        let items = tail.read(most as usize).map_err(io::Error::other)?;
        // The log is shorter, or is being replaced.
        if items.is_empty() || items.contains(&LogItem::Restarted) {
            return Ok(None);
        }
        items.into_iter().for_each(|item| read.add(&item.into()));
    }
    Ok((read == after).then_some(tail))
}

#[cfg(test)]
mod tests;
