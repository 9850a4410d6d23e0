use toml::Value;

use crate::config::issue::check_bounds;
use crate::config::key::Key;

const RATE: Key = Key::number("rate", "a rate").above(0.0).at_most(1.0);

fn refused(key: &Key, value: impl Into<Value>) -> Option<String> {
    check_bounds("own", key, &value.into()).err().map(|issue| issue.message)
}

#[test]
fn the_ends_belong_to_a_range_or_not() {
    for allowed in [1e-9, 0.5, 1.0] {
        assert_eq!(refused(&RATE, allowed), None, "{allowed}");
    }
    for (found, shown) in [(0.0, "0"), (1.5, "1.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let message = format!("`own.rate` is {shown}. Use above 0, up to 1.");
        assert_eq!(refused(&RATE, found), Some(message));
    }
    let decay = RATE.at_least(0.0).below(1.0);
    assert_eq!((refused(&decay, 0), refused(&decay, 1).is_some()), (None, true));
}

#[test]
fn a_list_has_bounds_for_its_values_and_their_number() {
    let sides = Key::wholes("sides", "height and width").at_least(1.0).at_most(9.0).values(2, 2);
    let list = |values: &[i64]| Value::from(values.to_vec());
    assert_eq!(refused(&sides, list(&[1, 9])), None);
    for wrong in [&[1][..], &[1, 2, 3], &[0, 1], &[1, 10]] {
        assert!(refused(&sides, list(wrong)).is_some(), "{wrong:?}");
    }
    assert_eq!(sides.allowed_words(), "2 numbers, each 1 to 9");
}

#[test]
fn without_bounds_everything_is_allowed() {
    let free = Key::number("free", "anything");
    assert_eq!((refused(&free, f64::NAN), free.allowed_words()), (None, String::new()));
    // What is not a number has its own message.
    assert_eq!(refused(&RATE, "fast"), None);
}
