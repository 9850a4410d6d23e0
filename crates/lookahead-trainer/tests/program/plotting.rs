//! Runs as pictures: what is typed, and what the pictures say.

use crate::common::session::{DIGITS, Session};

/// Prints the words of a picture, without those that have measured numbers.
fn words(picture: &str) -> String {
    format!(
        "grep -o '>[^<>]*</text>' {picture} | sed 's/>//; s/<.*//' | grep '[a-z]' | grep -v '[0-9][.][0-9]'"
    )
}

#[test]
fn a_picture_says_what_its_lines_and_marks_are() {
    let mut session = Session::new();
    session.write("digits.toml", &format!("{DIGITS}\n[probe]\nevery_syncs = 1\n"));
    session.quietly("lookahead train digits.toml --no-tui --quiet");
    session.quietly("lookahead train digits.toml --no-tui --quiet --name again --set train.seed=2");
    session.run("lookahead plot digits -o digits.svg");
    session.run(&words("digits.svg"));
    session.run("lookahead plot digits again -o both.svg --charts loss,cycles --both-weights");
    session.run(&words("both.svg"));
    session.assert_snapshot("pictures of runs");
}
