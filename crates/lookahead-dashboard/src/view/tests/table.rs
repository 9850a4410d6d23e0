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

/// The last line, with one space between words.
fn footer(screen: &str) -> String {
    let last = screen.trim_end().lines().last().unwrap_or_default();
    last.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_footer_names_what_works_and_always_the_help() {
    let mut session = fixture::browser();
    for width in [200, 120, 80, 40] {
        let screen = shown(&session, width, 24);
        assert!(footer(&screen).ends_with("q quit ? help"), "{screen}");
        assert_shows(&screen, &["Enter open"]);
    }
    session.press(" d");
    let screen = shown(&session, 40, 12);
    assert!(footer(&screen).ends_with("Esc back q quit ? help"), "{screen}");
}

#[test]
fn the_heading_has_no_part_of_a_word() {
    let session = fixture::browser();
    let all = shown(&session, 200, 24);
    let first = |screen: &str| screen.lines().next().unwrap().trim().to_owned();
    let words: Vec<String> = first(&all).split_whitespace().map(str::to_owned).collect();
    for width in 60..120 {
        let line = first(&shown(&session, width, 24));
        let is_whole = |word: &str| word == "…" || words.iter().any(|known| known == word);
        assert!(line.split_whitespace().skip(2).all(is_whole), "{width}: {line}");
    }
}

#[test]
fn the_help_of_the_table_begins_with_its_keys() {
    let mut session = fixture::browser();
    session.press("?");
    let screen = shown(&session, 120, 36);
    let [table, charts] = ["Keys in the table", "Pause the run"].map(|text| screen.find(text));
    assert!(table.is_some() && charts.is_none_or(|charts| table < Some(charts)), "{screen}");
}

#[test]
fn a_log_that_cannot_be_read_at_all_has_a_state_of_its_own() {
    let mut session = fixture::Session(fixture::model(true));
    session.tell(0, RunUpdate::Heartbeat { alive: false, control: Control::ViewOnly });
    session.tell(0, RunUpdate::Damaged { line: 1, cause: "expected value".into() });
    for (width, height) in [(120, 36), (80, 24)] {
        assert_shows(&shown(&session, width, height), &["UNREADABLE", "line 1 of the event log"]);
    }
}
