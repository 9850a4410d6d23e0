//! Job control: Ctrl-Z, and a shell's `fg` and `bg`.
//!
//! A program that is to stop gives the terminal back first, and takes it again once it goes on in
//! the foreground. The handlers come with the first dashboard and stay for good, because the
//! default action of a signal can't be put back. While no dashboard is up, they do what it does.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::process::{Signal, getpgrp, getsid, kill_current_process_group};
use signal_hook::consts::{SIGCONT, SIGTSTP};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::terminal;

/// Whether the process went on after a stop, and nobody has asked yet.
static CONTINUED: AtomicBool = AtomicBool::new(false);
/// Which of the two signals came last.
static LAST: AtomicUsize = AtomicUsize::new(0);
const STOP: usize = SIGTSTP as usize;
const CONTINUE: usize = SIGCONT as usize;

static LISTENING: Mutex<bool> = Mutex::new(false);

/// Stops as the terminal should like it from now on; a second call does nothing.
pub(crate) fn listen() -> io::Result<()> {
    let mut listening = LISTENING.lock().unwrap_or_else(PoisonError::into_inner);
    if *listening {
        return Ok(());
    }
    flag::register(SIGCONT, &CONTINUED)?;
    flag::register_usize(SIGCONT, &LAST, CONTINUE)?;
    // Before the thread hears of it, so that the thread can rely on it.
    flag::register_usize(SIGTSTP, &LAST, STOP)?;
    let signals = Signals::new([SIGTSTP])?;
    thread::Builder::new().name("job control".into()).spawn(move || stop_when_asked(signals))?;
    *listening = true;
    Ok(())
}

/// Whether the process went on after a stop since this was last asked.
pub(crate) fn continued() -> bool {
    CONTINUED.swap(false, Ordering::SeqCst)
}

/// Stops the whole job, as Ctrl-Z does where the terminal is not in raw mode.
pub(crate) fn suspend() {
    if !has_shell() {
        return;
    }
    // First, because a shell goes on as soon as it sees its child stop, and that may be another
    // program of the job, such as the one that started this.
    terminal::release();
    if kill_current_process_group(Signal::TSTP).is_err() {
        terminal::reacquire();
    }
}

fn stop_when_asked(mut signals: Signals) {
    loop {
        if signals.wait().count() == 0 || !has_shell() {
            continue;
        }
        terminal::release();
        // Somebody may have thought better of it meanwhile, and would not say so again.
        if LAST.load(Ordering::SeqCst) == STOP {
            // All threads stop in here.
            let _ = emulate_default_handler(SIGTSTP);
        }
        // A second Ctrl-Z before the stop was answered by it.
        signals.pending().for_each(drop);
        terminal::reacquire();
    }
}

/// Whether somebody is there who could continue the job. The kernel ignores SIGTSTP where nobody
/// is, as in the first job of a terminal window; the SIGSTOP that stands in for it would be obeyed.
fn has_shell() -> bool {
    getsid(None).is_ok_and(|session| session != getpgrp())
}
