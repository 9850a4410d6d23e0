//! Who has the terminal, and giving it back on every way out.
//!
//! All output goes through one gate: bytes of a frame are written only while the dashboard has the
//! terminal, and what restores the terminal waits for a frame in progress. So no frame can land on a
//! terminal that has been given back, whichever thread gave it back.
//!
//! A job in the background of a shell leaves modes, screen and keys alone. Only the dashboard's thread
//! reacquires the terminal, once the job is in the foreground.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, queue, style};
use rustix::termios::QueueSelector;

use crate::source::TerminalState;

/// Who has the terminal: one of the four below.
static OWNER: AtomicU8 = AtomicU8::new(NONE);
/// There is no dashboard.
const NONE: u8 = 0;
/// The dashboard.
const DASHBOARD: u8 = 1;
/// The shell, because the process stops.
const SHELL: u8 = 2;
/// The shell, and the dashboard shall reacquire it.
const WANTED: u8 = 3;

/// Whether a dashboard has had the terminal.
static HAD_TERMINAL: AtomicBool = AtomicBool::new(false);

/// Held while bytes are written to the terminal.
static GATE: Mutex<AlternateScreen> =
    Mutex::new(AlternateScreen { mouse: false, entered: false, fresh: false });

/// How long giving the terminal back may take: one that accepts no output must not delay the program.
const PATIENCE: Duration = Duration::from_millis(200);

/// What is known of the alternate screen.
struct AlternateScreen {
    /// The mouse is reported.
    mouse: bool,
    entered: bool,
    /// It was entered by this dashboard, and nothing else has had the terminal since.
    fresh: bool,
}

/// Changes the owner if it is `from`.
fn pass(from: u8, to: u8) -> bool {
    OWNER.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
}

fn gate() -> MutexGuard<'static, AlternateScreen> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The terminal behind standard output, bypassing Rust's buffer and lock: a stuck frame would hold that
/// lock against every `println!` of the program.
pub(crate) fn output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Takes the terminal for a dashboard. Returns false if another dashboard has it.
pub(crate) fn take() -> bool {
    let taken = pass(NONE, DASHBOARD);
    HAD_TERMINAL.fetch_or(taken, Ordering::SeqCst);
    taken
}

/// Whether the dashboard has the terminal and may touch it.
pub(crate) fn is_ours() -> bool {
    if OWNER.load(Ordering::SeqCst) != DASHBOARD {
        return false;
    }
    let ours = in_foreground();
    if !ours {
        // The job was stopped without warning, and continued in the background.
        pass(DASHBOARD, WANTED);
    }
    ours
}

/// The terminal may have been changed while the process was stopped.
pub(crate) fn invalidate() {
    pass(DASHBOARD, WANTED);
}

/// Who has the terminal; reacquires it if the dashboard may.
pub(crate) fn state() -> io::Result<TerminalState> {
    if is_ours() {
        return Ok(TerminalState::Held);
    }
    match OWNER.load(Ordering::SeqCst) {
        NONE => Err(io::Error::other("the terminal was given back")),
        WANTED if in_foreground() && acquire_again()? => Ok(TerminalState::Reacquired),
        _ => Ok(TerminalState::Released),
    }
}

/// Writes a frame if the dashboard has the terminal, and drops it otherwise. Enters the alternate screen
/// first if needed.
pub(crate) fn write_frame(output: &mut File, frame: &[u8], mouse: bool) -> io::Result<()> {
    let mut screen = gate();
    // Not an error, which ratatui would print when it is dropped; the loop ends with the keyboard's.
    if !is_ours() {
        return Ok(());
    }
    if !screen.fresh {
        let clear = Clear(ClearType::All);
        queue!(output, EnterAlternateScreen, clear, cursor::Hide, EnableBracketedPaste)?;
        if mouse {
            queue!(output, EnableMouseCapture)?;
        }
        *screen = AlternateScreen { mouse, entered: true, fresh: true };
    }
    output.write_all(frame)
}

/// Whether the program is in the foreground. The kernel stops a job in the background that changes the
/// terminal's modes.
pub(crate) fn in_foreground() -> bool {
    // On a terminal that is not the controlling one there are no jobs.
    rustix::termios::tcgetpgrp(io::stdout())
        .map_or(true, |foreground| foreground == rustix::process::getpgrp())
}

/// Gives the terminal back: cooked mode, the normal screen, a visible cursor. Keys that were typed for the
/// dashboard, and that it has not read, are discarded: the shell must not take them for a command.
///
/// Does nothing if there is no dashboard, so it may be called any number of times, from any thread. It
/// is for the ways out that don't pass through [`crate::Dashboard::close`], for example a handler of
/// SIGTERM on its own thread; a running dashboard ends. Takes at most a fifth of a second, even if the
/// terminal accepts no output.
pub fn restore_terminal() {
    if OWNER.swap(NONE, Ordering::SeqCst) != NONE {
        give_back();
        discard_keys();
    }
}

/// Discards keys that were typed since the last dashboard of this process gave the terminal back: for the end of the
/// program, which a user may not have noticed yet. Does nothing without such a dashboard, or in the background.
pub fn discard_late_keys() {
    if HAD_TERMINAL.load(Ordering::SeqCst) && OWNER.load(Ordering::SeqCst) == NONE {
        discard_keys();
    }
}

/// Gives the terminal back for the time of a stop, until [`reacquire`].
pub(crate) fn release() {
    if pass(DASHBOARD, SHELL) || pass(WANTED, SHELL) {
        give_back();
    }
}

/// Lets the dashboard's thread reacquire the terminal after a stop.
pub(crate) fn reacquire() {
    pass(SHELL, WANTED);
}

/// Takes the terminal after a stop, unless another thread gives it back at this moment.
fn acquire_again() -> io::Result<bool> {
    // Threads that give the terminal back wait here until the owner is settled.
    let mut screen = gate();
    // Off first, because after a SIGSTOP crossterm assumes that it is still on.
    terminal::disable_raw_mode()?;
    terminal::enable_raw_mode()?;
    screen.fresh = false;
    let taken = pass(WANTED, DASHBOARD);
    if !taken {
        terminal::disable_raw_mode()?;
    }
    Ok(taken)
}

fn give_back() {
    // In the background the shell has it already.
    if !in_foreground() {
        return;
    }
    // This needs no answer, so it works on a stuck terminal as well.
    let _ = terminal::disable_raw_mode();
    let (done, wait) = mpsc::channel();
    // On its own thread, because both the gate and the write may be stuck.
    let leaving = std::thread::Builder::new().spawn(move || {
        leave();
        let _ = done.send(());
    });
    if leaving.is_ok() {
        let _ = wait.recv_timeout(PATIENCE);
    }
}

/// Discards what was typed and not read, in the foreground: in the background it is not for this program.
fn discard_keys() {
    if in_foreground() {
        // Fails only if the terminal is gone.
        let _ = rustix::termios::tcflush(io::stdout(), QueueSelector::IFlush);
    }
}

fn leave() {
    let mut screen = gate();
    screen.fresh = false;
    // This may have been stuck for so long that a dashboard has the terminal again.
    if OWNER.load(Ordering::SeqCst) == DASHBOARD {
        return;
    }
    let mouse = std::mem::take(&mut screen.mouse);
    if let (true, Ok(mut output)) = (std::mem::take(&mut screen.entered), output()) {
        if mouse {
            let _ = queue!(output, DisableMouseCapture);
        }
        let _ = queue!(
            output,
            DisableBracketedPaste,
            style::ResetColor,
            style::SetAttribute(style::Attribute::Reset),
            LeaveAlternateScreen,
            cursor::Show
        );
    }
}
