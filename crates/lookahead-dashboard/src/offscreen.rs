//! A dashboard without a terminal, for pictures and measurements.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use lookahead_run::event::Record;
use lookahead_run::format::safe;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use crate::message::{Effect, Message, RunUpdate};
use crate::model::table::Table;
use crate::model::{Model, Role};
use crate::options::Options;
use crate::table_reader;
use crate::update::update;
use crate::view::view;
use crate::watch::RunSource;

/// A dashboard that draws into memory. It handles events and keys as one on a terminal does, but sends no
/// commands and saves no pictures.
///
/// ```
/// use lookahead_dashboard::{Offscreen, Options};
///
/// let mut dashboard = Offscreen::new(&["mnist"], &Options::default(), 80, 24);
/// let (screen, bytes) = dashboard.draw()?;
/// assert_eq!(screen.area.width, 80);
/// assert!(bytes > 0, "the first frame is drawn whole");
/// assert!(dashboard.draw()?.1 < 50, "the second has no changes");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Offscreen {
    model: Model,
    terminal: Terminal<CrosstermBackend<Counter>>,
    written: Rc<Cell<usize>>,
    size: Rect,
}

/// Counts the bytes for a terminal.
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
    /// A dashboard of runs with these names, on a screen of these columns and rows.
    pub fn new(runs: &[&str], options: &Options, width: u16, height: u16) -> Self {
        let runs: Vec<String> = runs.iter().map(|name| (*name).to_owned()).collect();
        let mut model = Model::new(options, Role::Watcher, &runs);
        update(&mut model, Message::Resize(width, height));
        let written = Rc::new(Cell::new(0));
        let size = Rect { x: 0, y: 0, width, height };
        let backend = CrosstermBackend::new(Counter(written.clone()));
        let terminal =
            Terminal::with_options(backend, TerminalOptions { viewport: Viewport::Fixed(size) })
                .expect("a terminal of fixed size needs no system call");
        Offscreen { model, terminal, written, size }
    }

    /// A dashboard with a table of runs, which are read before this returns.
    ///
    /// ```no_run
    /// use lookahead_dashboard::{Offscreen, Options, RunSource};
    ///
    /// let find = Box::new(|| vec![("mnist".to_owned(), "checkpoints/mnist".into())]);
    /// let source = RunSource { title: "checkpoints".to_owned(), planned: None, find };
    /// let (screen, _) = Offscreen::browse(source, &Options::default(), 80, 24).draw()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn browse(source: RunSource, options: &Options, width: u16, height: u16) -> Self {
        let mut dashboard = Offscreen::new(&[], options, width, height);
        let mut table = Table::new(&safe(&source.title), source.planned);
        table_reader::read_all(source.find, |update| table.apply(update));
        dashboard.model.table = Some(table);
        dashboard
    }

    /// Adds an event of the run with this number.
    pub fn feed(&mut self, run: usize, record: Record) {
        update(&mut self.model, Message::Run(run, RunUpdate::Record(Box::new(record))));
    }

    /// Presses a key; returns whether it would send a command or save a picture.
    pub fn press(&mut self, key: KeyCode) -> bool {
        let key = KeyEvent::new(key, KeyModifiers::NONE);
        let effects = update(&mut self.model, Message::Key(key));
        effects.iter().any(|effect| *effect != Effect::Remember)
    }

    /// Loses the connection to the machine of the run with this number: why, as a clause, and the seconds until the next
    /// attempt.
    pub fn disconnect(&mut self, run: usize, host: &str, why: &str, seconds: f64) {
        let (host, why, retry) = (host.to_owned(), why.to_owned(), self.model.now + seconds);
        update(&mut self.model, Message::Run(run, RunUpdate::Disconnected { host, why, retry }));
    }

    /// Sets the current Unix time.
    pub fn tick(&mut self, now: f64) {
        update(&mut self.model, Message::Tick(now));
    }

    /// Unix time of the newest event.
    pub fn newest(&self) -> f64 {
        let of_runs = self.model.runs.iter().filter_map(|run| run.summary.last_time);
        let of_table = self.model.table.iter().flat_map(Table::rows).filter_map(|row| row.last);
        of_runs.chain(of_table).fold(0.0, f64::max)
    }

    /// Draws a frame; returns the screen, and the bytes for a terminal.
    ///
    /// # Errors
    /// Ratatui's, of which none is known to occur.
    pub fn draw(&mut self) -> io::Result<(Buffer, usize)> {
        let before = self.written.get();
        let model = &mut self.model;
        let mut scales = Vec::new();
        let frame = self.terminal.draw(|frame| scales = view(model, frame))?;
        model.view.scales = scales;
        let buffer = frame.buffer.clone();
        debug_assert_eq!(buffer.area, self.size);
        Ok((buffer, self.written.get() - before))
    }
}
