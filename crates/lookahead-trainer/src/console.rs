//! Lines for people on stderr, and answers on stdout.
//!
//! Lines for people go through a [`BackgroundWriter`]: no one has to read them, and a training does not
//! wait for it. What the program has to say at its end is written within [`finish`].

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressDrawTarget, TermLike};
use lookahead_core::tch_ext::cerr;

use crate::background_writer::BackgroundWriter;

/// How long a reader of stderr or stdout may take nothing before the program ends without it: it may be
/// a program that is still starting.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same once the program has been asked to stop.
const SHORT_PATIENCE: Duration = Duration::from_secs(2);
/// How long the end of the program waits for a reader that takes some now and then.
const AT_MOST: Duration = Duration::from_secs(30);
/// How long a process that ends at once waits for whoever reads its last line.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How long a message of libtorch's is waited for: the process may be about to abort.
const MOMENT: Duration = Duration::from_millis(20);

static IN_A_HURRY: AtomicBool = AtomicBool::new(false);

/// The program has been asked to stop: its end waits less long for readers.
pub fn hurry() {
    IN_A_HURRY.store(true, Ordering::Relaxed);
}

/// How long a reader may take nothing before the program ends without it.
pub(crate) fn patience() -> Duration {
    if IN_A_HURRY.load(Ordering::Relaxed) { SHORT_PATIENCE } else { PATIENCE }
}

/// Nothing where the system gives no thread: then lines are written at once.
static STDERR: LazyLock<Option<BackgroundWriter>> =
    LazyLock::new(|| BackgroundWriter::new("stderr", unbuffered(io::stderr()).ok()?).ok());

/// A standard stream past Rust's buffer and lock.
pub(crate) fn unbuffered(stream: impl AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}

/// Writes a line to stderr, if anyone takes it.
pub fn eprint_line(line: impl Display) {
    write(format!("{line}\n").as_bytes());
}

fn write(text: &[u8]) {
    match &*STDERR {
        Some(stderr) => stderr.push(text, gap),
        None => drop(io::stderr().write_all(text)),
    }
}

fn gap(missing: u64) -> String {
    format!("[{missing} lines are missing here: standard error was not being read.]\n")
}

/// What writes the lines, if a thread does.
pub(crate) fn stderr_writer() -> Option<&'static BackgroundWriter> {
    STDERR.as_ref()
}

/// Has what libtorch and its libraries print on stderr go the same way.
pub fn redirect_cerr() {
    cerr::redirect(write, || {
        STDERR.as_ref().map(|stderr| stderr.flush(MOMENT, MOMENT));
    });
}

/// Waits until all lines are written, for as long as they are being read.
pub fn finish() {
    if let Some(stderr) = &*STDERR {
        stderr.finish(patience(), AT_MOST, gap);
    }
}

/// As [`finish`], for a moment: the process ends at once.
pub(crate) fn flush_briefly() {
    if let Some(stderr) = &*STDERR {
        stderr.finish(LAST_WORDS, LAST_WORDS, gap);
    }
}

/// Writes what was asked for to stdout, after what was said before.
///
/// # Errors
/// Where no one takes it: then the command has failed.
pub fn print_line(line: impl Display) -> io::Result<()> {
    finish();
    writeln!(io::stdout(), "{line}")
}

/// Where progress bars are drawn: the terminal behind stderr, without waiting for it.
pub(crate) fn draw_target() -> ProgressDrawTarget {
    ProgressDrawTarget::term_like_with_hz(Box::new(Terminal::default()), 20)
}

/// The terminal behind stderr, as a progress bar draws on it: a frame is collected, and handed over
/// whole.
#[derive(Debug, Default)]
struct Terminal {
    frame: Mutex<String>,
}

impl Terminal {
    fn add(&self, text: &str) -> io::Result<()> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(())
    }

    /// Moves the cursor: the letter says where.
    fn step(&self, count: usize, to: char) -> io::Result<()> {
        if count > 0 { self.add(&format!("\x1b[{count}{to}")) } else { Ok(()) }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        rustix::termios::tcgetwinsize(io::stderr()).map_or(80, |size| size.ws_col.max(1))
    }

    fn height(&self) -> u16 {
        rustix::termios::tcgetwinsize(io::stderr()).map_or(24, |size| size.ws_row.max(1))
    }

    fn move_cursor_up(&self, count: usize) -> io::Result<()> {
        self.step(count, 'A')
    }

    fn move_cursor_down(&self, count: usize) -> io::Result<()> {
        self.step(count, 'B')
    }

    fn move_cursor_right(&self, count: usize) -> io::Result<()> {
        self.step(count, 'C')
    }

    fn move_cursor_left(&self, count: usize) -> io::Result<()> {
        self.step(count, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(text)?;
        self.add("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let frame = std::mem::take(&mut *self.frame.lock().unwrap_or_else(PoisonError::into_inner));
        match stderr_writer() {
            Some(stderr) => stderr.push_frame(frame.as_bytes()),
            None => io::stderr().write_all(frame.as_bytes())?,
        }
        Ok(())
    }
}
