//! The dashboard in a pseudo-terminal: on every way out the terminal is as it was.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use lookahead_dashboard::{Options, restore_terminal, spawn};
use lookahead_run::command::Command;
use portable_pty::{Child, CommandBuilder};

use crate::pty::{Pty, step, wait_until};

const ROLE: &str = "LOOKAHEAD_DASHBOARD_TEST_ROLE";
/// A folder whose arrangement of charts is remembered.
const FOLDER: &str = "LOOKAHEAD_DASHBOARD_TEST_FOLDER";
const REPORT: &str = "LOOKAHEAD_DASHBOARD_TEST_REPORT";

#[test]
#[ignore = "only the other tests run it, in a terminal of its own"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let report = |text: String| std::fs::write(std::env::var(REPORT).unwrap(), text).unwrap();
    let folder = std::env::var_os(FOLDER).map(PathBuf::from);
    let dashboard = spawn(Options { folder, ..Options::default() }).unwrap();
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
                println!("restored by a call");
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
                let closing = Instant::now();
                let last_frame = dashboard.close(Duration::from_millis(300));
                let typed = rustix::io::ioctl_fionread(std::io::stdin()).unwrap();
                let elapsed = closing.elapsed().as_millis();
                report(format!("{elapsed} {typed} {}", last_frame.is_some()));
                std::process::exit(0);
            }
            "hang up" if !dashboard.is_alive() => {
                report("ended".into());
                std::process::exit(0);
            }
            _ => assert!(start.elapsed() < Duration::from_secs(60), "the test did not end it"),
        }
    }
}

/// A child in a terminal.
struct Terminal {
    pty: Pty,
    child: Box<dyn Child + Send + Sync>,
    report: PathBuf,
}

impl Terminal {
    fn start(role: &str, reads: bool) -> Self {
        Terminal::start_on(role, reads, None)
    }

    /// With a folder that has both the run and the user's state.
    fn start_on(role: &str, reads: bool, folder: Option<&Path>) -> Self {
        let temp = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let name = format!("dashboard-{}-{}", std::process::id(), role.replace(' ', "-"));
        let report = temp.join(name);
        // The shell lets the child survive when its terminal goes away.
        let mut command = CommandBuilder::new("sh");
        command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
        command.arg(std::env::current_exe().unwrap());
        command.args(["--exact", "terminal::child", "--ignored", "--nocapture"]);
        command.env(ROLE, role);
        command.env(REPORT, &report);
        if let Some(folder) = folder {
            command.env(FOLDER, folder);
            command.env("XDG_STATE_HOME", folder);
        }
        command.cwd(temp);
        let (pty, child) = Pty::start(command, reads);
        Terminal { pty, child, report }
    }

    /// A child whose dashboard is up.
    #[track_caller]
    fn up(role: &str) -> Self {
        let terminal = Terminal::start(role, true);
        terminal.pty.wait_until_up();
        terminal
    }

    /// Waits for the end; the terminal must then be as it was at the start.
    #[track_caller]
    fn end(mut self) -> (u32, String) {
        let code = self.child.wait().unwrap().exit_code();
        thread::sleep(Duration::from_millis(300));
        assert!(self.pty.has_first_settings());
        self.pty.expect_normal_screen();
        (code, self.pty.shown())
    }
}

#[test]
fn closing_restores_it_and_leaves_the_last_frame() {
    let mut terminal = Terminal::up("close");
    terminal.pty.wait_for("p pause");
    terminal.pty.press("s");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("learning rate") && !shown.contains("p pause"), "{shown}");
}

#[test]
fn dropping_restores_it() {
    assert_eq!(Terminal::up("drop").end().0, 0);
}

#[test]
fn restoring_by_a_call_restores_it() {
    let (code, shown) = Terminal::up("restore").end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("restored by a call"), "{shown}");
}

#[test]
fn a_panic_of_another_thread_can_be_read_and_the_training_continues() {
    let (code, shown) = Terminal::up("panic").end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("for the test") && shown.contains("still training"), "{shown}");
    assert!(!shown.contains("cursor"), "ratatui complains:\n{shown}");
    assert!(!shown.contains("╭ messages"), "a frame after the end:\n{shown}");
}

#[test]
fn a_second_ctrl_c_restores_it_and_exits_with_130() {
    let mut terminal = Terminal::up("interrupt");
    terminal.pty.press("\x03");
    terminal.pty.wait_for("stopping: saving a checkpoint…  Ctrl-C again");
    terminal.pty.press("\x03");
    assert_eq!(terminal.end().0, 130);
}

#[test]
fn the_grid_is_there_again_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Terminal::start_on("interrupt", true, Some(folder.path()));
    let mut terminal = start();
    terminal.pty.wait_until_up();
    terminal.pty.press("g/loss\r*");
    terminal.pty.wait_for("1* loss");
    terminal.pty.press("\x03\x03");
    assert_eq!(terminal.end().0, 130);
    let mut terminal = start();
    terminal.pty.wait_for("filter “loss”");
    terminal.pty.wait_for("1* loss");
    let files: Vec<_> =
        std::fs::read_dir(folder.path().join("lookahead/charts")).unwrap().collect();
    let [Ok(file)] = &files[..] else { panic!("{files:?}") };
    std::fs::write(file.path(), "{ broken").unwrap();
    terminal.pty.press("\x03\x03");
    assert_eq!(terminal.end().0, 130);
    let mut terminal = start();
    terminal.pty.wait_until_up();
    terminal.pty.wait_for("The saved chart layout");
    terminal.pty.press("\x03\x03");
    assert_eq!(terminal.end().0, 130);
}

#[test]
fn a_resize_is_followed() {
    let mut terminal = Terminal::up("interrupt");
    terminal.pty.resize(10, 60);
    terminal.pty.wait_until("one line", || {
        let shown = terminal.pty.shown();
        let state = shown.contains("WAITING") || shown.contains("TRAINING");
        state && !shown.contains("messages")
    });
    terminal.pty.press("\x03\x03");
    assert_eq!(terminal.end().0, 130);
}

#[test]
fn a_terminal_that_accepts_no_output_does_not_delay_the_training() {
    // The other end is not read, so the dashboard's thread blocks in a write.
    let mut terminal = Terminal::start("stuck", false);
    terminal.pty.wait_until("raw mode", || !terminal.pty.has_first_settings());
    // It reads no keys either; the child closes it 4 s later.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(3700) {
        terminal.pty.press("z\r");
        thread::sleep(Duration::from_millis(100));
    }
    terminal.pty.wait_until("close() returns", || terminal.report.exists());
    thread::sleep(Duration::from_millis(100));
    let report = std::fs::read_to_string(&terminal.report).unwrap();
    let [milliseconds, typed, last_frame] = report.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{report}")
    };
    assert_eq!(typed, "0", "keys typed for the dashboard would land in the shell");
    assert_eq!(last_frame, "false", "the terminal accepted all output, so nothing was tested");
    assert!(milliseconds.parse::<u64>().unwrap() < 1000, "{report}");
    assert!(terminal.pty.has_first_settings());
    terminal.child.wait().unwrap();
}

#[test]
fn a_terminal_that_goes_away_ends_the_dashboard_and_nothing_else() {
    let Terminal { pty, mut child, report } = Terminal::up("hang up");
    pty.hang_up();
    wait_until("the dashboard ends", || report.exists(), String::new);
    child.wait().unwrap();
}
