use super::*;

#[test]
fn differences_have_a_sign_and_times_line_up() {
    assert_eq!(difference(0.0109), "+0.0109");
    assert_eq!(difference(-0.5), "−0.5000");
    assert_eq!(clock(3723.0), "1:02:03");
}

#[test]
fn axis_labels_share_their_decimals() {
    assert_eq!(axis(&[0.0, 1.25, 2.5]), ["0.00", "1.25", "2.50"]);
    assert_eq!(axis(&[0.4, 0.45, 0.5]), ["0.40", "0.45", "0.50"]);
    assert_eq!(axis(&[0.0, 50.0, 100.0]), ["0", "50", "100"]);
    assert_eq!(axis(&[0.0, 0.5, 1.0]), ["0.0", "0.5", "1.0"]);
    assert_eq!(axis(&[1e-4, 2e-4]), ["1.00e-4", "2.00e-4"]);
    assert_eq!(axis(&[-1e6, 0.0]), ["-1.0e6", "0.0e0"]);
    assert_eq!(axis(&[0.3]), ["0.3"]);
    assert!(axis(&[]).is_empty());
}

#[test]
fn wrapping_keeps_every_letter() {
    assert_eq!(wrap("one two three", 7), ["one two", "three"]);
    assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
    assert_eq!(wrap("", 5), [""]);
    assert_eq!(wrap("a b", 0), ["a", "b"]);
}
