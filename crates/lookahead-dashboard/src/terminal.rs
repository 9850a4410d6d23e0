//! Taking the terminal over, and giving it back on every way out.
//!
//! All output goes through one gate: bytes of a frame leave only while the dashboard is up, and
//! what restores the terminal waits for a frame on its way. So no frame can land on a terminal
//! that has been given back, whichever thread gave it back. Writes bypass Rust's own standard
//! output, whose lock a stuck frame would hold against every `println!` of the program.
//!
//! A job in the background of a shell touches nothing: neither modes nor screen nor keys are its
//! own then. Only the dashboard's thread takes the terminal again, once it sees the job in the
//! foreground.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event,
};
use crossterm::terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, queue, style};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use crate::event_loop::{Input, TerminalState};
use crate::input::Decoder;
use crate::jobs;

/// Who has the terminal: one of the four below.
static HOLDER: AtomicU8 = AtomicU8::new(NOBODY);
/// No dashboard is up.
const NOBODY: u8 = 0;
/// The dashboard, which draws on it.
const DASHBOARD: u8 = 1;
/// The shell, because the process is about to stop or has stopped.
const SHELL: u8 = 2;
/// The dashboard wants it back, or, after a stop that nobody could foresee, has to set it up anew.
const WANTED: u8 = 3;

/// Held while bytes go to the terminal.
static GATE: Mutex<Alternate> =
    Mutex::new(Alternate { mouse: false, entered: false, fresh: false });
static PANIC_HOOK: Once = Once::new();

/// How long giving the terminal back may take: one that takes no output must not hold up the
/// program.
const PATIENCE: Duration = Duration::from_millis(200);

/// What is known of the alternate screen.
struct Alternate {
    /// The mouse is reported, so that is to be ended.
    mouse: bool,
    /// It was entered, so it is to be left.
    entered: bool,
    /// It was entered by this dashboard, and nobody else had it since.
    fresh: bool,
}

/// Changes who has the terminal, if it is who is thought to have it.
fn pass(from: u8, to: u8) -> bool {
    HOLDER.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
}

fn gate() -> MutexGuard<'static, Alternate> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The terminal behind standard output, past Rust's buffer and lock.
fn output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Standard output as ratatui writes to it: a frame is collected, and leaves at once.
pub(crate) struct Screen {
    /// Whether the mouse should be reported.
    mouse: bool,
    output: File,
    frame: Vec<u8>,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut alternate = gate();
        let frame = std::mem::take(&mut self.frame);
        // In silence: ratatui shows the cursor when it goes, and would complain on standard error.
        // The loop ends by the keyboard's word.
        if !is_ours() {
            return Ok(());
        }
        if !alternate.fresh {
            let all = Clear(ClearType::All);
            queue!(self.output, EnterAlternateScreen, all, cursor::Hide, EnableBracketedPaste)?;
            if self.mouse {
                queue!(self.output, EnableMouseCapture)?;
            }
            *alternate = Alternate { mouse: self.mouse, entered: true, fresh: true };
        }
        self.output.write_all(&frame)
    }
}

fn given_back() -> io::Error {
    io::Error::other("the terminal was given back")
}

/// Whether the dashboard has the terminal and may touch it.
fn is_ours() -> bool {
    if HOLDER.load(Ordering::SeqCst) != DASHBOARD {
        return false;
    }
    let ours = in_foreground();
    if !ours {
        // Stopped and continued behind our back. If it has changed hands just now, all the better.
        pass(DASHBOARD, WANTED);
    }
    ours
}

/// Most bytes that are read at once.
const AT_ONCE: usize = 4096;

/// Keys, the mouse, pastes and the size, from the terminal.
pub(crate) struct Keyboard {
    terminal: File,
    decoder: Decoder,
    /// Columns and rows when they were last looked at.
    size: (u16, u16),
}

impl Keyboard {
    /// On standard input, or on the controlling terminal where that is something else.
    fn open() -> io::Result<Keyboard> {
        let input = io::stdin();
        let terminal = match input.is_terminal() {
            true => File::from(input.as_fd().try_clone_to_owned()?),
            false => File::open("/dev/tty")?,
        };
        let size = terminal::window_size()?;
        Ok(Keyboard { terminal, decoder: Decoder::new(), size: (size.columns, size.rows) })
    }
}

