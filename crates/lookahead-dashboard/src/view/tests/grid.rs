//! The grid of charts.

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use lookahead_run::event::Scalars;

use super::*;
use crate::arrangement::{Arrangement, ChartName};
use crate::fixture::Session;
use crate::message::Effect;
use crate::view::layout::layout;

/// Columns and rows.
const SIZES: [(u16, u16); 4] = [(200, 60), (120, 36), (80, 24), (40, 12)];

/// A run that also logs this many numbers by name, in the grid.
fn many(names: usize) -> Session {
    let mut session = Session::of_run(100);
    for step in 1..=30u64 {
        let value = |name: usize| ((step as usize * (name + 3)) as f64 / 10.0).sin();
        let scalars = (0..names).map(|name| (format!("layer.{name:03}/norm"), value(name)));
        session.event(11.0, 100 + step, Event::Scalars(Scalars::new(scalars)));
    }
    session.press("g");
    session
}

fn resized(session: &mut Session, width: u16, height: u16) -> String {
    session.send(Message::Resize(width, height));
    shown(session, width, height)
}

#[test]
fn the_grid_at_four_sizes() {
    let mut training = Session::of_run(1000);
    training.press("g*");
    let mut three = Session(fixture::three());
    three.press("g");
    three.view.cursor = Some(700);
    let mut filtered = many(60);
    filtered.enter("/NORM layer.01");
    let states = [("training", training), ("three runs", three), ("filtered", filtered)];
    for (name, mut session) in states {
        session.dialogs.notice = None;
        for (width, height) in SIZES {
            let name = format!("grid, {name} {width}x{height}");
            insta::assert_snapshot!(name, resized(&mut session, width, height));
        }
    }
}

#[test]
fn the_grid_has_as_many_cells_as_fit() {
    let mut session = many(500);
    for (size, cells) in [((200, 60), 30), ((120, 36), 9), ((80, 24), 4), ((40, 12), 1)] {
        resized(&mut session, size.0, size.1);
        assert_eq!(layout(&session).grid.cells.len(), cells, "{size:?}");
    }
    assert_shows(&resized(&mut session, 80, 24), &["page 1/128", "charts 1–4 of 510"]);
    // No room for a chart.
    resized(&mut session, 30, 8);
    assert!(layout(&session).grid.cells.is_empty());
}

/// Whatever a cell's width, the unit and the zoom, and how many steps there are.
#[test]
fn every_x_axis_has_two_labels() {
    for steps in [3, 130, 1234] {
        let mut session = Session::of_run(steps);
        session.press("g");
        for keys in ["", "+", "+++<", "rx", "+", "rx", "+"] {
            session.press(keys);
            for (width, height) in SIZES {
                let screen = resized(&mut session, width, height);
                let parts = screen.split(['│', '┃']);
                let named = ["step ", "epoch ", "time "];
                let axes = parts.filter(|part| named.iter().any(|n| part.trim().starts_with(n)));
                for axis in axes {
                    let labels = axis.split("  ").filter(|label| !label.trim().is_empty());
                    assert!(labels.count() >= 3, "{width}x{height} {keys}:\n{screen}");
                }
            }
        }
    }
}

#[test]
fn keys_move_between_cells_and_pages() {
    let mut session = many(20);
    resized(&mut session, 120, 36);
    let selected = |session: &Session| {
        session.grid_charts().iter().position(|chart| *chart == session.view.chart).unwrap()
    };
    assert_eq!(selected(&session), 0);
    for (code, modifiers, place) in [
        (KeyCode::Tab, KeyModifiers::NONE, 1),
        (KeyCode::Down, KeyModifiers::SHIFT, 4),
        (KeyCode::PageDown, KeyModifiers::NONE, 13),
        (KeyCode::PageDown, KeyModifiers::NONE, 22),
        (KeyCode::PageDown, KeyModifiers::NONE, 29),
        (KeyCode::Up, KeyModifiers::SHIFT, 26),
        (KeyCode::PageUp, KeyModifiers::NONE, 17),
        (KeyCode::BackTab, KeyModifiers::NONE, 16),
    ] {
        session.held(code, modifiers);
        assert_eq!(selected(&session), place, "{code}");
        assert!(layout(&session).grid.cells.iter().any(|(chart, _)| *chart == session.view.chart));
    }
    let chart = session.view.chart;
    assert_eq!(session.key(KeyCode::Enter), [Effect::Remember]);
    assert!(!session.arrangement.grid && session.view.chart == chart);
    assert_eq!(session.key(KeyCode::Enter), []);
    session.key(KeyCode::PageDown);
    assert_eq!(session.view.chart, chart, "there are no pages outside of the grid");
    session.press("g");
    assert_eq!((session.arrangement.grid, session.view.chart), (true, chart));
}

