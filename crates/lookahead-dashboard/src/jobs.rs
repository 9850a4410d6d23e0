//! Job control: Ctrl-Z, and a shell's `fg` and `bg`.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{Signal, getpgrp, getsid, kill_current_process_group};
use signal_hook::consts::{SIGCONT, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::ownership;

static LISTENING: AtomicBool = AtomicBool::new(false);
static CONTINUED: AtomicBool = AtomicBool::new(false);

/// Handles SIGTSTP and SIGCONT from now on; a second call does nothing.
pub(crate) fn listen() -> io::Result<()> {
    if LISTENING.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    signal_hook::flag::register(SIGCONT, &CONTINUED)?;
    let mut signals = Signals::new([SIGTSTP])?;
    thread::Builder::new().name("job control".into()).spawn(move || {
        while signals.wait().count() > 0 {
            if has_shell() {
                ownership::release();
                // All threads stop in here.
                let _ = emulate_default_handler(SIGTSTP);
                // A second Ctrl-Z before the stop has no further effect.
                signals.pending().for_each(drop);
                ownership::reacquire();
            }
        }
    })?;
    Ok(())
}

/// Whether the process was continued after a stop since the last call.
pub(crate) fn continued() -> bool {
    CONTINUED.swap(false, Ordering::SeqCst)
}

/// Stops the whole job, as Ctrl-Z does if the terminal is not in raw mode.
pub(crate) fn suspend() {
    if has_shell() {
        // First, because the shell takes over as soon as its child stops, which may be another program
        // of the job, for example the one that started this.
        ownership::release();
        let _ = kill_current_process_group(Signal::TSTP);
    }
}

/// Whether a shell can continue the job. In the first job of a terminal window the kernel ignores
/// SIGTSTP, but not the SIGSTOP by which a handler stops.
fn has_shell() -> bool {
    getsid(None).is_ok_and(|session| session != getpgrp())
}
