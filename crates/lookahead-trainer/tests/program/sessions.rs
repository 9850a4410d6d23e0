//! What a user types from the first run on, and what comes.

use crate::common::session::{DIGITS, Session};

#[test]
fn a_first_run() {
    let mut session = Session::new();
    session.write("digits.toml", DIGITS);
    session.run("lookahead train digits.toml --no-tui --quiet");
    session.run("lookahead train digits.toml --no-tui");
    session.run("lookahead ctl checkpoints/digits status");
    session.run("lookahead eval checkpoints/digits");
    session.run("lookahead resume checkpoints/digits --no-tui");
    session.assert_snapshot("a first run");
}