#[test]
fn a_filter_shows_the_charts_with_all_of_its_words() {
    let mut session = many(20);
    assert_eq!(session.enter("/Norm 01"), [Effect::Remember]);
    assert_eq!(session.grid_charts().len(), 11);
    assert!(session.grid_charts().contains(&session.view.chart));
    session.view.cursor = Some(3);
    session.key(KeyCode::Esc);
    assert_eq!((session.view.cursor, session.arrangement.filter.as_str()), (None, "Norm 01"));
    assert_eq!(session.key(KeyCode::Esc), [Effect::Remember]);
    assert_eq!(session.grid_charts().len(), 30);
    session.enter("/no such name");
    assert_shows(&resized(&mut session, 80, 24), &["No chart's name contains “no such name”."]);
    for code in [KeyCode::Tab, KeyCode::PageDown, KeyCode::Enter] {
        session.key(code);
    }
    // In the list of messages and outside of the grid the same key searches the messages.
    session.press("g");
    session.key(KeyCode::Esc);
    session.press("/");
    assert_eq!(session.dialogs.prompt.take().unwrap().purpose, Purpose::Filter);
    session.press("m/");
    assert_eq!(session.dialogs.prompt.take().unwrap().purpose, Purpose::Search);
}

#[test]
fn pinned_charts_come_first_in_the_users_order() {
    let mut session = many(3);
    session.press("nn*");
    session.press("nn{{");
    let scalar = |name: &str| ChartName::Scalar(name.to_owned());
    let [one, two] = ["layer.001/norm", "layer.002/norm"].map(scalar);
    assert_eq!(session.arrangement.pinned, [two.clone(), one.clone()]);
    let first: Vec<_> = session.grid_charts()[..2].to_vec();
    assert_eq!(first.iter().map(|c| session.chart_name(*c)).collect::<Vec<_>>(), [two, one]);
    assert_eq!(session.grid_charts().len(), 13);
    assert_shows(&resized(&mut session, 120, 36), &["* layer.002/norm", "* layer.001/norm"]);
    session.press("}}");
    assert_eq!(session.grid_charts()[1], session.view.chart);
    session.press("*");
    assert_eq!(session.arrangement.pinned.len(), 1);
    // The keys of the charts stay as the help lists them.
    assert_eq!(session.key_of(Chart::Loss), '1');
}

#[test]
fn what_was_remembered_is_there_unless_the_user_was_faster() {
    let pinned = vec![ChartName::Usual("gain".into()), ChartName::Scalar("not there".into())];
    let arrangement = Arrangement { grid: true, pinned, filter: String::new() };
    let mut session = Session::of_run(100);
    session.send(Message::Arranged(arrangement.clone()));
    assert_eq!(session.arrangement, arrangement);
    assert_eq!(session.grid_charts()[0], Chart::Gain);
    let mut session = many(1);
    let filter = Arrangement { filter: "loss".into(), ..Arrangement::default() };
    session.send(Message::Arranged(filter));
    assert_eq!(session.arrangement.filter, "");
}

#[test]
fn the_mouse_selects_a_cell_and_puts_the_cursor_into_the_selected_one() {
    let mut session = Session::of_run(1000);
    session.press("g");
    resized(&mut session, 120, 36);
    let (chart, area) = layout(&session).grid.cells[4];
    let click = MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column: area.x + area.width / 2,
        row: area.y + 2,
        modifiers: KeyModifiers::NONE,
    };
    session.send(Message::Mouse(click));
    assert_eq!((session.view.chart, session.view.cursor), (chart, None));
    session.send(Message::Mouse(click));
    let step = session.view.cursor.unwrap();
    assert!((200..800).contains(&step), "{step}");
    // All cells read the same step.
    let screen = resized(&mut session, 120, 36);
    assert_shows(&screen, &[&format!("step {step}")]);
}

#[test]
fn no_small_size_of_the_grid_panics() {
    let mut three = Session(fixture::three());
    three.press("g");
    three.view.cursor = Some(3);
    let mut nothing = Session(fixture::model(true));
    nothing.press("g");
    for session in [many(40), three, nothing] {
        for width in 1..=90 {
            for height in 1..=30 {
                screen(&session, width, height);
            }
        }
    }
}

#[test]
fn the_selected_cell_is_marked_without_colours_and_in_ascii() {
    let mut session = Session::of_run(1000);
    session.press("g");
    session.ascii = true;
    let screen = resized(&mut session, 120, 36);
    assert!(screen.is_ascii() && screen.contains("# 1 loss ="), "{screen}");
}

#[test]
fn a_filter_that_no_chart_passes_says_so() {
    let mut session = Session::of_run(100);
    session.press("g");
    session.enter("/zzz");
    let screen = resized(&mut session, 120, 36);
    assert!(screen.contains("no chart matches") && !screen.contains("of 0"), "{screen}");
}
