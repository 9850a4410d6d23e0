use super::*;

#[test]
fn counts_are_grouped() {
    assert_eq!(count(0), "0");
    assert_eq!(count(999), "999");
    assert_eq!(count(1000), "1,000");
    assert_eq!(count(1_234_567), "1,234,567");
}

#[test]
fn losses_keep_to_a_narrow_column() {
    let cases = [
        (0.0, "0.0000"),
        (0.43118, "0.4312"),
        (12.345, "12.35"),
        (123.45, "123.5"),
        (12345.6, "12346"),
        (1.5e9, "1.5e9"),
        (2e-5, "2.0e-5"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
    ];
    for (value, text) in cases {
        assert_eq!(loss(value), text);
    }
    assert_eq!(difference(0.0109), "+0.0109");
    assert_eq!(difference(-0.5), "−0.5000");
}

#[test]
fn durations_show_two_units() {
    let cases = [
        (0.4, "0s"),
        (59.4, "59s"),
        (63.0, "1m 03s"),
        (7500.0, "2h 05m"),
        (273_600.0, "3d 04h"),
        (f64::INFINITY, "–"),
        (-5.0, "0s"),
    ];
    for (value, text) in cases {
        assert_eq!(duration(value), text);
    }
    assert_eq!(cost(0.0124), "12 ms");
    assert_eq!(cost(3.44), "3.4 s");
    assert_eq!(clock(3723.0), "1:02:03");
}

#[test]
fn small_numbers_are_short() {
    assert_eq!(significant(0.001, 4), "0.001");
    assert_eq!(significant(0.000_349_99, 4), "0.00035");
    assert_eq!(significant(3.5e-5, 4), "3.5e-5");
    assert_eq!(significant(0.0, 4), "0");
    assert_eq!(percent(0.91234, 2), "91.23 %");
    assert_eq!(percent(f64::NAN, 2), "NaN");
    assert_eq!(rate(12345.4), "12,345");
    assert_eq!(rate(87.46), "87.5");
    assert_eq!(bytes(812), "812 B");
    assert_eq!(bytes(12_345_678), "12.3 MB");
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
