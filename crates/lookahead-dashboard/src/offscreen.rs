//! The dashboard without a terminal: for pictures of it, and to measure it.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use lookahead_run::event::Record;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use crate::message::{Effect, Message, RunUpdate};
use crate::model::{Model, Role};
use crate::options::Options;
use crate::theme::Theme;
use crate::update::update;
use crate::view::view;

/// A dashboard that draws into memory. It does what the one on a terminal does with the same events
/// and keys, but for what a key asks of a run or of a disk.
///
/// ```
/// use lookahead_dashboard::{Offscreen, Options};
///
/// let mut dashboard = Offscreen::new(&["mnist"], &Options::default(), 80, 24);
/// let (screen, bytes) = dashboard.draw()?;
/// assert_eq!(screen.area.width, 80);
/// assert!(bytes > 0, "of the first frame all is news");
/// assert!(dashboard.draw()?.1 < 50, "and of the second nothing");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Offscreen {
    model: Model,
    terminal: Terminal<CrosstermBackend<Counter>>,
    written: Rc<Cell<usize>>,
    size: Rect,
}

/// Counts the bytes that a terminal would get.
#[derive(Debug)]
struct Counter(Rc<Cell<usize>>);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Offscreen {
    /// A dashboard of runs with these names, on a screen of that many columns and rows.
    pub fn new(runs: &[&str], options: &Options, width: u16, height: u16) -> Self {
        let runs = runs.iter().map(|name| (*name).to_owned()).collect();
        let mut model = Model::new(Theme::new(options.theme), Role::Watcher, runs);
        model.ascii = options.ascii;
        update(&mut model, Message::Resize(width, height));
        let written = Rc::new(Cell::new(0));
        let size = Rect { x: 0, y: 0, width, height };
        let backend = CrosstermBackend::new(Counter(written.clone()));
        let terminal =
            Terminal::with_options(backend, TerminalOptions { viewport: Viewport::Fixed(size) })
                .expect("a terminal of a given size asks nothing of the system");
        Offscreen { model, terminal, written, size }
    }

    /// Takes in an event of the run of that number.
    pub fn feed(&mut self, run: usize, record: Record) {
        update(&mut self.model, Message::Run(run, RunUpdate::Record(Box::new(record))));
    }

    /// Presses a key; whether it asked for something of a run or of a disk, which is not done.
    pub fn press(&mut self, key: KeyCode) -> bool {
        let key = KeyEvent::new(key, KeyModifiers::NONE);
        let effects = update(&mut self.model, Message::Key(key));
        effects.iter().any(|effect| matches!(effect, Effect::Ask(..) | Effect::Save(_)))
    }

    /// It is that Unix time now.
    pub fn tick(&mut self, now: f64) {
        update(&mut self.model, Message::Tick(now));
    }

    /// Unix time of the newest event of all runs.
    pub fn newest(&self) -> f64 {
        self.model.runs.iter().map(|run| run.summary.last_time.unwrap_or(0.0)).fold(0.0, f64::max)
    }

    /// Draws a frame: the screen, and how many bytes a terminal would get for what changed.
    ///
    /// # Errors
    /// None, as far as is known: ratatui's signature has them.
    pub fn draw(&mut self) -> io::Result<(Buffer, usize)> {
        let before = self.written.get();
        let model = &self.model;
        let frame = self.terminal.draw(|frame| view(model, frame))?;
        let buffer = frame.buffer.clone();
        debug_assert_eq!(buffer.area, self.size);
        Ok((buffer, self.written.get() - before))
    }
}
