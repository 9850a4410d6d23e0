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
fn every_key_of_the_table_has_its_action() {
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
fn no_key_is_bound_twice_in_a_place() {
    for place in [Charts, List] {
        let there = KEYS.iter().filter(|b| b.place == Anywhere || b.place == place);
        let keys: Vec<Key> = there.flat_map(|binding| binding.keys).copied().collect();
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{}", key.label());
        }
    }
}

/// The table as Markdown.
fn markdown() -> String {
    let mut text = String::from("| key | does |\n|---|---|\n");
    for binding in KEYS {
        let place = if binding.place == List { " (in messages and help)" } else { "" };
        let keys = if binding.keys == DIGITS {
            "`1`…`9` `0`".to_owned()
        } else {
            let keys = binding.keys.iter().map(|key| format!("`{}`", key.label()));
            keys.collect::<Vec<_>>().join(" ")
        };
        text.push_str(&format!("| {keys} | {}{place} |\n", binding.help));
    }
    text
}

/// `crates/lookahead-dashboard/README.md` has this table; to fix it, copy it from the failure.
#[test]
fn the_documentation_has_the_table() {
    let readme = include_str!("../../README.md");
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
    assert_eq!(Key::Ctrl('c').label(), "Ctrl-C");
}

#[test]
fn releasing_a_key_does_nothing() {
    let mut event = KeyEvent::new(KeyCode::Char('p'), KeyModifiers::NONE);
    event.kind = KeyEventKind::Release;
    assert_eq!(action(&event, Charts), None);
}
