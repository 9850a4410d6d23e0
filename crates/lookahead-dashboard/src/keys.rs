//! The keys: one table drives what they do, the footer, the help and the documentation.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The keys that do it; the first is the one to name where there is room for one.
    pub keys: &'static [Key],
    /// What they do.
    pub action: Action,
    /// A word for the footer; empty where the footer leaves it out.
    pub short: &'static str,
    /// A sentence for the help.
    pub help: &'static str,
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character, as typed.
    Char(char),
    /// A character with the control key held.
    Ctrl(char),
    /// The escape key.
    Esc,
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
    /// As [`Action::Stop`], and a second time ends the program at once.
    Interrupt,
    /// Stops the whole program, as a shell's job.
    Suspend,
    /// Shows the help, or takes it away.
    ToggleHelp,
    /// Takes away what lies over the dashboard.
    Close,
}

/// The table of keys.
pub const KEYS: &[Binding] = &[
    Binding {
        keys: &[Key::Char('p')],
        action: Action::TogglePause,
        short: "pause",
        help: "Pause the run; again, continue it.",
    },
    Binding {
        keys: &[Key::Char('c')],
        action: Action::Checkpoint,
        short: "checkpoint",
        help: "Save a checkpoint now, and go on.",
    },
    Binding {
        keys: &[Key::Char('s'), Key::Char('q')],
        action: Action::Stop,
        short: "stop",
        help: "Save a checkpoint and stop; `lookahead resume` goes on from there.",
    },
    Binding {
        keys: &[Key::Ctrl('c')],
        action: Action::Interrupt,
        short: "",
        help: "As s; a second time, end at once without a checkpoint.",
    },
    Binding {
        keys: &[Key::Ctrl('z')],
        action: Action::Suspend,
        short: "",
        help: "Halt the program, back to the shell; `fg` goes on.",
    },
    Binding {
        keys: &[Key::Char('?'), Key::Char('h')],
        action: Action::ToggleHelp,
        short: "help",
        help: "Show this help, or close it.",
    },
    Binding { keys: &[Key::Esc], action: Action::Close, short: "", help: "Close this help." },
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
            Key::Char(letter) => letter.to_string(),
            Key::Ctrl(letter) => format!("Ctrl-{}", letter.to_ascii_uppercase()),
            Key::Esc => "Esc".into(),
        }
    }

    fn matches(&self, event: &KeyEvent) -> bool {
        // Shift is part of the character already, and some terminals report it besides.
        let held = event.modifiers & !KeyModifiers::SHIFT;
        match *self {
            Key::Char(letter) => event.code == KeyCode::Char(letter) && held.is_empty(),
            Key::Ctrl(letter) => {
                event.code == KeyCode::Char(letter) && held == KeyModifiers::CONTROL
            }
            Key::Esc => event.code == KeyCode::Esc,
        }
    }
}

/// What a key event asks for, by the table.
pub(crate) fn action(event: &KeyEvent) -> Option<Action> {
    // Terminals with the newer keyboard protocols report the release too.
    if event.kind == KeyEventKind::Release {
        return None;
    }
    KEYS.iter()
        .find(|binding| binding.keys.iter().any(|key| key.matches(event)))
        .map(|binding| binding.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(code: KeyCode, modifiers: KeyModifiers) -> Option<Action> {
        action(&KeyEvent::new(code, modifiers))
    }

    #[test]
    fn every_key_of_the_table_does_what_it_says() {
        for binding in KEYS {
            for key in binding.keys {
                let event = match *key {
                    Key::Char(letter) => press(KeyCode::Char(letter), KeyModifiers::NONE),
                    Key::Ctrl(letter) => press(KeyCode::Char(letter), KeyModifiers::CONTROL),
                    Key::Esc => press(KeyCode::Esc, KeyModifiers::NONE),
                };
                assert_eq!(event, Some(binding.action), "{}", key.label());
            }
        }
    }

    #[test]
    fn no_key_stands_twice() {
        let keys: Vec<Key> = KEYS.iter().flat_map(|binding| binding.keys).copied().collect();
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{}", key.label());
        }
    }

    #[test]
    fn modifiers_tell_keys_apart() {
        assert_eq!(press(KeyCode::Char('p'), KeyModifiers::CONTROL), None);
        assert_eq!(press(KeyCode::Char('s'), KeyModifiers::ALT), None);
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Action::Interrupt));
        assert_eq!(press(KeyCode::Char('?'), KeyModifiers::SHIFT), Some(Action::ToggleHelp));
        assert_eq!(press(KeyCode::Char('x'), KeyModifiers::NONE), None);
    }

    #[test]
    fn releasing_a_key_does_nothing() {
        let mut event = KeyEvent::new(KeyCode::Char('p'), KeyModifiers::NONE);
        event.kind = KeyEventKind::Release;
        assert_eq!(action(&event), None);
    }
}
