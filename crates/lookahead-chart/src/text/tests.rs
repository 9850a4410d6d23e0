use super::*;

#[test]
fn the_font_has_the_signs_of_the_figures() {
    for sign in "θφα‖Δ−×⁰¹²³⁴⁵⁶⁷⁸⁹⁻…–±→".chars() {
        assert!(FONT.charmap().map(sign).is_some(), "{sign}");
    }
    assert!(FONT.charmap().map('\u{e123}').is_none());
}

#[test]
fn an_em_dash_is_an_em_wide() {
    assert!((width("—", 100.0) - 100.0).abs() < 0.1, "{}", width("—", 100.0));
    assert!((width("——", 10.0) - 20.0).abs() < 0.1);
}

#[test]
fn a_text_is_cut_at_its_width() {
    let text = "training loss of the fast weights";
    let most = width("training loss", 12.0);
    let cut = fit(text, 12.0, most);
    assert!(cut.starts_with("training l") && cut.ends_with('…'), "{cut}");
    assert!(width(&cut, 12.0) <= most);
    assert_eq!([fit(text, 12.0, 1e6).as_str(), &fit(text, 12.0, -3.0)], [text, ""]);
    assert_eq!(fit("a\nb\u{0}\u{1b}", 12.0, 100.0), "a b");
}

#[test]
fn lines_break_between_words_and_end() {
    let most = width("one two", 12.0);
    assert_eq!(wrap("one two three", 12.0, most, 3), ["one two", "three"]);
    let two = wrap("one two three four five six", 12.0, most, 2);
    assert!(two.len() == 2 && two[1].ends_with('…'), "{two:?}");
    assert!(wrap(" ", 12.0, most, 3).is_empty());
}
