//! The real program in a pseudo-terminal.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::{Sandbox, train, wait_until};

/// A usual size.
pub const SIZE: PtySize = PtySize { rows: 36, cols: 120, pixel_width: 0, pixel_height: 0 };

/// Columns and rows of a large screen, a usual one and small ones.
pub const SIZES: [(u16, u16); 4] = [(200, 60), (120, 36), (80, 24), (40, 12)];

/// The program on a terminal of its own, and what the terminal shows.
pub struct Terminal {
    pub master: Box<dyn MasterPty + Send>,
    pub keyboard: Box<dyn Write + Send>,
    pub child: Box<dyn Child + Send + Sync>,
    pub screen: Arc<Mutex<vt100::Parser>>,
    pub modes_before: String,
}

impl Terminal {
    /// Trains `test.toml` of the sandbox.
    pub fn train(sandbox: &Sandbox, name: &str, more: &[&str]) -> Self {
        Terminal::start(sandbox, SIZE, &train(name, more), &[])
    }

    /// Runs the program in the sandbox, with those variables in its environment.
    pub fn start(
        sandbox: &Sandbox,
        size: PtySize,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let pair = native_pty_system().openpty(size).unwrap();
        let modes_before = modes(&*pair.master);
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_lookahead"));
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        variables.iter().for_each(|(name, value)| command.env(name, value));
        command.cwd(sandbox.path());
        let child = pair.slave.spawn_command(command).unwrap();
        let [rows, cols] = [size.rows, size.cols].map(|n| n.try_into().unwrap());
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, cols, 0)));
        let mut output = pair.master.try_clone_reader().unwrap();
        let shown = screen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count) = output.read(&mut buffer) {
                if count == 0 {
                    break;
                }
                shown.lock().unwrap().process(&buffer[..count]);
            }
        });
        let keyboard = pair.master.take_writer().unwrap();
        Terminal { master: pair.master, keyboard, child, screen, modes_before }
    }

    /// The text on the screen.
    pub fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Compares the screen with the snapshot of this name, once nothing more is drawn: a frame arrives in pieces.
    #[track_caller]
    pub fn assert_screen(&self, name: &str) {
        let mut settings = insta::Settings::clone_current();
        // With the blanks before it, of which there are fewer if it is longer.
        settings.add_filter(r" +\d[\d,]*[a-z]*( \d+[a-z]| [a-z]+)? ago", " [time] ago");
        settings.set_snapshot_path("../sessions");
        settings.set_omit_expression(true);
        settings.set_prepend_module_to_snapshot(false);
        let mut text = String::new();
        self.wait_for("end of drawing", |now| {
            std::thread::sleep(Duration::from_millis(400));
            std::mem::replace(&mut text, now.to_owned()) == text
        });
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        settings.bind(|| insta::assert_snapshot!(name, lines.join("\n").trim_end()));
    }

    /// Sends keys.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Sends bytes of any kind.
    pub fn send(&mut self, bytes: &[u8]) {
        self.keyboard.write_all(bytes).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Stops the run from a watcher, which asks for confirmation.
    #[track_caller]
    pub fn stop(&mut self) {
        self.press("s");
        self.wait_for("question", |text| text.contains("Another process"));
        self.press("y");
    }

    /// Waits until the screen's text satisfies `seen`.
    #[track_caller]
    pub fn wait_for(&self, what: &str, mut seen: impl FnMut(&str) -> bool) {
        let started = Instant::now();
        while !seen(&self.text()) {
            assert!(started.elapsed() < Duration::from_secs(60), "no {what}:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Another size, as when a window is resized.
    pub fn resize(&self, rows: u16, cols: u16) {
        self.master.resize(PtySize { rows, cols, ..SIZE }).unwrap();
        let [rows, cols] = [rows, cols].map(|n| n.try_into().unwrap());
        self.screen.lock().unwrap().screen_mut().set_size(rows, cols);
    }

    /// Sends a signal to the program.
    pub fn signal(&self, name: &str) {
        let id = self.child.process_id().unwrap().to_string();
        let kill = std::process::Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(kill.unwrap().success());
    }

    /// Waits for the end, and checks that the terminal is restored.
    pub fn end(mut self) -> u32 {
        let mut status = None;
        wait_until("the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        // Its last output may not have arrived yet.
        self.wait_for("return to the main screen", |_| {
            let parser = self.screen.lock().unwrap();
            let screen = parser.screen();
            !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste()
        });
        assert_eq!(modes(&*self.master), self.modes_before, "the terminal's modes");
        status.unwrap().exit_code()
    }
}

/// Echo, line editing, signals: the terminal's modes as the kernel has them.
pub fn modes(terminal: &dyn MasterPty) -> String {
    format!("{:?}", terminal.get_termios().unwrap())
}

/// Dots of curves: braille characters that are not blank.
pub fn curve(text: &str) -> usize {
    text.chars().filter(|c| ('\u{2801}'..='\u{28ff}').contains(c)).count()
}
