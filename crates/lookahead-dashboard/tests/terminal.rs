//! The real dashboard in a pseudo-terminal: on every way out the terminal is as it was.
//!
//! Each test runs this very program again in a terminal of its own, where [`child`] plays the
//! trainer.

use std::io::{Read, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lookahead_dashboard::{Options, restore_terminal, spawn};
use lookahead_run::command::Command;
use lookahead_run::event::{Event, Record, Step};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

const ROLE: &str = "LOOKAHEAD_DASHBOARD_TEST_ROLE";
const REPORT: &str = "LOOKAHEAD_DASHBOARD_TEST_REPORT";

fn step(number: u64) -> Record {
    let step = Step {
        epoch: 0,
        loss: 1.0 + (number as f64).sin(),
        learning_rate: 0.001,
        samples_per_second: number as f64,
        phase: 1,
    };
    Record::now(number, Event::Step(step))
}

#[test]
#[ignore = "only the other tests run it, in a terminal of its own"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let report = |text: String| std::fs::write(std::env::var(REPORT).unwrap(), text).unwrap();
    let dashboard = spawn(Options::default()).unwrap();
    let start = Instant::now();
    let mut number = 0;
    loop {
        number += 1;
        dashboard.send(&step(number));
        thread::sleep(Duration::from_millis(2));
        let command = dashboard.commands().try_recv().ok();
        let second = start.elapsed() > Duration::from_secs(1);
        match role.as_str() {
            "close" if command == Some(Command::Stop) => {
                println!("{}", dashboard.close(Duration::from_secs(5)).unwrap());
                return;
            }
            "drop" if second => return,
            "restore" if second => {
                restore_terminal();
                restore_terminal();
                println!("restored by hand");
                thread::sleep(Duration::from_millis(300));
                assert!(!dashboard.is_alive());
                return;
            }
            "panic" if second => {
                let panicked = thread::spawn(|| panic!("for the test")).join();
                assert!(panicked.is_err());
                thread::sleep(Duration::from_millis(300));
                assert!(!dashboard.is_alive());
                dashboard.send(&step(number));
                assert_eq!(dashboard.close(Duration::from_secs(5)), None);
                println!("still training");
                return;
            }
            "stuck" if start.elapsed() > Duration::from_secs(4) => {
                let asked = Instant::now();
                let last_frame = dashboard.close(Duration::from_millis(300));
                report(format!("{} {}", asked.elapsed().as_millis(), last_frame.is_some()));
                std::process::exit(0);
            }
            "hang up" if !dashboard.is_alive() => {
                report("ended".into());
                std::process::exit(0);
            }
            _ => assert!(start.elapsed() < Duration::from_secs(60), "nobody ended the test"),
        }
    }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

/// A child in a terminal of 100 by 30.
struct Terminal {
    master: Box<dyn MasterPty>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    reading: Arc<AtomicBool>,
    settings: String,
    report: PathBuf,
}

impl Terminal {
    fn start(role: &str, reads: bool) -> Self {
        let size = PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "dashboard-{}-{}",
            std::process::id(),
            role.replace(' ', "-")
        ));
        // The shell keeps the child alive when its terminal goes away.
        let mut command = CommandBuilder::new("sh");
        command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
        command.arg(std::env::current_exe().unwrap());
        command.args(["--exact", "child", "--ignored", "--nocapture"]);
        command.env(ROLE, role);
        command.env(REPORT, &report);
        command.env("TERM", "xterm-256color");
        command.cwd(env!("CARGO_TARGET_TMPDIR"));
        let settings = format!("{:?}", pair.master.get_termios());
        let child = pair.slave.spawn_command(command).unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(30), cells(100), 1000)));
        let mut output = pair.master.try_clone_reader().unwrap();
        let reading = Arc::new(AtomicBool::new(reads));
        let (parser, goes_on) = (screen.clone(), reading.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while goes_on.load(Ordering::SeqCst)
                && let Ok(count @ 1..) = output.read(&mut bytes)
            {
                parser.lock().unwrap().process(&bytes[..count]);
            }
        });
        Terminal { master: pair.master, child, screen, reading, settings, report }
    }

    fn settings_now(&self) -> String {
        format!("{:?}", self.master.get_termios())
    }

    fn shown(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        let start = Instant::now();
        while !self.shown().contains(text) {
            assert!(start.elapsed() < Duration::from_secs(20), "no {text:?} in\n{}", self.shown());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the dashboard is drawn and in possession of the terminal.
    #[track_caller]
    fn wait_until_up(&self) {
        self.wait_for("messages");
        assert!(self.screen.lock().unwrap().screen().alternate_screen());
        assert_ne!(self.settings_now(), self.settings, "raw mode");
    }

    /// Waits for the end; the terminal must then be as it was at the start.
    #[track_caller]
    fn end(mut self) -> (u32, String) {
        let code = self.child.wait().unwrap().exit_code();
        thread::sleep(Duration::from_millis(300));
        assert_eq!(self.settings_now(), self.settings);
        let parser = self.screen.lock().unwrap();
        assert!(!parser.screen().alternate_screen());
        assert!(!parser.screen().hide_cursor());
        assert_eq!(parser.screen().fgcolor(), vt100::Color::Default);
        (code, parser.screen().contents())
    }
}

#[test]
fn closing_restores_it_and_leaves_the_last_frame() {
    let terminal = Terminal::start("close", true);
    terminal.wait_until_up();
    terminal.wait_for("p pause");
    terminal.master.take_writer().unwrap().write_all(b"s").unwrap();
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("learning rate") && !shown.contains("p pause"), "{shown}");
}

