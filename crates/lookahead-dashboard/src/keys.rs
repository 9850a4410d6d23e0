//! The keys: one table drives what they do, the footer, the help and the documentation.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The keys that do it; the first is the one to name where there is room for one.
    pub keys: &'static [Key],
    /// Where they do it.
    pub place: Place,
    /// What they do.
    pub action: Action,
    /// A word for the footer; empty where the footer leaves it out.
    pub short: &'static str,
    /// A sentence for the help.
    pub help: &'static str,
}

/// Where a key has its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Everywhere but in the prompt.
    Anywhere,
    /// Over the charts.
    Charts,
    /// In the list of messages and in the help.
    List,
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character, as typed.
    Char(char),
    /// A character with the control key held.
    Ctrl(char),
    /// Another key.
    Code(KeyCode),
    /// Another key with shift held.
    Shift(KeyCode),
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Pauses a run that trains, and continues one that is paused.
    TogglePause,
    /// Asks for a checkpoint.
    Checkpoint,
    /// Asks for a checkpoint and the end of the run.
    Stop,
    /// Ends the dashboard and nothing else.
    Quit,
    /// In the training's process as [`Action::Stop`], and a second time ends the program at once; in
    /// a watcher as [`Action::Quit`].
    Interrupt,
    /// Stops the whole program, as a shell's job.
    Suspend,
    /// Lets the user write a command.
    Prompt,
    /// Shows the help, or takes it away.
    ToggleHelp,
    /// Takes away what lies over the charts.
    Close,
    /// Shows the chart whose number was pressed.
    PickChart,
    /// Shows the next chart.
    NextChart,
    /// Shows the previous chart.
    PreviousChart,
    /// Shows less of the x axis.
    ZoomIn,
    /// Shows more of it.
    ZoomOut,
    /// Shows what is left of the picture.
    PanLeft,
    /// Shows what is right of it.
    PanRight,
    /// Moves the cursor by a dot.
    CursorLeft,
    /// Moves the cursor by a dot.
    CursorRight,
    /// Moves the cursor by a tenth of the picture.
    CursorFarLeft,
    /// Moves the cursor by a tenth of the picture.
    CursorFarRight,
    /// Follows the newest step.
    Follow,
    /// Shows the whole run.
    ShowAll,
    /// Switches the y axis between linear and logarithmic.
    ToggleLog,
    /// Counts x in steps, epochs or time.
    NextAxis,
    /// Averages over fewer points.
    LessSmoothing,
    /// Averages over more points.
    MoreSmoothing,
    /// Shows or hides the points behind a smoothed line.
    ToggleRaw,
    /// Selects the previous run.
    PreviousRun,
    /// Selects the next run.
    NextRun,
    /// Shows or hides the selected run.
    ToggleRun,
    /// Shows all messages, or takes them away.
    ToggleMessages,
    /// Searches the messages.
    Search,
    /// Goes to an older message that was searched for.
    NextMatch,
    /// Goes to a newer one.
    PreviousMatch,
    /// Scrolls by a line.
    Up,
    /// Scrolls by a line.
    Down,
    /// Scrolls by a page.
    PageUp,
    /// Scrolls by a page.
    PageDown,
    /// Goes through the themes.
    NextTheme,
    /// Saves the chart as a picture.
    Save,
}

const fn binding(
    place: Place,
    keys: &'static [Key],
    action: Action,
    short: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, place, action, short, help }
}

