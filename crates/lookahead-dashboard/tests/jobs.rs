//! The dashboard as a job of a real shell: Ctrl-Z, `fg` and `bg`.
//!
//! Each test runs a shell in a pseudo-terminal, which runs this very program again, where
//! [`child`] plays the trainer.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lookahead_dashboard::{Options, spawn};
use lookahead_run::command::Command;
use lookahead_run::event::{Event, Record, Step};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

const FOLDER: &str = "LOOKAHEAD_DASHBOARD_TEST_FOLDER";
const PROGRAM: &str = "LOOKAHEAD_DASHBOARD_TEST_PROGRAM";
/// What the shell is told to start the child.
const TRAIN: &str = "\"$LOOKAHEAD_DASHBOARD_TEST_PROGRAM\" --exact child --ignored --nocapture";

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
        assert!(start.elapsed() < Duration::from_secs(120), "nobody ended the test");
        thread::sleep(Duration::from_millis(2));
        number += 1;
        report("step", number.to_string());
        let Some(live) = &dashboard else { continue };
        let step = Step {
            epoch: 0,
            loss: 1.0 + (number as f64).sin(),
            learning_rate: 0.001,
            samples_per_second: number as f64,
            phase: 1,
        };
        live.send(&Record::now(number, Event::Step(step)));
        if live.commands().try_recv() == Ok(Command::Stop)
            && let Some(live) = dashboard.take()
        {
            live.close(Duration::from_secs(5)).unwrap();
            println!("closed");
        }
    }
    assert!(dashboard.as_ref().is_none_or(|live| live.is_alive()));
    drop(dashboard);
    // Not to the terminal, which may forbid it to a job in the background.
    report("over", String::new());
}

/// A shell in a terminal of 100 by 30.
struct Shell {
    master: Box<dyn MasterPty>,
    keys: Box<dyn Write + Send>,
    shell: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    settings: String,
    folder: PathBuf,
    /// Questions that the shell was asked.
    asked: u32,
}

