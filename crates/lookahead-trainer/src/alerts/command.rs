//! A program that gets an alert on stdin.

use std::io::{Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

const POLL: Duration = Duration::from_millis(10);
/// Most bytes of the program's stderr in a warning.
const LONGEST_WORDS: u64 = 300;

/// Runs the program, if there is one, in a process group of its own, which is killed if it takes too long.
///
/// # Errors
/// A clause with what is wrong.
pub(super) fn run(command: &[String], json: &[u8], timeout: Duration) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let failed = |cause| format!("`{program}` can't be started: {cause}.");
    // Not a pipe: a process that it leaves behind may hold stderr open.
    let mut errors = tempfile::tempfile().map_err(failed)?;
    let mut process = Command::new(program);
    process.args(arguments).process_group(0).stdin(Stdio::piped()).stdout(Stdio::null());
    process.stderr(errors.try_clone().map_err(failed)?);
    let mut child = process.spawn().map_err(failed)?;
    // It fits into the pipe. A program that doesn't read it has closed its end.
    child.stdin.take().map(|mut stdin| stdin.write_all(json));
    let Some(status) = wait(&mut child, timeout) else {
        if let Some(group) = Pid::from_raw(child.id() as i32) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = child.wait();
        let seconds = timeout.as_secs();
        return Err(format!(
            "`{program}` was killed: it had not ended after {seconds} s (`alert.timeout`)."
        ));
    };
    if status.success() {
        return Ok(());
    }
    let mut words = Vec::new();
    let _ = errors.rewind();
    let _ = errors.take(LONGEST_WORDS).read_to_end(&mut words);
    let words = String::from_utf8_lossy(&words).split_whitespace().collect::<Vec<_>>().join(" ");
    let said = if words.is_empty() { words } else { format!(": {words}") };
    Err(format!("`{program}` failed ({status}){said}."))
}

/// The end of a process; none if it does not come in time.
fn wait(child: &mut Child, timeout: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + timeout;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(POLL);
    }
}
