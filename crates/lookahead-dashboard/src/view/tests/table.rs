//! The table of runs.

use crossterm::event::KeyCode;

use super::*;
use crate::model::table::{Column, Table};

#[test]
fn the_table_at_each_size() {
    let mut marked = fixture::browser();
    marked.press(" ");
    let mut compared = fixture::browser();
    compared.press(" d");
    for (name, session) in [("table", &marked), ("config diff", &compared)] {
        for (width, height) in [(200, 60), (120, 36), (80, 24), (40, 12)] {
            insta::assert_snapshot!(
                format!("{name} {width}x{height}"),
                shown(session, width, height)
            );
        }
    }
}

#[test]
fn the_selected_run_and_the_column_of_the_order_are_always_on_the_screen() {
    let mut session = fixture::browser();
    for _ in 0..4 {
        session.key(KeyCode::Down);
    }
    let name = session.table.as_ref().map(|table| table.row(table.selected().unwrap()).unwrap());
    let name = name.unwrap().name.clone();
    assert_shows(&shown(&session, 80, 6), &["▶", &name]);
    let table = session.table.as_mut().unwrap();
    table.sort = Column::Key("train.seed".into());
    table.arrange();
    assert_shows(&shown(&session, 40, 12), &["seed ▼"]);
}

#[test]
fn an_empty_table_says_why() {
    let mut session = fixture::browser();
    session.table = Some(Table::new("checkpoints", None));
    assert_shows(&shown(&session, 80, 24), &["checkpoints", "Looking for runs…"]);
    session.table.as_mut().unwrap().apply(Default::default());
    assert_shows(&shown(&session, 80, 24), &["There is no run yet."]);
    let mut session = fixture::browser();
    session.enter("/zzz");
    assert_shows(&shown(&session, 80, 24), &["No run passes the filter."]);
}

#[test]
fn no_small_table_panics() {
    let mut compared = fixture::browser();
    compared.press(" d");
    for session in [fixture::browser(), compared] {
        for width in 1..=60 {
            for height in 1..=20 {
                screen(&session, width, height);
            }
        }
    }
}
