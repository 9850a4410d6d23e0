//! The table of runs.

use super::*;
use crate::model::table::{Column, TableUpdate};

fn table(session: &Session) -> &crate::model::table::Table {
    session.table.as_ref().unwrap()
}

fn shown(session: &Session) -> Vec<String> {
    let table = table(session);
    table.order.iter().map(|number| table.row(*number).unwrap().name.clone()).collect()
}

#[test]
fn enter_opens_the_selected_run_or_the_marked_ones_and_esc_returns() {
    let mut session = fixture::browser();
    assert_eq!(session.key(KeyCode::Enter), [Effect::Open(vec![1])]);
    assert!(!session.is_table_open());
    assert_eq!(session.runs.len(), 1);
    assert_eq!(session.run().name, "lr0.1-s1");
    session.key(KeyCode::Esc);
    assert!(session.is_table_open());
    // The same run again is still there, as it was.
    session.runs[0].hidden = true;
    assert_eq!(session.key(KeyCode::Enter), []);
    assert!(session.runs[0].hidden && !session.is_table_open());
    session.key(KeyCode::Esc);
    session.press("  ");
    assert_eq!(table(&session).marked, [1, 2]);
    assert_eq!(session.key(KeyCode::Enter), [Effect::Open(vec![1, 2])]);
    let names: Vec<&str> = session.runs.iter().map(|run| &run.name[..]).collect();
    assert_eq!(names, ["lr0.1-s1", "lr0.3-s0"]);
    // The cursor goes first.
    session.view.cursor = Some(3);
    session.key(KeyCode::Esc);
    assert!(!session.is_table_open());
    session.key(KeyCode::Esc);
    assert!(session.is_table_open());
}

#[test]
fn without_a_table_esc_stays_in_the_charts() {
    let mut session = Session::of_run(3);
    session.key(KeyCode::Esc);
    assert!(session.table.is_none() && !session.is_table_open());
}

#[test]
fn rows_follow_the_filter_as_it_is_typed() {
    let mut session = fixture::browser();
    session.press("/lr=0.1");
    assert_eq!(shown(&session), ["lr0.1-s1", "lr0.1-s0"]);
    session.key(KeyCode::Enter);
    assert!(session.dialogs.prompt.is_none());
    assert_eq!(shown(&session).len(), 2);
    // It is there to be changed.
    session.press("/ s0");
    assert_eq!(shown(&session), ["lr0.1-s0"]);
    session.key(KeyCode::Enter);
    session.key(KeyCode::Esc);
    assert_eq!(shown(&session).len(), 5);
    session.press("/broken");
    session.key(KeyCode::Esc);
    assert_eq!(shown(&session).len(), 5);
    session.press("/zzz");
    session.key(KeyCode::Enter);
    assert_eq!(session.key(KeyCode::Enter), [], "nothing is selected");
    assert!(session.is_table_open());
}

#[test]
fn the_order_goes_through_the_columns_and_can_be_reversed() {
    let mut session = fixture::browser();
    session.press("..");
    assert_eq!(table(&session).sort, Column::State);
    session.press("<");
    assert_eq!(table(&session).sort, Column::Name);
    let names = shown(&session);
    session.press("r");
    let reversed: Vec<String> = names.into_iter().rev().collect();
    assert_eq!(shown(&session), reversed);
    session.press("<");
    assert_eq!(table(&session).sort, Column::LastEvent);
    assert!(!table(&session).is_reversed);
}

#[test]
fn configs_of_two_runs_are_compared() {
    let mut session = fixture::browser();
    session.press("d");
    assert!(session.notice().contains("Space") && table(&session).diff.is_none());
    // One is marked, and the next one is selected.
    session.press(" d");
    assert_eq!(table(&session).diff.unwrap().runs, [1, 2]);
    session.key(KeyCode::Down);
    assert_eq!(table(&session).diff.unwrap().from, 1);
    session.key(KeyCode::Esc);
    assert!(table(&session).diff.is_none() && table(&session).marked == [1]);
    session.key(KeyCode::Esc);
    assert!(table(&session).marked.is_empty());
    // A run of a comparison that is gone ends it.
    session.press(" d");
    let update = TableUpdate { rows: vec![(2, None)], ..TableUpdate::default() };
    session.send(Message::Table(Box::new(update)));
    assert!(table(&session).diff.is_none());
}

#[test]
fn keys_of_the_charts_do_nothing_in_the_table() {
    let mut session = fixture::browser();
    for letter in "pcsw:m1+-lxyof".chars() {
        assert_eq!(session.key(KeyCode::Char(letter)), [], "{letter}");
        assert!(session.is_table_open() && session.dialogs.prompt.is_none(), "{letter}");
    }
    session.press("?");
    assert!(session.dialogs.overlay.is_some());
    session.press("?q");
    assert!(session.exit.quit);
}

#[test]
fn the_ends_and_all_marks() {
    let mut session = fixture::browser();
    session.key(KeyCode::End);
    assert_eq!(table(&session).place(), 4);
    session.key(KeyCode::Home);
    assert_eq!(table(&session).place(), 0);
    session.key(KeyCode::PageDown);
    assert_eq!(table(&session).place(), 4);
    session.press("a");
    assert_eq!(table(&session).marked.len(), 5);
    session.press("a");
    assert!(table(&session).marked.is_empty());
}
