use super::*;

fn event(key: Key) -> KeyEvent {
    match key {
        Char(letter) => KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE),
        Ctrl(letter) => KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL),
        Code(code) => KeyEvent::new(code, KeyModifiers::NONE),
        Shift(code) => KeyEvent::new(code, KeyModifiers::SHIFT),
    }
}

/// The bindings of a place.
fn bindings(place: Place) -> impl Iterator<Item = &'static Binding> {
    KEYS.iter().filter(move |binding| binding.place.includes(place))
}

#[test]
fn every_key_of_the_table_has_its_binding() {
    for place in [Charts, List, Table] {
        for binding in bindings(place) {
            for key in binding.keys {
                let found = find(&event(*key), place).unwrap();
                assert!(std::ptr::eq(found, binding), "{}", key.label());
            }
        }
    }
}

#[test]
fn no_key_is_bound_twice_in_a_place() {
    for place in [Charts, List, Table] {
        let keys: Vec<Key> = bindings(place).flat_map(|binding| binding.keys).copied().collect();
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{}", key.label());
        }
    }
}

/// The table as Markdown.
fn markdown() -> String {
    let mut text = String::from("| key | does |\n|---|---|\n");
    for binding in KEYS {
        let place = match binding.place {
            List => " (in messages and help)",
            Table => " (in the table of runs)",
            _ => "",
        };
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
    const NONE: KeyModifiers = KeyModifiers::NONE;
    for (code, modifiers, key) in [
        (KeyCode::Char('p'), KeyModifiers::CONTROL, None),
        (KeyCode::Char('s'), KeyModifiers::ALT, None),
        (KeyCode::Char('c'), KeyModifiers::CONTROL, Some("Ctrl-C")),
        (KeyCode::Char('?'), KeyModifiers::SHIFT, Some("? h")),
        (KeyCode::Left, NONE, Some("←")),
        (KeyCode::Left, KeyModifiers::SHIFT, Some("Shift-←")),
        (KeyCode::BackTab, KeyModifiers::SHIFT, Some("Shift-Tab")),
        (KeyCode::Char('z'), NONE, None),
    ] {
        let found = find(&KeyEvent::new(code, modifiers), Charts).map(Binding::label);
        assert_eq!(found.as_deref(), key);
    }
}
