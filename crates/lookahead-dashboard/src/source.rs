//! Where keys come from, and who has the terminal.

use std::io;

use crossterm::event::Event;

/// Who has the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TerminalState {
    Held,
    /// The dashboard has just got it back: nothing drawn before is left.
    Reacquired,
    /// The shell has it, because the process stops or runs in the background.
    Released,
}

/// A terminal, or a substitute in tests.
pub(crate) trait EventSource {
    /// The next event, if there is one; never waits.
    fn next(&mut self) -> io::Result<Option<Event>>;

    /// Whether there is a terminal to draw on; reacquires it if possible.
    fn terminal_state(&mut self) -> io::Result<TerminalState> {
        Ok(TerminalState::Held)
    }

    /// Stops the whole process and returns to the shell.
    fn suspend(&mut self) {}
}
