use super::*;

#[test]
fn text_has_no_blanks_at_its_ends() {
    let buffer = Buffer::with_lines(["ab  ", "  c ", "    "]);
    assert_eq!(screen_text(&buffer), "ab\n  c");
}