#[test]
fn dropping_restores_it() {
    let terminal = Terminal::start("drop", true);
    terminal.wait_until_up();
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn restoring_by_hand_restores_it() {
    let terminal = Terminal::start("restore", true);
    terminal.wait_until_up();
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("restored by hand"), "{shown}");
}

#[test]
fn a_panic_of_another_thread_can_be_read_and_the_training_goes_on() {
    let terminal = Terminal::start("panic", true);
    terminal.wait_until_up();
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("for the test"), "{shown}");
    assert!(shown.contains("still training"), "{shown}");
    assert!(!shown.contains("cursor"), "ratatui complains:\n{shown}");
    assert!(!shown.contains("╭ messages"), "a frame after the end:\n{shown}");
}

#[test]
fn a_second_ctrl_c_restores_it_and_exits_with_130() {
    let terminal = Terminal::start("interrupt", true);
    terminal.wait_until_up();
    let mut keys = terminal.master.take_writer().unwrap();
    keys.write_all(b"\x03").unwrap();
    terminal.wait_for("stopping: saving a checkpoint…  Ctrl-C again");
    keys.write_all(b"\x03").unwrap();
    assert_eq!(terminal.end().0, 130);
}

#[test]
fn a_resize_is_followed() {
    let terminal = Terminal::start("interrupt", true);
    terminal.wait_until_up();
    let small = PtySize { rows: 10, cols: 60, pixel_width: 0, pixel_height: 0 };
    terminal.screen.lock().unwrap().screen_mut().set_size(cells(10), cells(60));
    terminal.master.resize(small).unwrap();
    let start = Instant::now();
    while terminal.shown().contains("messages")
        || !terminal.shown().contains("WAITING") && !terminal.shown().contains("TRAINING")
    {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", terminal.shown());
        thread::sleep(Duration::from_millis(20));
    }
    terminal.master.take_writer().unwrap().write_all(b"\x03\x03").unwrap();
    assert_eq!(terminal.end().0, 130);
}

#[test]
fn a_terminal_that_takes_no_output_does_not_hold_up_the_training() {
    // Nobody reads the other end, so the dashboard's thread sticks in a write.
    let mut terminal = Terminal::start("stuck", false);
    let start = Instant::now();
    while !terminal.report.exists() {
        assert!(start.elapsed() < Duration::from_secs(20), "close() never came back");
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_millis(100));
    let report = std::fs::read_to_string(&terminal.report).unwrap();
    let (milliseconds, last_frame) = report.split_once(' ').unwrap();
    assert_eq!(last_frame, "false", "the terminal took all output, so nothing was tested");
    assert!(milliseconds.parse::<u64>().unwrap() < 1000, "{report}");
    assert_eq!(terminal.settings_now(), terminal.settings);
    terminal.child.wait().unwrap();
}

#[test]
fn a_terminal_that_goes_away_ends_the_dashboard_and_nothing_else() {
    let terminal = Terminal::start("hang up", true);
    terminal.wait_until_up();
    let Terminal { master, reading, mut child, report, .. } = terminal;
    // The reader sees it with the next frame, and lets go of the last handle.
    drop(master);
    reading.store(false, Ordering::SeqCst);
    let start = Instant::now();
    while !report.exists() {
        assert!(start.elapsed() < Duration::from_secs(20), "the dashboard hangs on");
        thread::sleep(Duration::from_millis(20));
    }
    child.wait().unwrap();
}
