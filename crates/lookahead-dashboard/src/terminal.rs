//! The terminal of a dashboard: its screen and its keyboard.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Once;
use std::time::Instant;

use crossterm::event::Event;
use crossterm::terminal;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use crate::decoder::Decoder;
use crate::source::{EventSource, TerminalState};
use crate::{jobs, ownership};

/// Most bytes that are read at once.
const AT_ONCE: usize = 4096;

/// Standard output as ratatui writes to it: a frame is collected, and written at once.
pub(crate) struct Screen {
    /// Whether the mouse is reported.
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
        let frame = std::mem::take(&mut self.frame);
        ownership::write_frame(&mut self.output, &frame, self.mouse)
    }
}

/// Keys, mouse, pastes and size of the terminal.
pub(crate) struct Keyboard {
    terminal: File,
    decoder: Decoder,
    /// The last known columns and rows.
    size: (u16, u16),
}

impl Keyboard {
    /// On standard input, or on the controlling terminal if that is redirected.
    fn open() -> io::Result<Keyboard> {
        let input = io::stdin();
        let terminal = if input.is_terminal() {
            File::from(input.as_fd().try_clone_to_owned()?)
        } else {
            File::open("/dev/tty")?
        };
        let size = size(&terminal)?;
        Ok(Keyboard { terminal, decoder: Decoder::new(), size })
    }
}

/// Columns and rows; an error if the terminal has hung up.
fn size(terminal: &File) -> io::Result<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(terminal)?;
    Ok((size.ws_col, size.ws_row))
}

impl EventSource for Keyboard {
    fn next(&mut self) -> io::Result<Option<Event>> {
        // The kernel stops a job in the background that reads.
        if !ownership::is_ours() {
            return Ok(None);
        }
        if let Some(event) = self.decoder.next() {
            return Ok(Some(event));
        }
        let size = size(&self.terminal)?;
        if std::mem::replace(&mut self.size, size) != size {
            return Ok(Some(Event::Resize(size.0, size.1)));
        }
        // No more than is available, so that a read never waits.
        let waiting = rustix::io::ioctl_fionread(&self.terminal)?;
        let mut bytes = [0; AT_ONCE];
        match AT_ONCE.min(usize::try_from(waiting).unwrap_or(AT_ONCE)) {
            0 => self.decoder.expire(Instant::now()),
            count => {
                let read = || rustix::io::read(&self.terminal, &mut bytes[..count]);
                let count = rustix::io::retry_on_intr(read)?;
                self.decoder.push(&bytes[..count], Instant::now());
            }
        }
        Ok(self.decoder.next())
    }

    fn terminal_state(&mut self) -> io::Result<TerminalState> {
        if jobs::continued() {
            ownership::invalidate();
        }
        ownership::state()
    }

    fn suspend(&mut self) {
        jobs::suspend();
    }
}

/// Takes the terminal over: raw mode now, the alternate screen with the first frame.
pub(crate) fn take_over(mouse: bool) -> io::Result<(Terminal<CrosstermBackend<Screen>>, Keyboard)> {
    if !io::stdout().is_terminal() {
        return Err(io::Error::other(
            "standard output is not a terminal, so the dashboard can't be drawn",
        ));
    }
    if let Some(reason) = incapable_terminal() {
        return Err(io::Error::other(format!("{reason}, so the terminal can't show a dashboard")));
    }
    if !ownership::in_foreground() {
        return Err(io::Error::other(
            "the program runs in the background, and must not use the terminal there",
        ));
    }
    if !ownership::take() {
        return Err(io::Error::other("another dashboard uses this terminal; close it first"));
    }
    let screen = ownership::output().and_then(|output| {
        restore_on_panic();
        jobs::listen()?;
        terminal::enable_raw_mode()?;
        let screen = Screen { mouse, output, frame: Vec::new() };
        Ok((Terminal::new(CrosstermBackend::new(screen))?, Keyboard::open()?))
    });
    screen.inspect_err(|_| ownership::restore_terminal())
}

/// The reason why `TERM` rules out a dashboard, as a clause: it is `dumb`, empty or not set, and the
/// terminal may show nothing but lines.
pub fn incapable_terminal() -> Option<&'static str> {
    match std::env::var_os("TERM") {
        None => Some("`TERM` is not set"),
        Some(name) if name.is_empty() => Some("`TERM` is empty"),
        Some(name) if name == "dumb" => Some("`TERM` is `dumb`"),
        Some(_) => None,
    }
}

/// Gives the terminal back before a panic's message is written, so that it can be read. The hook remains
/// and does nothing without a dashboard: removing it could remove a later hook of someone else.
fn restore_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            ownership::restore_terminal();
            previous(panic);
        }));
    });
}