use Key::{Char, Code, Ctrl, Shift};
use Place::{Anywhere, Charts, List};

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
pub const KEYS: &[Binding] = &[
    binding(
        Charts,
        &[Char('p')],
        Action::TogglePause,
        "pause",
        "Pause the run; again, continue it.",
    ),
    binding(
        Charts,
        &[Char('c')],
        Action::Checkpoint,
        "checkpoint",
        "Save a checkpoint now, and go on.",
    ),
    binding(
        Charts,
        &[Char('s')],
        Action::Stop,
        "stop",
        "Save a checkpoint and stop; `lookahead resume` continues from there. `lookahead watch` asks first.",
    ),
    binding(
        Anywhere,
        &[Char('q')],
        Action::Quit,
        "quit",
        "Leave the dashboard; the training goes on, and `lookahead watch` shows it again.",
    ),
    binding(
        Anywhere,
        &[Char(':')],
        Action::Prompt,
        "command",
        "Write a command, such as set optimizer.lr=0.01. A paste is text here, and ignored elsewhere.",
    ),
    binding(
        Anywhere,
        &[Char('?'), Char('h')],
        Action::ToggleHelp,
        "help",
        "Show this help, or close it.",
    ),
    binding(
        Charts,
        &[Code(KeyCode::Tab)],
        Action::NextChart,
        "",
        "Show the next chart; Shift-Tab the one before.",
    ),
    binding(Charts, &[Code(KeyCode::BackTab)], Action::PreviousChart, "", "Show the chart before."),
    binding(
        Charts,
        DIGITS,
        Action::PickChart,
        "",
        "Show the chart of that number, as in the list at the end of this help.",
    ),
    binding(Charts, &[Char('+'), Char('=')], Action::ZoomIn, "", "Zoom in, about the cursor."),
    binding(Charts, &[Char('-')], Action::ZoomOut, "", "Zoom out."),
    binding(Charts, &[Char('<'), Char(',')], Action::PanLeft, "", "Pan to earlier steps."),
    binding(Charts, &[Char('>'), Char('.')], Action::PanRight, "", "Pan to later steps."),
    binding(Charts, &[Char('f')], Action::Follow, "", "Follow the newest step, as close as now."),
    binding(Charts, &[Char('r')], Action::ShowAll, "", "Show the whole run."),
    binding(
        Charts,
        &[Code(KeyCode::Left)],
        Action::CursorLeft,
        "",
        "Move the cursor, which reads all values at a step; with Shift further.",
    ),
    binding(Charts, &[Code(KeyCode::Right)], Action::CursorRight, "", "Move it to later steps."),
    binding(Charts, &[Shift(KeyCode::Left)], Action::CursorFarLeft, "", "Move it a tenth back."),
    binding(Charts, &[Shift(KeyCode::Right)], Action::CursorFarRight, "", "Move it a tenth on."),
    binding(Charts, &[Char('l')], Action::ToggleLog, "", "Logarithmic or linear y axis."),
    binding(Charts, &[Char('x')], Action::NextAxis, "", "Count x in steps, epochs or time."),
    binding(Charts, &[Char('[')], Action::LessSmoothing, "", "Smooth over fewer points."),
    binding(Charts, &[Char(']')], Action::MoreSmoothing, "", "Smooth over more points."),
    binding(
        Charts,
        &[Char('o')],
        Action::ToggleRaw,
        "",
        "Show or hide the single points behind the smoothed line.",
    ),
    binding(Charts, &[Code(KeyCode::Up)], Action::PreviousRun, "", "Select the run before."),
    binding(Charts, &[Code(KeyCode::Down)], Action::NextRun, "", "Select the next run."),
    binding(Charts, &[Char(' ')], Action::ToggleRun, "", "Show or hide the selected run."),
    binding(
        Anywhere,
        &[Char('m')],
        Action::ToggleMessages,
        "",
        "Show all messages, or close them.",
    ),
    binding(Anywhere, &[Char('/')], Action::Search, "", "Search the messages."),
    binding(List, &[Char('n')], Action::NextMatch, "", "Go to the next older match."),
    binding(List, &[Char('N')], Action::PreviousMatch, "", "Go to the next newer match."),
    binding(List, &[Code(KeyCode::Up), Char('k')], Action::Up, "", "Scroll up."),
    binding(List, &[Code(KeyCode::Down), Char('j')], Action::Down, "", "Scroll down."),
    binding(List, &[Code(KeyCode::PageUp)], Action::PageUp, "", "Scroll up by a page."),
    binding(
        List,
        &[Code(KeyCode::PageDown), Char(' ')],
        Action::PageDown,
        "",
        "Scroll down by a page.",
    ),
    binding(
        Anywhere,
        &[Char('t')],
        Action::NextTheme,
        "",
        "Change colours: dark, light, color-blind, none.",
    ),
    binding(
        Charts,
        &[Char('w')],
        Action::Save,
        "",
        "Save the chart as a picture in the working folder.",
    ),
    binding(
        Anywhere,
        &[Code(KeyCode::Esc)],
        Action::Close,
        "",
        "Close what lies over the charts; then take the cursor away.",
    ),
    binding(
        Anywhere,
        &[Ctrl('c')],
        Action::Interrupt,
        "",
        "As s, and twice: end at once, unsaved; in `lookahead watch` as q.",
    ),
    binding(
        Anywhere,
        &[Ctrl('z')],
        Action::Suspend,
        "",
        "Halt the program, back to the shell; `fg` goes on.",
    ),
];

