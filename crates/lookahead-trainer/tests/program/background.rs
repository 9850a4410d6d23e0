//! A job in the background of a shell trains with plain lines: touching the terminal would stop it.

use std::io::Read;

use crate::common::{SMALL, Sandbox, wait_until};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

#[test]
fn a_background_job_trains_to_its_end() {
    let sandbox = Sandbox::new(SMALL);
    let pair = native_pty_system().openpty(PtySize::default()).unwrap();
    let mut shell = CommandBuilder::new("bash");
    // -m: job control, as an interactive shell has it; each job is a process group of its own.
    let job = format!("'{}' train test.toml --out runs & wait", env!("CARGO_BIN_EXE_lookahead"));
    shell.args(["-m", "-c", &job]);
    shell.cwd(sandbox.path());
    let mut child = pair.slave.spawn_command(shell).unwrap();
    let mut output = pair.master.try_clone_reader().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while output.read(&mut buffer).is_ok_and(|count| count > 0) {}
    });
    wait_until("the job ends, and is not stopped", || child.try_wait().unwrap().is_some());
    assert_eq!(sandbox.losses("test").len(), 14);
}
