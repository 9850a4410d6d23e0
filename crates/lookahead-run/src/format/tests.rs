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
fn a_time_span_is_in_its_largest_unit() {
    let spans = [-1.0, 1.9, 59.0, 60.0, 7199.0, 7200.0, 86_400.0, 1e9];
    let wanted = [
        "0 seconds ago",
        "1 second ago",
        "59 seconds ago",
        "1 minute ago",
        "1 hour ago",
        "2 hours ago",
        "1 day ago",
        "11,574 days ago",
    ];
    assert_eq!(spans.map(ago), wanted);
}

#[test]
fn names_are_shown_safely_and_told_apart() {
    let names = [
        "loss",
        "lo\u{200b}ss",
        "lo\u{ad}ss",
        "\u{202e}loss",
        "loss\n",
        "\u{1b}[2Jloss",
        "\u{feff}loss",
        "\u{2067}loss",
        "l\u{2028}oss",
        "\u{e0041}loss",
    ];
    let shown: std::collections::BTreeSet<String> = names.iter().map(|name| safe(name)).collect();
    assert_eq!(shown.len(), names.len());
    for name in &shown {
        assert!(name.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{name:?}");
    }
    for name in ["漢字", "‖θ − φ‖", "val/acc.", "عدد", "e\u{301}", "\u{1f468}\u{200d}\u{1f469}"]
    {
        assert_eq!(safe(name), name);
    }
    assert_eq!(safe(&"x".repeat(1000)).chars().count(), LONGEST_NAME + 1);
}

#[test]
fn texts_keep_their_lines_and_nothing_that_a_terminal_acts_on() {
    let text = "a\tb\n\u{1b}[31mred\u{202e}\0\u{9b}2J\r".to_owned() + &"x".repeat(1000);
    let shown = safe_text(&text);
    assert!(shown.starts_with("a\tb\n\\u{1b}[31mred\\u{202e}\\u{0}\\u{9b}2J\\rxxx"), "{shown}");
    assert!(shown.ends_with(&"x".repeat(1000)));
}

#[test]
fn short_durations_are_not_zero() {
    for (seconds, text) in
        [(0.000_39, "0.39 ms"), (0.012, "12 ms"), (0.0, "0 ms"), (90.0, "1m 30s")]
    {
        assert_eq!(short_duration(seconds), text);
    }
}
