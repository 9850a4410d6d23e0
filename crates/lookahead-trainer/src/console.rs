//! Lines on stderr for the user, and results on stdout.
//!
//! Lines go through a [`BackgroundWriter`], so that a training does not wait for their reader. The end of the program
//! waits for it in [`finish`].

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressDrawTarget, TermLike};
use lookahead_core::tch_ext::cerr;
use lookahead_run::format::safe_text;

use crate::background_writer::BackgroundWriter;

/// How long a reader of stderr or stdout may read nothing before the program ends without it: it may still be
/// starting.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same after a request to stop.
const SHORT_PATIENCE: Duration = Duration::from_secs(2);
/// How long the end of the program waits for a slow reader.
const AT_MOST: Duration = Duration::from_secs(30);
/// How long a process that ends at once waits for the reader of its last line.
const BRIEFLY: Duration = Duration::from_millis(200);
/// How long to wait until a message of libtorch is written: the process may be about to abort.
const MOMENT: Duration = Duration::from_millis(20);

static STOPPING: AtomicBool = AtomicBool::new(false);

/// After a request to stop: the program's end waits less long for readers.
pub(crate) fn shorten_patience() {
    STOPPING.store(true, Ordering::Relaxed);
}

/// How long a reader may read nothing before the program ends without it.
pub(crate) fn patience() -> Duration {
    if STOPPING.load(Ordering::Relaxed) { SHORT_PATIENCE } else { PATIENCE }
}

/// None if the system refuses a thread: then lines are written directly.
static STDERR: LazyLock<Option<BackgroundWriter>> =
    LazyLock::new(|| BackgroundWriter::new("stderr", unbuffered(io::stderr()).ok()?).ok());

/// A standard stream without Rust's buffer and lock.
pub(crate) fn unbuffered(stream: impl AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}

/// Writes a line to stderr, without characters that a terminal would act on: it may contain names from logs and folders.
pub fn eprint_line(line: impl Display) {
    write((safe_text(&line.to_string()) + "\n").as_bytes());
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

/// Sends the same way what libtorch and its libraries print on stderr.
pub fn redirect_cerr() {
    cerr::redirect(write, || {
        STDERR.as_ref().map(|stderr| stderr.flush(MOMENT, MOMENT));
    });
}

/// Waits until all lines are written, as long as they are being read.
pub fn finish() {
    if let Some(stderr) = &*STDERR {
        stderr.finish(patience(), AT_MOST, gap);
    }
}

/// As [`finish`], briefly: the process ends at once.
pub(crate) fn flush_briefly() {
    if let Some(stderr) = &*STDERR {
        stderr.finish(BRIEFLY, BRIEFLY, gap);
    }
}

/// Writes a line of the result to stdout, after the lines on stderr, without characters that a terminal would act on. A
/// reader that has closed stdout, for example `head`, has what it wanted: the line is dropped.
///
/// # Errors
/// If stdout can't be written: then the command has failed.
pub fn print_line(line: impl Display) -> io::Result<()> {
    print_data(safe_text(&line.to_string()))
}

/// As [`print_line`], with every character as it is: for programs that read it.
///
/// # Errors
/// As [`print_line`].
pub(crate) fn print_data(line: impl Display) -> io::Result<()> {
    finish();
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// The width of stdout in characters: that of its terminal, else that of `COLUMNS`.
pub(crate) fn stdout_width() -> Option<usize> {
    let terminal = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col.into());
    let variable = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal.filter(|width| *width > 0).or_else(variable)
}

/// Standard output for results of any length, buffered.
#[derive(Debug)]
pub(crate) struct Stdout(BufWriter<File>);

/// The reader of stdout has closed it, for example `head`: nothing more is wanted, and there is no one to tell.
#[derive(Debug, thiserror::Error)]
#[error("The reader of standard output has closed it.")]
pub(crate) struct ClosedStdout;

impl Stdout {
    /// Standard output, after the lines on stderr.
    pub(crate) fn new() -> io::Result<Self> {
        finish();
        Ok(Stdout(BufWriter::with_capacity(1 << 16, unbuffered(io::stdout())?)))
    }
}

fn or_closed<T>(result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => io::Error::new(ErrorKind::BrokenPipe, ClosedStdout),
        _ => error,
    })
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_closed(self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        or_closed(self.0.flush())
    }
}

/// Whether an error means only that the reader of stdout has closed it.
pub(crate) fn is_closed_stdout(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let cause = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause.is_some_and(|cause| cause.is::<ClosedStdout>())
    })
}

/// The target of progress bars: the terminal behind stderr, without waiting for it.
pub(crate) fn draw_target() -> ProgressDrawTarget {
    ProgressDrawTarget::term_like_with_hz(Box::new(Terminal::default()), 20)
}

/// The terminal behind stderr for a progress bar: a frame is collected, and written as a whole.
#[derive(Debug, Default)]
struct Terminal {
    frame: Mutex<String>,
}

impl Terminal {
    fn add(&self, text: &str) -> io::Result<()> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(())
    }

    /// Moves the cursor in the direction of an escape sequence's letter.
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
