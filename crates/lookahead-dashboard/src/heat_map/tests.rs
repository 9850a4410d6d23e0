use lookahead_run::event::{Event, Layers};

use super::*;
use crate::fixture::{self, Session};

/// A run that measured these norms of three layers at steps 10, 20 and 30 of 30.
fn measured() -> Session {
    let mut session = Session::of_run(30);
    for step in [10u64, 20, 30] {
        let value = step as f64;
        let layers = Layers {
            sync: step / 5,
            names: ["in", "middle", "out"].map(str::to_owned).to_vec(),
            distance: vec![value, 2.0 * value, 3.0 * value],
            gradient_norm: vec![1.0, f64::NAN, 0.001],
        };
        session.event(3.0, step, Event::Layers(layers));
    }
    session
}

fn cells(row: &Row) -> Vec<f64> {
    row.cells.iter().map(|cell| cell.unwrap_or(-1.0)).collect()
}

#[test]
fn a_norm_holds_until_the_next_one() {
    let session = measured();
    assert_eq!(session.span().end, 30.0);
    let found = rows(&session, Norm::Distance, 10, 7);
    let names: Vec<_> = found.iter().map(|row| &*row.name).collect();
    assert_eq!(names, ["in", "middle", "out"]);
    // Columns at 0, 5, 10 …
    assert_eq!(cells(&found[0]), [-1.0, -1.0, 10.0, 10.0, 20.0, 20.0, 30.0]);
    assert_eq!(found[2].value, Some(90.0));
}

#[test]
fn neighbours_share_rows_and_columns() {
    let mut session = measured();
    session.view.cursor = Some(25);
    let found = rows(&session, Norm::Distance, 2, 2);
    assert_eq!((&*found[0].name, &*found[1].name), ("in", "middle +1"));
    assert_eq!(cells(&found[1]), [25.0, 62.5]);
    assert_eq!(found[1].value, Some(50.0));
    assert!(rows(&session, Norm::Distance, 0, 5).is_empty());
    assert!(rows(&session, Norm::Distance, 5, 0)[0].cells.is_empty());
    assert!(rows(&fixture::model(true), Norm::Distance, 5, 5).is_empty());
}

#[test]
fn colours_go_from_the_least_to_the_greatest_finite_norm() {
    let session = measured();
    let found = rows(&session, Norm::Gradient, 10, 7);
    let linear = Colors::new(&found, false).unwrap();
    assert_eq!((linear.least, linear.greatest), (f64::from(0.001f32), 1.0));
    assert!(linear.part(0.1) < 0.11 && linear.part(1.0) == 1.0);
    let log = Colors::new(&found, true).unwrap();
    assert!((log.part(0.0316) - 0.5).abs() < 0.01 && log.part(0.0) == 0.0);
    assert_eq!(Colors::new(&found[1..2], false), None);
}
