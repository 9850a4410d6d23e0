//! The one loop that owns the terminal: collects messages, and draws when something changed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use crossterm::event::Event;
use lookahead_run::command::Command;
use lookahead_run::event::Record;
use ratatui::Terminal;
use ratatui::backend::Backend;
use ratatui::buffer::Buffer;

use crate::model::Model;
use crate::update::{Message, update};
use crate::view::view;

/// How often the loop looks for keys and records: short enough for a key to feel immediate.
const POLL: Duration = Duration::from_millis(30);
/// How often it draws at most.
const FRAME: Duration = Duration::from_millis(100);
/// Records taken in before keys and drawing have their turn again: some milliseconds of work.
const RECORDS_AT_ONCE: usize = 8192;
/// The same for keys: a paste or a stuck key must not keep the records waiting.
const KEYS_AT_ONCE: usize = 64;

/// Where keys come from.
pub(crate) trait Input {
    /// The next event if there is one; never waits.
    fn next(&mut self) -> io::Result<Option<Event>>;
}

/// The ends of the channels that a dashboard holds.
pub(crate) struct Link {
    pub(crate) records: Receiver<Record>,
    pub(crate) commands: Sender<Command>,
    /// Disconnected when the dashboard is to end.
    pub(crate) close: Receiver<()>,
    /// Records that did not fit into the channel.
    pub(crate) dropped: Arc<AtomicU64>,
}

/// Why the loop ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was asked to; with the last frame as text.
    Closed(String),
    /// The user wants the whole program to end, now.
    Abort,
}

/// Runs until the dashboard is closed, the user interrupts twice, or the terminal fails.
pub(crate) fn run<B: Backend>(
    mut model: Model,
    terminal: &mut Terminal<B>,
    input: &mut impl Input,
    link: &Link,
) -> io::Result<Outcome>
where
    B::Error: Send + Sync + 'static,
{
    let (mut changed, mut drawn, mut dropped) = (true, None::<Instant>, 0);
    loop {
        let mut messages = Vec::new();
        let now = unix_time();
        if now.floor() != model.now.floor() {
            messages.push(Message::Tick(now));
        }
        messages.extend(link.records.try_iter().take(RECORDS_AT_ONCE).map(Message::Record));
        let lost = link.dropped.load(Ordering::Relaxed);
        if lost != dropped {
            dropped = lost;
            messages.push(Message::Dropped(lost));
        }
        let mut answered = false;
        for _ in 0..KEYS_AT_ONCE {
            match input.next()? {
                Some(Event::Key(key)) => messages.push(Message::Key(key)),
                Some(Event::Resize(..)) => messages.push(Message::Resize),
                Some(_) => {}
                None => break,
            }
            answered = true;
        }
        changed |= !messages.is_empty();
        for message in messages {
            for command in update(&mut model, message) {
                if link.commands.try_send(command).is_err() {
                    update(&mut model, Message::Undelivered(command));
                }
            }
        }
        if model.abort {
            return Ok(Outcome::Abort);
        }
        // The answer to a key is drawn at once, everything else on the tick.
        if changed && (answered || drawn.is_none_or(|at| at.elapsed() >= FRAME)) {
            terminal.draw(|frame| view(&model, frame)).map_err(io::Error::other)?;
            (changed, drawn) = (false, Some(Instant::now()));
        }
        // A full channel leaves no time to rest.
        let rest = if link.records.is_empty() { POLL } else { Duration::ZERO };
        if link.close.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
            return close(model, terminal, link).map(Outcome::Closed);
        }
    }
}

/// Takes in what is still in the channel and draws one last frame, to be kept as text.
fn close<B: Backend>(
    mut model: Model,
    terminal: &mut Terminal<B>,
    link: &Link,
) -> io::Result<String>
where
    B::Error: Send + Sync + 'static,
{
    for record in link.records.try_iter().take(link.records.len()) {
        update(&mut model, Message::Record(record));
    }
    update(&mut model, Message::Closing(unix_time()));
    let frame = terminal.draw(|frame| view(&model, frame)).map_err(io::Error::other)?;
    Ok(text(frame.buffer))
}

/// What a buffer shows, without colours and without the blanks at the ends.
pub(crate) fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width).max(1);
    let lines: Vec<String> = buffer
        .content
        .chunks(width)
        .map(|row| {
            let line: String = row.iter().map(|cell| cell.symbol()).collect();
            line.trim_end().to_owned()
        })
        .collect();
    lines.join("\n").trim_end().to_owned()
}

fn unix_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
