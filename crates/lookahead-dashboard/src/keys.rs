//! The keys: one table drives what they do, the footer, the help and the documentation.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A row of the table.
#[derive(Debug, PartialEq)]
pub(crate) struct Binding {
    /// The keys; the footer names the first.
    pub(crate) keys: &'static [Key],
    pub(crate) place: Place,
    pub(crate) action: Action,
    /// A word for the footer; empty if the footer leaves the key out.
    pub(crate) short: &'static str,
    /// A sentence for the help.
    pub(crate) help: &'static str,
}

/// Where a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Everywhere but in the prompt.
    Anywhere,
    Charts,
    /// In the list of messages and in the help.
    List,
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// A character, as typed.
    Char(char),
    Ctrl(char),
    /// Another key.
    Code(KeyCode),
    /// Another key with Shift.
    Shift(KeyCode),
}

/// What a key does; the [table](KEYS) describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    TogglePause,
    Checkpoint,
    Stop,
    Quit,
    Interrupt,
    Suspend,
    Prompt,
    ToggleHelp,
    Close,
    PickChart,
    NextChart,
    PreviousChart,
    ZoomIn,
    ZoomOut,
    PanLeft,
    PanRight,
    CursorLeft,
    CursorRight,
    CursorFarLeft,
    CursorFarRight,
    Follow,
    ShowAll,
    ToggleLog,
    NextAxis,
    LessSmoothing,
    MoreSmoothing,
    ToggleRaw,
    PreviousRun,
    NextRun,
    ToggleRun,
    ToggleMessages,
    Search,
    NextMatch,
    PreviousMatch,
    Up,
    Down,
    PageUp,
    PageDown,
    NextTheme,
    Save,
}

use Action::*;
use Key::{Char, Code, Ctrl, Shift};
use Place::{Anywhere, Charts, List};

const fn bind(place: Place, keys: &'static [Key], action: Action, help: &'static str) -> Binding {
    Binding { keys, place, action, short: "", help }
}

impl Binding {
    const fn footer(self, short: &'static str) -> Binding {
        Binding { short, ..self }
    }
}

const DIGITS: &[Key] = &[
    Char('1'),
    Char('2'),
    Char('3'),
    Char('4'),
    Char('5'),
    Char('6'),
    Char('7'),
    Char('8'),
    Char('9'),
    Char('0'),
];

/// The table of keys.
#[rustfmt::skip]
pub(crate) const KEYS: &[Binding] = &[
    bind(Charts, &[Char('p')], TogglePause, "Pause the run, or continue it.").footer("pause"),
    bind(Charts, &[Char('c')], Checkpoint, "Save a checkpoint now.").footer("checkpoint"),
    bind(Charts, &[Char('s')], Stop,
        "Save a checkpoint and stop; `lookahead resume` continues from it. `lookahead watch` asks first.")
        .footer("stop"),
    bind(Anywhere, &[Char('q')], Quit,
        "Leave the dashboard; the training continues, and `lookahead watch` shows it again.")
        .footer("quit"),
    bind(Anywhere, &[Char(':')], Prompt,
        "Enter a command, for example set optimizer.lr=0.01. Pasted text is accepted only here.")
        .footer("command"),
    bind(Anywhere, &[Char('?'), Char('h')], ToggleHelp, "Show or close this help.").footer("help"),
    bind(Charts, &[Code(KeyCode::Tab)], NextChart, "Show the next chart."),
    bind(Charts, &[Code(KeyCode::BackTab)], PreviousChart, "Show the previous chart."),
    bind(Charts, DIGITS, PickChart, "Show the chart with this number, as listed at the end of this help."),
    bind(Charts, &[Char('+'), Char('=')], ZoomIn, "Zoom in around the cursor."),
    bind(Charts, &[Char('-')], ZoomOut, "Zoom out."),
    bind(Charts, &[Char('<'), Char(',')], PanLeft, "Pan to earlier steps."),
    bind(Charts, &[Char('>'), Char('.')], PanRight, "Pan to later steps."),
    bind(Charts, &[Char('f')], Follow, "Follow the newest step at the current zoom."),
    bind(Charts, &[Char('r')], ShowAll, "Show the whole run."),
    bind(Charts, &[Code(KeyCode::Left)], CursorLeft, "Move the cursor, which reads all values at a step, to the left."),
    bind(Charts, &[Code(KeyCode::Right)], CursorRight, "Move the cursor to the right."),
    bind(Charts, &[Shift(KeyCode::Left)], CursorFarLeft, "Move the cursor by a tenth of the chart to the left."),
    bind(Charts, &[Shift(KeyCode::Right)], CursorFarRight, "Move the cursor by a tenth of the chart to the right."),
    bind(Charts, &[Char('l')], ToggleLog, "Switch the y axis between linear and logarithmic."),
    bind(Charts, &[Char('x')], NextAxis, "Switch the x axis between steps, epochs and time."),
    bind(Charts, &[Char('[')], LessSmoothing, "Smooth over fewer points."),
    bind(Charts, &[Char(']')], MoreSmoothing, "Smooth over more points."),
    bind(Charts, &[Char('o')], ToggleRaw, "Show or hide the single points behind the smoothed line."),
    bind(Charts, &[Code(KeyCode::Up)], PreviousRun, "Select the previous run."),
    bind(Charts, &[Code(KeyCode::Down)], NextRun, "Select the next run."),
    bind(Charts, &[Char(' ')], ToggleRun, "Show or hide the selected run."),
    bind(Anywhere, &[Char('m')], ToggleMessages, "Show or close all messages."),
    bind(Anywhere, &[Char('/')], Search, "Search the messages."),
    bind(List, &[Char('n')], NextMatch, "Go to the next older match."),
    bind(List, &[Char('N')], PreviousMatch, "Go to the next newer match."),
    bind(List, &[Code(KeyCode::Up), Char('k')], Up, "Scroll up."),
    bind(List, &[Code(KeyCode::Down), Char('j')], Down, "Scroll down."),
    bind(List, &[Code(KeyCode::PageUp)], PageUp, "Scroll up by a page."),
    bind(List, &[Code(KeyCode::PageDown), Char(' ')], PageDown, "Scroll down by a page."),
    bind(Anywhere, &[Char('t')], NextTheme, "Switch the colours: dark, light, color-blind, none."),
    bind(Charts, &[Char('w')], Save, "Save the chart as a picture in the working directory."),
    bind(Anywhere, &[Code(KeyCode::Esc)], Close, "Close what covers the charts; then remove the cursor."),
    bind(Anywhere, &[Ctrl('c')], Interrupt,
        "As s; twice, exit at once without saving. In `lookahead watch` as q."),
    bind(Anywhere, &[Ctrl('z')], Suspend, "Suspend the program and return to the shell; `fg` resumes it."),
];