impl Input for Keyboard {
    fn next(&mut self) -> io::Result<Option<Event>> {
        // Whoever reads in the background is stopped by the kernel.
        if !is_ours() {
            return Ok(None);
        }
        if let Some(event) = self.decoder.next() {
            return Ok(Some(event));
        }
        // Of a terminal that has hung up this is an error.
        let size = terminal::window_size()?;
        let size = (size.columns, size.rows);
        if std::mem::replace(&mut self.size, size) != size {
            return Ok(Some(Event::Resize(size.0, size.1)));
        }
        // No more than there is: a read never waits.
        let waiting = rustix::io::ioctl_fionread(&self.terminal)?;
        let mut bytes = [0; AT_ONCE];
        let room = bytes.len().min(usize::try_from(waiting).unwrap_or(AT_ONCE));
        match room {
            0 => self.decoder.expire(Instant::now()),
            room => {
                let count = rustix::io::retry_on_intr(|| {
                    rustix::io::read(&self.terminal, &mut bytes[..room])
                })?;
                self.decoder.push(&bytes[..count], Instant::now());
            }
        }
        Ok(self.decoder.next())
    }

    fn terminal_state(&mut self) -> io::Result<TerminalState> {
        if is_ours() {
            return Ok(TerminalState::Held);
        }
        match HOLDER.load(Ordering::SeqCst) {
            NOBODY => Err(given_back()),
            WANTED if in_foreground() && acquire_again()? => Ok(TerminalState::Reacquired),
            _ => Ok(TerminalState::Released),
        }
    }

    fn was_stopped(&mut self) -> bool {
        let continued = jobs::continued();
        if continued {
            // A SIGSTOP gives no warning, and whoever had the terminal since has changed it.
            pass(DASHBOARD, WANTED);
        }
        continued
    }

    fn suspend(&mut self) {
        jobs::suspend();
    }
}

/// Takes the terminal over: raw mode now, the alternate screen with the first frame.
pub(crate) fn take_over(mouse: bool) -> io::Result<(Terminal<CrosstermBackend<Screen>>, Keyboard)> {
    if !io::stdout().is_terminal() {
        return Err(io::Error::other(
            "standard output is not a terminal, so there is nowhere to draw a dashboard",
        ));
    }
    if let Some(reason) = incapable_terminal() {
        return Err(io::Error::other(format!("{reason}, so the terminal can't show a dashboard")));
    }
    if !in_foreground() {
        return Err(io::Error::other(
            "the program runs in the background, where a terminal stops whoever touches it",
        ));
    }
    if !pass(NOBODY, DASHBOARD) {
        return Err(io::Error::other("a dashboard has this terminal already; close it first"));
    }
    let screen = output().and_then(|output| {
        restore_on_panic();
        jobs::listen()?;
        terminal::enable_raw_mode()?;
        let frame = Vec::new();
        let screen = Terminal::new(CrosstermBackend::new(Screen { mouse, output, frame }))?;
        Ok((screen, Keyboard::open()?))
    });
    if screen.is_err() {
        restore_terminal();
    }
    screen
}

/// Why the terminal can't be drawn on, as a clause, if `TERM` tells so: where it is `dumb`, empty or not
/// set, nothing is known but that the terminal shows lines.
pub fn incapable_terminal() -> Option<&'static str> {
    match std::env::var_os("TERM") {
        None => Some("`TERM` is not set"),
        Some(name) if name.is_empty() => Some("`TERM` is empty"),
        Some(name) if name == "dumb" => Some("`TERM` is `dumb`"),
        Some(_) => None,
    }
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
    if HOLDER.swap(NOBODY, Ordering::SeqCst) != NOBODY {
        give_back();
    }
}

/// Gives the terminal back for the time of a stop, until [`reacquire`]. As quick as
/// [`restore_terminal`], and a dashboard that is up stays up.
pub(crate) fn release() {
    if pass(DASHBOARD, SHELL) || pass(WANTED, SHELL) {
        give_back();
    }
}

/// The stop is over: the dashboard's thread may take the terminal again.
pub(crate) fn reacquire() {
    pass(SHELL, WANTED);
}

/// Takes the terminal again after a stop, unless somebody gives it back this very moment.
fn acquire_again() -> io::Result<bool> {
    // What gives the terminal back waits here until it is settled who has it.
    let mut alternate = gate();
    // Off first, because after a SIGSTOP crossterm believes that it is on.
    terminal::disable_raw_mode()?;
    terminal::enable_raw_mode()?;
    alternate.fresh = false;
    let taken = pass(WANTED, DASHBOARD);
    if !taken {
        terminal::disable_raw_mode()?;
    }
    Ok(taken)
}

fn give_back() {
    // In the background it is the shell's already.
    if !in_foreground() {
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
    let mut alternate = gate();
    alternate.fresh = false;
    // This may have been stuck for so long that a dashboard has the terminal again.
    if HOLDER.load(Ordering::SeqCst) == DASHBOARD {
        return;
    }
    let mouse = std::mem::take(&mut alternate.mouse);
    if let (true, Ok(mut output)) = (std::mem::take(&mut alternate.entered), output()) {
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
