//! The loop that owns the terminal: collects messages, and draws if something changed.

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, unbounded};
use crossterm::event::Event;
use lookahead_run::event::unix_time;
use ratatui::backend::Backend;
use ratatui::{Frame, Terminal};

use crate::arrangement_store::ArrangementStore;
use crate::channels::Channels;
use crate::message::{Effect, Message, RunUpdate};
use crate::model::{Model, Role};
use crate::pace::Pace;
use crate::screen_text::screen_text;
use crate::source::{EventSource, TerminalState};
use crate::update::update;
use crate::view::view;
use crate::{figure, picture};

/// How often the loop checks for keys and records: short enough for a key to feel immediate.
const POLL: Duration = Duration::from_millis(30);
/// How long the last frame waits for the rest of the log that a resumed run began with.
const LAST_READING: Duration = Duration::from_secs(1);
/// Most records between two checks for keys: some milliseconds of work.
const RECORDS_AT_ONCE: usize = 8192;
/// Most keys between two checks for records: a paste or a stuck key must not delay them.
const KEYS_AT_ONCE: usize = 64;

/// Why the loop ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The dashboard was closed; the last frame as text.
    Closed(String),
    /// The user left the dashboard, and nothing else.
    Left,
    /// The user wants the whole program to end at once.
    Abort,
}

/// Runs until the dashboard is closed, the user leaves it or interrupts twice, or the terminal fails.
pub(crate) fn run<B: Backend>(
    mut model: Model,
    terminal: &mut Terminal<B>,
    source: &mut impl EventSource,
    channels: &mut Channels,
) -> io::Result<Outcome>
where
    B::Error: Send + Sync + 'static,
{
    let (mut changed, mut dropped) = (true, 0);
    let mut pace = Pace::new(model.role == Role::Trainer);
    let (done_sender, done) = unbounded();
    let size = terminal.size().map_err(io::Error::other)?;
    let store = ArrangementStore::start(channels.folder.take(), done_sender.clone());
    let deliver = |model: &mut Model, message, channels: &mut Channels| {
        deliver(model, message, channels, &store, &done_sender);
    };
    deliver(&mut model, Message::Resize(size.width, size.height), channels);
    loop {
        let now = unix_time();
        let state = source.terminal_state()?;
        if now.floor() != model.now.floor() {
            changed = true;
            deliver(&mut model, Message::Tick(now), channels);
        }
        while let Ok(found) = channels.table.try_recv() {
            changed = true;
            deliver(&mut model, Message::Table(Box::new(found)), channels);
        }
        for _ in 0..RECORDS_AT_ONCE {
            let Some((run, update)) = channels.updates.next() else { break };
            changed = true;
            deliver(&mut model, Message::Run(run, update), channels);
        }
        let lost = channels.dropped.load(Ordering::Relaxed);
        if lost != dropped {
            (changed, dropped) = (true, lost);
            deliver(&mut model, Message::Dropped(lost), channels);
        }
        // The screen has changed behind ratatui's back, so the next frame is drawn whole.
        let mut urgent = state == TerminalState::Reacquired;
        if urgent {
            terminal.swap_buffers();
        }
        for message in done.try_iter() {
            urgent = true;
            deliver(&mut model, message, channels);
        }
        for _ in 0..KEYS_AT_ONCE {
            let message = match source.next()? {
                Some(Event::Key(key)) => Message::Key(key),
                Some(Event::Mouse(mouse)) => Message::Mouse(mouse),
                Some(Event::Paste(text)) => Message::Paste(text),
                Some(Event::Resize(width, height)) => Message::Resize(width, height),
                Some(_) => continue,
                None => break,
            };
            urgent = true;
            deliver(&mut model, message, channels);
        }
        if model.exit.abort() {
            return Ok(Outcome::Abort);
        }
        if model.exit.quit {
            return Ok(Outcome::Left);
        }
        if std::mem::take(&mut model.exit.suspend) {
            source.suspend();
            continue;
        }
        // The answer to a key is drawn at once, everything else at the next frame.
        changed |= urgent;
        if state != TerminalState::Released && changed && (urgent || pace.is_due()) {
            let started = Instant::now();
            faults::frame();
            let mut scales = Vec::new();
            let draw = |frame: &mut Frame| scales = view(&model, frame);
            terminal.draw(draw).map_err(io::Error::other)?;
            model.view.scales = scales;
            model.dialogs.question.iter_mut().for_each(|question| question.seen = true);
            pace.drawn(started);
            changed = false;
        }
        // No rest while records wait.
        let rest = if channels.updates.is_empty() { POLL } else { Duration::ZERO };
        if channels.close.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
            return close(model, terminal, channels).map(Outcome::Closed);
        }
    }
}

/// Changes the model, and does what is to do outside of it.
fn deliver(
    model: &mut Model,
    message: Message,
    channels: &mut Channels,
    store: &ArrangementStore,
    done: &Sender<Message>,
) {
    for effect in update(model, message) {
        match effect {
            Effect::Send(run, command) => {
                if let Err(why) = channels.commands.send(run, command.clone()) {
                    update(model, Message::Run(run, RunUpdate::Refused { command, why }));
                }
            }
            Effect::Remember => store.save(model.arrangement.clone()),
            Effect::Open(numbers) => {
                let rows = numbers.iter().filter_map(|number| model.table.as_ref()?.row(*number));
                let runs = rows.map(|row| row.folder.clone()).collect();
                match channels.commands.open(runs) {
                    Ok(Some(updates)) => channels.updates = updates,
                    Ok(None) => {}
                    Err(error) => model.notify(format!("The runs can't be opened: {error}.")),
                }
            }
            Effect::Save(file) => match figure::path(model, file) {
                Ok(path) => picture::save(figure::of(model), path, done),
                Err(why) => model.notify(why),
            },
        }
    }
}

/// Applies what is still in the channel, and draws one last frame, to be kept as text.
fn close<B: Backend>(
    mut model: Model,
    terminal: &mut Terminal<B>,
    channels: &mut Channels,
) -> io::Result<String>
where
    B::Error: Send + Sync + 'static,
{
    let updates = &mut channels.updates;
    let deadline = Instant::now() + LAST_READING;
    while Instant::now() < deadline {
        match updates.next() {
            Some((run, run_update)) => drop(update(&mut model, Message::Run(run, run_update))),
            None if updates.is_behind() => std::thread::sleep(Duration::from_millis(1)),
            None => break,
        }
    }
    updates.skip_past();
    for _ in 0..updates.len() {
        let Some((run, run_update)) = updates.next() else { break };
        update(&mut model, Message::Run(run, run_update));
    }
    update(&mut model, Message::Closing(unix_time()));
    let draw = |frame: &mut Frame| drop(view(&model, frame));
    let frame = terminal.draw(draw).map_err(io::Error::other)?;
    Ok(screen_text(frame.buffer))
}

/// A deliberate fault, so that a test can see what a bug in the view does to the training: with
/// `LOOKAHEAD_TEST_PANIC_AT_FRAME=N` in the environment the N-th frame panics.
mod faults {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static AT: LazyLock<Option<u64>> =
        LazyLock::new(|| std::env::var("LOOKAHEAD_TEST_PANIC_AT_FRAME").ok()?.parse().ok());
    static FRAMES: AtomicU64 = AtomicU64::new(0);

    pub(super) fn frame() {
        if let Some(at) = *AT {
            let frame = FRAMES.fetch_add(1, Ordering::Relaxed) + 1;
            assert!(frame != at, "this frame was requested to panic");
        }
    }
}

#[cfg(test)]
mod tests;
