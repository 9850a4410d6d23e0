//! The dashboard as a job of a real shell: Ctrl-Z, `fg` and `bg`.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use lookahead_dashboard::{Options, spawn};
use lookahead_run::command::Command;
use portable_pty::{Child, CommandBuilder};
use rustix::process::{Pid, Signal, kill_process};

use crate::pty::{Pty, step};

const FOLDER: &str = "LOOKAHEAD_DASHBOARD_TEST_FOLDER";
const PROGRAM: &str = "LOOKAHEAD_DASHBOARD_TEST_PROGRAM";
/// Starts the child from the shell.
const TRAIN: &str =
    "\"$LOOKAHEAD_DASHBOARD_TEST_PROGRAM\" --exact jobs::child --ignored --nocapture";

#[test]
#[ignore = "only the other tests run it, in a shell"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let report = |name: &str, text: String| {
        let draft = folder.join("draft");
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, folder.join(name)).unwrap();
    };
    let mut dashboard = Some(spawn(Options::default()).unwrap());
    report("pid", std::process::id().to_string());
    let start = Instant::now();
    let mut number = 0;
    while !folder.join("end").exists() {
        assert!(start.elapsed() < Duration::from_secs(120), "the test did not end it");
        thread::sleep(Duration::from_millis(2));
        number += 1;
        report("step", number.to_string());
        let Some(live) = &dashboard else { continue };
        live.send(&step(number));
        if live.commands().try_recv() == Ok(Command::Stop)
            && let Some(live) = dashboard.take()
        {
            live.close(Duration::from_secs(5)).unwrap();
            println!("closed");
        }
    }
    assert!(dashboard.as_ref().is_none_or(|live| live.is_alive()));
    drop(dashboard);
    // Not to the terminal, which a job in the background may not write to.
    report("over", String::new());
}

/// A shell in a terminal.
struct Shell {
    pty: Pty,
    shell: Box<dyn Child + Send + Sync>,
    folder: PathBuf,
    /// Commands that were checked for an answer.
    checks: u32,
}

