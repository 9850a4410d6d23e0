//! Taking the terminal over, and giving it back on every way out.
//!
//! All output goes through one gate: bytes of a frame leave only while the dashboard is up, and
//! what restores the terminal waits for a frame on its way. So no frame can land on a terminal
//! that has been given back, whichever thread gave it back. Writes bypass Rust's own standard
//! output, whose lock a stuck frame would hold against every `println!` of the program.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use crossterm::event::Event;
use crossterm::terminal::{self, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, queue, style};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use crate::event_loop::Input;

/// Whether a dashboard has the terminal.
static UP: AtomicBool = AtomicBool::new(false);
/// Held while bytes go to the terminal; holds whether the alternate screen was entered.
static GATE: Mutex<bool> = Mutex::new(false);
static PANIC_HOOK: Once = Once::new();

/// How long giving the terminal back may take: one that takes no output must not hold up the
/// program.
const PATIENCE: Duration = Duration::from_millis(200);

fn gate() -> MutexGuard<'static, bool> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The terminal behind standard output, past Rust's buffer and lock.
fn output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Standard output as ratatui writes to it: a frame is collected, and leaves at once.
pub(crate) struct Screen {
    output: File,
    frame: Vec<u8>,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut entered = gate();
        let frame = std::mem::take(&mut self.frame);
        // In silence: ratatui shows the cursor when it goes, and would complain on standard error.
        // The loop ends by the keyboard's word.
        if !UP.load(Ordering::SeqCst) {
            return Ok(());
        }
        if !*entered {
            queue!(self.output, EnterAlternateScreen, cursor::Hide)?;
            *entered = true;
        }
        self.output.write_all(&frame)
    }
}

fn given_back() -> io::Error {
    io::Error::other("the terminal was given back")
}

/// Keys and resizes from crossterm.
pub(crate) struct Keyboard;

impl Input for Keyboard {
    fn next(&mut self) -> io::Result<Option<Event>> {
        if !UP.load(Ordering::SeqCst) {
            return Err(given_back());
        }
        // Once a terminal has hung up, crossterm's poll would spin for ever, whatever its
        // timeout: it takes the end of the file for "try again". So look first, and never wait
        // inside of it.
        terminal::window_size()?;
        if crossterm::event::poll(Duration::ZERO)? {
            return crossterm::event::read().map(Some);
        }
        Ok(None)
    }
}

/// Takes the terminal over: raw mode now, the alternate screen with the first frame.
pub(crate) fn take_over() -> io::Result<Terminal<CrosstermBackend<Screen>>> {
    if !io::stdout().is_terminal() {
        return Err(io::Error::other(
            "standard output is not a terminal, so there is nowhere to draw a dashboard",
        ));
    }
    if !in_foreground() {
        return Err(io::Error::other(
            "the program runs in the background, where a terminal stops whoever touches it",
        ));
    }
    if UP.swap(true, Ordering::SeqCst) {
        return Err(io::Error::other("a dashboard has this terminal already; close it first"));
    }
    let screen = output().and_then(|output| {
        restore_on_panic();
        terminal::enable_raw_mode()?;
        let frame = Vec::new();
        Terminal::new(CrosstermBackend::new(Screen { output, frame }))
    });
    if screen.is_err() {
        restore_terminal();
    }
    screen
}

/// Whether the terminal listens to this program. A job in the background of a shell would be
/// stopped by the kernel for changing the terminal's modes.
fn in_foreground() -> bool {
    // Where it is not the controlling terminal there are no jobs, and nothing is stopped.
    rustix::termios::tcgetpgrp(io::stdout())
        .map_or(true, |foreground| foreground == rustix::process::getpgrp())
}

/// A panic of any thread gives the terminal back before its message is written, so that it can
/// be read. The hook stays for good and does nothing while no dashboard is up: taking it out
/// again could take out somebody else's that was put on top of it.
fn restore_on_panic() {
    PANIC_HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore_terminal();
            previous(panic);
        }));
    });
}

/// Gives the terminal back: cooked mode, the normal screen, a visible cursor.
///
/// Does nothing where no dashboard is up, so it may be called any number of times, from any
/// thread. It is for the ways out that don't pass through [`crate::Dashboard::close`], such as a
/// handler of SIGTERM on a thread of its own; a dashboard that is up ends. It waits a fifth of a
/// second at most, even where the terminal takes no output.
pub fn restore_terminal() {
    if !UP.swap(false, Ordering::SeqCst) {
        return;
    }
    // Asks nothing of the other side, so it works on a stuck terminal as well.
    let _ = terminal::disable_raw_mode();
    let (done, wait) = std::sync::mpsc::channel();
    // On a thread of its own, because both the gate and the write may be stuck.
    let leaving = std::thread::Builder::new().spawn(move || {
        leave();
        let _ = done.send(());
    });
    if leaving.is_ok() {
        let _ = wait.recv_timeout(PATIENCE);
    }
}

fn leave() {
    let mut entered = gate();
    if let (true, Ok(mut output)) = (std::mem::take(&mut *entered), output()) {
        let _ = queue!(
            output,
            style::ResetColor,
            style::SetAttribute(style::Attribute::Reset),
            LeaveAlternateScreen,
            cursor::Show
        );
    }
}
