use super::*;

#[test]
fn the_keys_of_presets_are_those_in_which_one_differs() {
    let defaults = Table::try_from(LookaheadConfig::default()).unwrap();
    let mut differing = std::collections::BTreeSet::new();
    for &name in KEYS[0].choices {
        let section = Table::from_iter([("preset".to_owned(), Value::from(name))]);
        let settings = settings_of_preset(&section).unwrap().unwrap();
        let own = settings.into_iter().filter(|(key, value)| defaults.get(key) != Some(value));
        differing.extend(own.map(|(key, _)| key));
    }
    assert_eq!(differing, OF_PRESETS.map(str::to_owned).into());
}