impl Shell {
    fn start(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("dashboard-job-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let size = PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        // Without line editing the shell leaves the terminal's modes as they are.
        let mut command = CommandBuilder::new("bash");
        command.args(["--norc", "--noprofile", "--noediting", "-i"]);
        command.env(FOLDER, &folder);
        command.env(PROGRAM, std::env::current_exe().unwrap());
        command.env("TERM", "xterm-256color");
        command.env("PS1", "> ");
        command.cwd(&folder);
        let settings = format!("{:?}", pair.master.get_termios());
        let shell = pair.slave.spawn_command(command).unwrap();
        let cells = |count| NonZero::new(count).unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(30), cells(100), 0)));
        let mut output = pair.master.try_clone_reader().unwrap();
        let parser = screen.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                parser.lock().unwrap().process(&bytes[..count]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Shell { master: pair.master, keys, shell, screen, settings, folder, asked: 0 }
    }

    /// A shell that runs the child, as `line` says.
    fn training(name: &str, line: &str) -> Self {
        let mut shell = Shell::start(name);
        shell.enter(line);
        shell.wait_until_up();
        shell
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn enter(&mut self, line: &str) {
        self.press(&format!("{line}\n"));
    }

    fn shown(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    #[track_caller]
    fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            let waited = start.elapsed();
            assert!(waited < Duration::from_secs(30), "{what}: never, but\n{}", self.shown());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn has_shells_settings(&self) -> bool {
        format!("{:?}", self.master.get_termios()) == self.settings
    }

    fn is_alternate(&self) -> bool {
        self.screen.lock().unwrap().screen().alternate_screen()
    }

    fn number(&self, name: &str) -> Option<i32> {
        std::fs::read_to_string(self.folder.join(name)).ok()?.parse().ok()
    }

    /// `T` where the child is stopped.
    fn state(&self) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.number("pid")?)).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }

    fn signal(&self, signal: Signal) {
        let pid = self.number("pid").and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until the dashboard has the terminal, and shows what happens.
    #[track_caller]
    fn wait_until_up(&self) {
        self.wait_until("up", || {
            self.is_alternate()
                && self.shown().contains("╭ messages")
                && !self.has_shells_settings()
        });
        let before = self.shown();
        self.wait_until("live", || self.shown() != before);
        let screen = self.shown();
        assert!(screen.contains("p pause") && screen.contains("learning rate"), "{screen}");
    }

    #[track_caller]
    fn wait_until_stopped(&self) {
        self.wait_until("stopped", || self.state() == Some('T'));
    }

    /// The shell works, in a terminal that is as it was.
    #[track_caller]
    fn expect_shell(&mut self) {
        self.expect_answer();
        assert!(!self.is_alternate());
        assert!(!self.screen.lock().unwrap().screen().hide_cursor());
        assert_eq!(self.screen.lock().unwrap().screen().fgcolor(), vt100::Color::Default);
    }

    /// As [`Shell::expect_shell`], in whatever screen it may be.
    #[track_caller]
    fn expect_answer(&mut self) {
        self.asked += 1;
        // The line as typed doesn't hold the answer, only what the shell makes of it does.
        self.enter(&format!("clear; echo answer$((0 + {})) jobs:$(jobs | wc -l)", self.asked));
        let answer = format!("answer{} jobs:", self.asked);
        self.wait_until("an answer", || self.shown().contains(&answer));
        assert!(self.has_shells_settings());
    }

    #[track_caller]
    fn expect_steps(&self) {
        let before = self.number("step");
        self.wait_until("steps", || self.number("step") > before.map(|step| step + 300));
    }

    /// Ends the child, and expects the shell to say that all went well.
    #[track_caller]
    fn expect_end(&mut self) {
        std::fs::write(self.folder.join("end"), "").unwrap();
        self.wait_until("the end", || self.folder.join("over").exists());
        self.enter("clear; echo status $?");
        self.wait_until("the status", || self.shown().contains("status 0"));
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

/// Stops the child by `stop`, looks around in the shell, and goes on; twice.
#[track_caller]
fn stop_and_go_on(name: &str, line: &str, stop: impl Fn(&mut Shell)) {
    let mut shell = Shell::training(name, line);
    for _ in 0..2 {
        stop(&mut shell);
        shell.wait_until_stopped();
        shell.expect_shell();
        assert!(shell.shown().contains(" jobs:1"), "the job stays:\n{}", shell.shown());
        shell.enter("fg");
        shell.wait_until_up();
        assert!(!shell.shown().contains("answer"), "{}", shell.shown());
    }
    shell.expect_end();
}

#[test]
fn ctrl_z_gives_the_shell_back_and_fg_the_dashboard() {
    stop_and_go_on("key", TRAIN, |shell| shell.press("\x1a"));
}

#[test]
fn ctrl_z_twice_stops_once() {
    stop_and_go_on("keys", TRAIN, |shell| shell.press("\x1a\x1a"));
}

#[test]
fn a_signal_does_the_same() {
    stop_and_go_on("signal", TRAIN, |shell| shell.signal(Signal::TSTP));
}

#[test]
fn ctrl_z_stops_whoever_started_it_as_well() {
    let line = format!("sh -c '{TRAIN}; exit $?'");
    stop_and_go_on("starter", &line, |shell| shell.press("\x1a"));
}

#[test]
fn a_stop_without_a_warning_is_mended_by_drawing_all_anew() {
    let mut shell = Shell::training("unforeseen", TRAIN);
    // The alternate screen stays, since nobody could leave it, unless somebody does so now.
    for leave in ["", "\\e[?1049l"] {
        shell.signal(Signal::STOP);
        shell.wait_until_stopped();
        shell.expect_answer();
        shell.enter(&format!("printf '{leave}'; printf '#%.0s' {{1..2800}}; echo"));
        shell.wait_until("rubbish", || shell.shown().matches('#').count() > 2000);
        shell.enter("fg");
        shell.wait_until_up();
        shell.wait_until("all drawn anew", || !shell.shown().contains('#'));
    }
    shell.expect_end();
}

#[test]
fn in_the_background_it_trains_on_and_leaves_the_terminal_alone() {
    let mut shell = Shell::training("background", TRAIN);
    for _ in 0..2 {
        shell.press("\x1a");
        shell.wait_until_stopped();
        shell.expect_shell();
        // Where the kernel stops whoever as much as writes to the terminal.
        shell.enter("stty tostop; bg");
        shell.expect_steps();
        shell.enter("stty -tostop");
        shell.expect_shell();
        shell.expect_steps();
        shell.enter("fg");
        shell.wait_until_up();
    }
    shell.press("\x1a");
    shell.wait_until_stopped();
    shell.enter("bg");
    shell.expect_steps();
    // The shell tells of a job's end, and forgets it, before it takes the next line.
    std::fs::write(shell.folder.join("end"), "").unwrap();
    shell.wait_until("the end", || shell.folder.join("over").exists());
    shell.enter("");
    shell.wait_until("the status", || shell.shown().contains("Done"));
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
        shell.wait_until_up();
    }
    shell.expect_end();
}

#[test]
fn once_closed_it_stops_as_any_program() {
    let mut shell = Shell::training("closed", TRAIN);
    shell.press("s");
    shell.wait_until("closed", || shell.shown().contains("closed"));
    shell.press("\x1a");
    shell.wait_until_stopped();
    shell.expect_shell();
    shell.enter("fg");
    shell.expect_steps();
    assert!(shell.has_shells_settings() && !shell.is_alternate());
    shell.expect_end();
}

#[test]
fn without_a_shell_there_is_nothing_to_stop_for() {
    let mut shell = Shell::training("alone", &format!("exec {TRAIN}"));
    shell.press("\x1a");
    shell.signal(Signal::TSTP);
    shell.expect_steps();
    shell.wait_until_up();
    std::fs::write(shell.folder.join("end"), "").unwrap();
    shell.wait_until("the end", || shell.folder.join("over").exists());
    assert!(shell.shell.wait().unwrap().success());
    assert!(shell.has_shells_settings());
}
