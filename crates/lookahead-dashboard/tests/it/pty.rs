//! A pseudo-terminal of 100 by 30, in which this very program runs again as a trainer.

use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lookahead_run::event::{Event, Record, Step};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// A record of a step.
pub(crate) fn step(number: u64) -> Record {
    let step = Step {
        epoch: 0,
        loss: 1.0 + (number as f64).sin(),
        learning_rate: 0.001,
        samples_per_second: number as f64,
        phase: 1,
    };
    Record::now(number, Event::Step(step))
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

/// A pseudo-terminal and what it shows.
pub(crate) struct Pty {
    pub(crate) master: Box<dyn MasterPty>,
    keys: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    reading: Arc<AtomicBool>,
    settings: String,
}

impl Pty {
    /// Runs a command in a new terminal; without `reads` nothing takes its output.
    pub(crate) fn start(
        mut command: CommandBuilder,
        reads: bool,
    ) -> (Pty, Box<dyn Child + Send + Sync>) {
        let size = PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        command.env("TERM", "xterm-256color");
        let settings = format!("{:?}", pair.master.get_termios());
        let child = pair.slave.spawn_command(command).unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(30), cells(100), 1000)));
        let mut output = pair.master.try_clone_reader().unwrap();
        let reading = Arc::new(AtomicBool::new(reads));
        let (parser, reads_on) = (screen.clone(), reading.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while reads_on.load(Ordering::SeqCst)
                && let Ok(count @ 1..) = output.read(&mut bytes)
            {
                parser.lock().unwrap().process(&bytes[..count]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        (Pty { master: pair.master, keys, screen, reading, settings }, child)
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&self, rows: u16, cols: u16) {
        self.screen.lock().unwrap().screen_mut().set_size(cells(rows), cells(cols));
        self.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    /// Closes this end, as a terminal window does.
    pub(crate) fn hang_up(self) {
        self.reading.store(false, Ordering::SeqCst);
    }

    pub(crate) fn shown(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    pub(crate) fn is_alternate(&self) -> bool {
        self.screen.lock().unwrap().screen().alternate_screen()
    }

    /// Whether the modes are those from before the command started.
    pub(crate) fn has_first_settings(&self) -> bool {
        format!("{:?}", self.master.get_termios()) == self.settings
    }

    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        wait_until(what, condition, || self.shown());
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        self.wait_until(text, || self.shown().contains(text));
    }

    /// Waits until the dashboard is drawn and has the terminal.
    #[track_caller]
    pub(crate) fn wait_until_up(&self) {
        self.wait_until("up", || {
            self.is_alternate() && self.shown().contains("╭ messages") && !self.has_first_settings()
        });
    }

    /// Expects the normal screen, a visible cursor and the default colour.
    #[track_caller]
    pub(crate) fn expect_normal_screen(&self) {
        let parser = self.screen.lock().unwrap();
        assert!(!parser.screen().alternate_screen() && !parser.screen().hide_cursor());
        assert_eq!(parser.screen().fgcolor(), vt100::Color::Default);
    }
}

#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool, shown: impl Fn() -> String) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}: never, but\n{}", shown());
        thread::sleep(Duration::from_millis(10));
    }
}
