use std::sync::Arc;

use lookahead_run::Best;
use lookahead_run::event::MetricInfo;
use lookahead_run::settings::all;
use serde_json::json;

use super::*;
use crate::fixture::{row, table};

fn names(table: &Table) -> Vec<&str> {
    table.order.iter().map(|number| &table.row(*number).unwrap().name[..]).collect()
}

fn sorted(table: &mut Table, column: Column) -> Vec<String> {
    table.sort = column;
    table.arrange();
    names(table).into_iter().map(str::to_owned).collect()
}

#[test]
fn rows_are_sorted_by_every_column_and_what_lacks_a_value_comes_last() {
    let mut table = table();
    assert_eq!(names(&table), ["lr0.1-s1", "lr0.3-s0", "lr0.1-s0", "broken", "next"]);
    let last = ["broken", "next"];
    for (column, first) in [
        (Column::Name, ["broken", "lr0.1-s0", "lr0.1-s1", "lr0.3-s0", "next"]),
        (Column::Loss, ["lr0.1-s0", "lr0.1-s1", "lr0.3-s0", last[0], last[1]]),
        (Column::Best, ["lr0.1-s0", "lr0.1-s1", "lr0.3-s0", last[0], last[1]]),
        (
            Column::Key("optimizer.lr".into()),
            ["lr0.1-s1", "lr0.1-s0", "lr0.3-s0", last[0], last[1]],
        ),
    ] {
        assert_eq!(sorted(&mut table, column.clone()), first, "{column:?}");
    }
    table.is_reversed = true;
    assert_eq!(
        sorted(&mut table, Column::Loss),
        ["lr0.3-s0", "lr0.1-s1", "lr0.1-s0", "broken", "next"],
        "what lacks a value stays last"
    );
}

/// Where a lower value is better, and where the metrics differ.
#[test]
fn the_best_value_comes_first_whatever_is_better() {
    let mut table = table();
    let mut update = TableUpdate::default();
    let loss = |value| Some(Best { step: 1, metric: MetricInfo::loss(), value });
    for (number, value) in [(0, 0.5), (1, 0.25)] {
        let mut row = table.row(number).unwrap().clone();
        row.best = loss(value);
        update.rows.push((number, Some(row)));
    }
    update.rows.push((2, None));
    table.apply(update);
    let order = sorted(&mut table, Column::Best);
    assert_eq!(order[..2], ["lr0.1-s1", "lr0.1-s0"]);
    assert_eq!(table.head(&Column::Best), "best loss");
}

#[test]
fn a_filter_takes_names_states_and_values_of_keys() {
    let mut table = table();
    for (filter, found) in [
        ("s0", &["lr0.3-s0", "lr0.1-s0"][..]),
        ("lr=0.1", &["lr0.1-s1", "lr0.1-s0"]),
        ("optimizer.lr=0.3", &["lr0.3-s0"]),
        ("r=0.1", &[]),
        ("KIND=SGD s1", &["lr0.1-s1"]),
        ("seed= finished", &["lr0.1-s0"]),
        ("unread", &["broken"]),
        ("nothing", &[]),
    ] {
        table.filter = filter.to_owned();
        table.arrange();
        assert_eq!(names(&table), found, "{filter}");
    }
}

#[test]
fn the_selected_run_stays_selected_when_rows_move() {
    let mut table = table();
    table.select(2);
    assert_eq!((table.selected(), table.place()), (Some(0), 2));
    sorted(&mut table, Column::Loss);
    assert_eq!((table.selected(), table.place()), (Some(0), 0));
    // It is gone.
    table.apply(TableUpdate { rows: vec![(0, None)], ..TableUpdate::default() });
    assert_eq!(table.place(), 0);
    assert_eq!(table.order.len(), 4);
}

/// One finished run of 100 s; one that has taken half of its steps in 60 s, with 60 s left; one at a quarter after 20 s
/// besides a pause of an hour, with 60 s left; of 6 runs, 1 waits with a folder and 1 without: 320 s of work for two at once.
#[test]
fn the_time_left_is_that_of_as_many_runs_at_once_as_now() {
    let mut rows = [
        row("done", RowState::Finished, 100, 100.0),
        row("half", RowState::Running, 50, 60.0),
        Row { idle: Some(3600.0), ..row("quarter", RowState::Running, 25, 3620.0) },
        row("next", RowState::Waiting, 0, 0.0),
        row("bad", RowState::Failed, 10, 10.0),
    ];
    let progress = progress(rows.iter(), Some(6));
    assert_eq!(
        progress,
        Progress {
            total: 6,
            finished: 1,
            running: 2,
            failed: 1,
            stopped: 0,
            unreadable: 0,
            waiting: 2,
            left: Some(160.0)
        }
    );
    (rows[0].idle, rows[1].idle) = (None, None);
    let left = super::progress(rows.iter(), Some(6)).left;
    assert_eq!(left, Some(130.0), "by the one whose whole log was read");
    rows[1].state = RowState::Stopped;
    rows[2].state = RowState::Stopped;
    assert_eq!(super::progress(rows.iter(), Some(6)).left, None, "no run is running");
}

#[test]
fn a_key_has_its_section_only_if_another_has_its_name() {
    let mut table = table();
    assert_eq!(table.head(&Column::Key("optimizer.lr".into())), "lr");
    table.keys = ["optimizer.kind", "model.kind", "train.seed"].map(str::to_owned).into();
    assert_eq!(table.head(&Column::Key("model.kind".into())), "model.kind");
    assert_eq!(table.head(&Column::Key("train.seed".into())), "seed");
    let mut row = table.row(0).unwrap().clone();
    row.settings = Arc::new(all(&json!({"a": {"b": [1, 2]}})));
    assert!(row.matches("b=[1,2]"));
}