impl Key {
    /// The name of the key: `p`, `Ctrl-C`, `Esc`.
    pub(crate) fn label(&self) -> String {
        match self {
            Char(' ') => "Space".into(),
            Char(letter) => letter.to_string(),
            Ctrl(letter) => format!("Ctrl-{}", letter.to_ascii_uppercase()),
            Code(code) => code_label(*code),
            Shift(code) => format!("Shift-{}", code_label(*code)),
        }
    }

    fn matches(&self, event: &KeyEvent) -> bool {
        // Shift is part of the character already, and some terminals report it besides.
        let held = event.modifiers & !KeyModifiers::SHIFT;
        let shift = event.modifiers.contains(KeyModifiers::SHIFT);
        match *self {
            Char(letter) => event.code == KeyCode::Char(letter) && held.is_empty(),
            Ctrl(letter) => event.code == KeyCode::Char(letter) && held == KeyModifiers::CONTROL,
            Code(KeyCode::BackTab) => event.code == KeyCode::BackTab && held.is_empty(),
            Code(code) => event.code == code && held.is_empty() && !shift,
            Shift(code) => event.code == code && held.is_empty() && shift,
        }
    }
}

fn code_label(code: KeyCode) -> String {
    match code {
        KeyCode::Left => "←".into(),
        KeyCode::Right => "→".into(),
        KeyCode::Up => "↑".into(),
        KeyCode::Down => "↓".into(),
        KeyCode::PageUp => "PgUp".into(),
        KeyCode::PageDown => "PgDn".into(),
        KeyCode::BackTab => "Shift-Tab".into(),
        code => code.to_string(),
    }
}

impl Binding {
    /// The keys, as the help writes them.
    pub(crate) fn label(&self) -> String {
        if self.keys == DIGITS {
            return "1…9 0".into();
        }
        self.keys.iter().map(Key::label).collect::<Vec<_>>().join(" ")
    }
}

/// The action of a key event in a place.
pub(crate) fn action(event: &KeyEvent, place: Place) -> Option<Action> {
    // Terminals with the newer keyboard protocols report the release too.
    if event.kind == KeyEventKind::Release {
        return None;
    }
    KEYS.iter()
        .filter(|binding| binding.place == Anywhere || binding.place == place)
        .find(|binding| binding.keys.iter().any(|key| key.matches(event)))
        .map(|binding| binding.action)
}

#[cfg(test)]
mod tests;