impl Shell {
    /// A shell that runs the child by `line`.
    #[track_caller]
    fn training(name: &str, line: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("dashboard-job-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        // Without line editing the shell leaves the terminal's modes as they are.
        let mut command = CommandBuilder::new("bash");
        command.args(["--norc", "--noprofile", "--noediting", "-i"]);
        command.env(FOLDER, &folder);
        command.env(PROGRAM, std::env::current_exe().unwrap());
        command.env("PS1", "> ");
        command.cwd(&folder);
        let (pty, shell) = Pty::start(command, true);
        let mut shell = Shell { pty, shell, folder, checks: 0 };
        shell.enter(line);
        shell.wait_until_live();
        shell
    }

    fn enter(&mut self, line: &str) {
        self.pty.press(&format!("{line}\n"));
    }

    fn number(&self, name: &str) -> Option<i32> {
        std::fs::read_to_string(self.folder.join(name)).ok()?.parse().ok()
    }

    /// `T` if the child is stopped.
    fn state(&self) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.number("pid")?)).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }

    fn signal(&self, signal: Signal) {
        let pid = self.number("pid").and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until the dashboard has the terminal, and draws what happens.
    #[track_caller]
    fn wait_until_live(&self) {
        self.pty.wait_until_up();
        let before = self.pty.shown();
        self.pty.wait_until("live", || self.pty.shown() != before);
        let screen = self.pty.shown();
        assert!(screen.contains("p pause") && screen.contains("learning rate"), "{screen}");
    }

    #[track_caller]
    fn wait_until_stopped(&self) {
        self.pty.wait_until("stopped", || self.state() == Some('T'));
    }

    /// Expects that the shell works, in a terminal that is as it was.
    #[track_caller]
    fn expect_shell(&mut self) {
        self.expect_answer();
        self.pty.expect_normal_screen();
    }

    /// As [`Shell::expect_shell`], in any screen.
    #[track_caller]
    fn expect_answer(&mut self) {
        self.checks += 1;
        // The line as typed doesn't contain the answer, only the shell's output does.
        self.enter(&format!("clear; echo answer$((0 + {})) jobs:$(jobs | wc -l)", self.checks));
        self.pty.wait_for(&format!("answer{} jobs:", self.checks));
        assert!(self.pty.has_first_settings());
    }

    #[track_caller]
    fn expect_steps(&self) {
        let before = self.number("step");
        self.pty.wait_until("steps", || self.number("step") > before.map(|step| step + 300));
    }

    /// Ends the child.
    #[track_caller]
    fn end(&self) {
        std::fs::write(self.folder.join("end"), "").unwrap();
        self.pty.wait_until("the end", || self.folder.join("over").exists());
        self.pty.wait_until("the exit", || matches!(self.state(), None | Some('Z')));
    }

    /// Ends the child, and expects status 0.
    #[track_caller]
    fn expect_end(&mut self) {
        self.end();
        self.enter("clear; echo status $?");
        self.pty.wait_for("status 0");
        self.expect_shell();
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if self.state().is_some() {
            self.signal(Signal::KILL);
        }
        let _ = self.shell.kill();
        let _ = self.shell.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Stops the child by `stop`, uses the shell, and continues; twice.
#[track_caller]
fn stop_and_continue(name: &str, line: &str, stop: impl Fn(&mut Shell)) {
    let mut shell = Shell::training(name, line);
    for _ in 0..2 {
        stop(&mut shell);
        shell.wait_until_stopped();
        shell.expect_shell();
        assert!(shell.pty.shown().contains(" jobs:1"), "no job:\n{}", shell.pty.shown());
        shell.enter("fg");
        shell.wait_until_live();
        assert!(!shell.pty.shown().contains("answer"), "{}", shell.pty.shown());
    }
    shell.expect_end();
}

#[test]
fn ctrl_z_gives_the_shell_back_and_fg_the_dashboard() {
    stop_and_continue("key", TRAIN, |shell| shell.pty.press("\x1a"));
}

#[test]
fn ctrl_z_twice_stops_once() {
    stop_and_continue("keys", TRAIN, |shell| shell.pty.press("\x1a\x1a"));
}

#[test]
fn a_signal_does_the_same() {
    stop_and_continue("signal", TRAIN, |shell| shell.signal(Signal::TSTP));
}

#[test]
fn ctrl_z_stops_its_parent_in_the_job_as_well() {
    let line = format!("sh -c '{TRAIN}; exit $?'");
    stop_and_continue("parent", &line, |shell| shell.pty.press("\x1a"));
}

#[test]
fn after_a_stop_without_warning_everything_is_redrawn() {
    let mut shell = Shell::training("unforeseen", TRAIN);
    // The alternate screen remains, because the child could not leave it, or the shell leaves it.
    for leave in ["", "\\e[?1049l"] {
        shell.signal(Signal::STOP);
        shell.wait_until_stopped();
        shell.expect_answer();
        shell.enter(&format!("printf '{leave}'; printf '#%.0s' {{1..2800}}; echo"));
        shell.pty.wait_until("rubbish", || shell.pty.shown().matches('#').count() > 2000);
        shell.enter("fg");
        shell.wait_until_live();
        shell.pty.wait_until("all redrawn", || !shell.pty.shown().contains('#'));
    }
    shell.expect_end();
}

#[test]
fn in_the_background_it_trains_on_and_leaves_the_terminal_alone() {
    let mut shell = Shell::training("background", TRAIN);
    for _ in 0..2 {
        shell.pty.press("\x1a");
        shell.wait_until_stopped();
        shell.expect_shell();
        // The kernel then stops every job in the background that writes to the terminal.
        shell.enter("stty tostop; bg");
        shell.expect_steps();
        shell.enter("stty -tostop");
        shell.expect_shell();
        shell.expect_steps();
        shell.enter("fg");
        shell.wait_until_live();
    }
    shell.pty.press("\x1a");
    shell.wait_until_stopped();
    shell.enter("bg");
    shell.expect_steps();
    // The shell reports a job's end, and forgets it, before it reads the next line, if the process has ended by then.
    shell.end();
    shell.pty.wait_until("ended", || matches!(shell.state(), None | Some('Z')));
    shell.enter("");
    shell.pty.wait_for("Done");
    shell.expect_shell();
}

#[test]
fn continued_by_another_than_its_shell_it_waits_for_the_foreground() {
    let mut shell = Shell::training("elsewhere", TRAIN);
    for signal in [Signal::STOP, Signal::TSTP] {
        shell.signal(signal);
        shell.wait_until_stopped();
        shell.expect_answer();
        shell.signal(Signal::CONT);
        shell.expect_steps();
        shell.expect_answer();
        assert_ne!(shell.state(), Some('T'));
        shell.enter("fg");
        shell.wait_until_live();
    }
    shell.expect_end();
}

#[test]
fn once_closed_it_stops_as_any_program() {
    let mut shell = Shell::training("closed", TRAIN);
    shell.pty.press("s");
    shell.pty.wait_for("closed");
    shell.pty.press("\x1a");
    shell.wait_until_stopped();
    shell.expect_shell();
    shell.enter("fg");
    shell.expect_steps();
    assert!(shell.pty.has_first_settings() && !shell.pty.is_alternate());
    shell.expect_end();
}

#[test]
fn without_a_shell_it_does_not_stop() {
    let mut shell = Shell::training("alone", &format!("exec {TRAIN}"));
    shell.pty.press("\x1a");
    shell.signal(Signal::TSTP);
    shell.expect_steps();
    shell.wait_until_live();
    shell.end();
    assert!(shell.shell.wait().unwrap().success());
    assert!(shell.pty.has_first_settings());
}