impl Key {
    /// How the key is written: `p`, `Ctrl-C`, `Esc`.
    ///
    /// ```
    /// use lookahead_dashboard::keys::Key;
    ///
    /// assert_eq!(Key::Ctrl('c').label(), "Ctrl-C");
    /// ```
    pub fn label(&self) -> String {
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
    /// The keys, as the help and the documentation write them.
    pub fn label(&self) -> String {
        if self.keys == DIGITS {
            return "1…9 0".into();
        }
        self.keys.iter().map(Key::label).collect::<Vec<_>>().join(" ")
    }
}

/// The table as Markdown, as the documentation has it.
pub fn markdown() -> String {
    let mut text = String::from("| key | does |\n|---|---|\n");
    for binding in KEYS {
        let place = if binding.place == List { " (in messages and help)" } else { "" };
        let keys: Vec<String> = match binding.keys == DIGITS {
            true => vec!["`1`…`9` `0`".into()],
            false => binding.keys.iter().map(|key| format!("`{}`", key.label())).collect(),
        };
        text.push_str(&format!("| {} | {}{place} |\n", keys.join(" "), binding.help));
    }
    text
}

/// What a key event asks for in a place, by the table.
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
mod tests {
    use super::*;

    fn press(code: KeyCode, modifiers: KeyModifiers, place: Place) -> Option<Action> {
        action(&KeyEvent::new(code, modifiers), place)
    }

    fn event(key: Key) -> KeyEvent {
        match key {
            Char(letter) => KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE),
            Ctrl(letter) => KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL),
            Code(code) => KeyEvent::new(code, KeyModifiers::NONE),
            Shift(code) => KeyEvent::new(code, KeyModifiers::SHIFT),
        }
    }

    #[test]
    fn every_key_of_the_table_does_what_it_says() {
        for binding in KEYS {
            for key in binding.keys {
                let places = match binding.place {
                    Anywhere => vec![Charts, List],
                    place => vec![place],
                };
                for place in places {
                    let action = action(&event(*key), place);
                    assert_eq!(action, Some(binding.action), "{}", key.label());
                }
            }
        }
    }

    #[test]
    fn no_key_stands_twice_in_a_place() {
        for place in [Charts, List] {
            let there = KEYS.iter().filter(|b| b.place == Anywhere || b.place == place);
            let keys: Vec<Key> = there.flat_map(|binding| binding.keys).copied().collect();
            for (index, key) in keys.iter().enumerate() {
                assert!(!keys[..index].contains(key), "{}", key.label());
            }
        }
    }

    /// `crates/lookahead-dashboard/README.md` has this table; to mend it, take it from the failure.
    #[test]
    fn the_documentation_has_the_table() {
        let readme = include_str!("../README.md");
        assert!(readme.contains(&markdown()), "write into README.md:\n{}", markdown());
    }

    #[test]
    fn modifiers_tell_keys_apart() {
        let press = |code, modifiers| press(code, modifiers, Charts);
        assert_eq!(press(KeyCode::Char('p'), KeyModifiers::CONTROL), None);
        assert_eq!(press(KeyCode::Char('s'), KeyModifiers::ALT), None);
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Action::Interrupt));
        assert_eq!(press(KeyCode::Char('?'), KeyModifiers::SHIFT), Some(Action::ToggleHelp));
        assert_eq!(press(KeyCode::Left, KeyModifiers::NONE), Some(Action::CursorLeft));
        assert_eq!(press(KeyCode::Left, KeyModifiers::SHIFT), Some(Action::CursorFarLeft));
        assert_eq!(press(KeyCode::BackTab, KeyModifiers::SHIFT), Some(Action::PreviousChart));
        assert_eq!(press(KeyCode::Char('z'), KeyModifiers::NONE), None);
    }

    #[test]
    fn releasing_a_key_does_nothing() {
        let mut event = KeyEvent::new(KeyCode::Char('p'), KeyModifiers::NONE);
        event.kind = KeyEventKind::Release;
        assert_eq!(action(&event, Charts), None);
    }
}
