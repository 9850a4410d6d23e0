use lookahead_run::event::{Evaluation, Event, Ranks, Split, Weights};

use super::*;
use crate::fixture::{self, feed, record};
use crate::screen_text::screen_text;

/// A run with rows in all groups.
fn complete() -> Model {
    let mut model = fixture::run(true, 1000);
    let rank = Rank { loss: 0.5, step_seconds: 0.01, wait_seconds: 0.002, distance: Some(0.5) };
    let tested = |weights| Evaluation { accuracy: 0.9, ..Evaluation::new(weights, Split::Test) };
    let events = [
        Event::Ranks(Ranks { ranks: vec![rank; 3] }),
        Event::Evaluation(tested(Weights::Slow)),
        Event::Evaluation(tested(Weights::Fast)),
    ];
    feed(&mut model, events.map(|event| record(100.5, 1000, event)));
    model
}

/// The rows of a pane of this size without its frame, each with its heading; a heading alone is a row.
fn rows(model: &Model, width: u16, height: u16) -> Vec<(String, String)> {
    let area = Rect::new(0, 0, width + 2, height + 2);
    let mut buffer = Buffer::empty(area);
    draw(model, area, &mut buffer);
    let text = screen_text(&buffer);
    let mut heading = String::new();
    let mut rows: Vec<(String, String)> = Vec::new();
    for line in text.lines().skip(1).take(usize::from(height)) {
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.starts_with('├') {
            assert!(rows.last().is_none_or(|(last, _)| *last == heading), "{heading} is empty");
            heading = words.trim_matches(['├', '┤', '─']).replace('─', "");
        } else if words != "│ │" {
            rows.push((heading.clone(), words));
        }
    }
    assert!(rows.last().is_none_or(|(last, _)| *last == heading), "{heading} is empty");
    rows
}

/// "best" or "loss" means nothing without the words above it.
#[test]
fn at_every_height_each_row_is_below_its_heading() {
    let model = complete();
    for width in [28, 36] {
        let all = rows(&model, width, 100);
        let headings: Vec<&str> = all.iter().map(|(heading, _)| heading.as_str()).collect();
        for word in ["lookahead", "validation", "test", "checkpoint", "3 processes", "system"] {
            assert!(headings.iter().any(|heading| heading.contains(word)), "{headings:?}");
        }
        for height in 0..=60 {
            let shown = rows(&model, width, height);
            assert!(shown.iter().all(|row| all.contains(row)), "{shown:?} is not part of {all:?}");
            let (lines, high) = (shown.len(), usize::from(height));
            assert!(lines <= high && (high < 2 || lines > 0), "{lines} of {high}");
        }
        assert_eq!(rows(&model, width, 60).len(), all.len(), "60 lines hold all");
    }
}

#[test]
fn the_most_important_rows_remain() {
    let model = complete();
    let shown = rows(&model, 28, 9);
    let names: Vec<&str> = shown.iter().map(|(_, row)| row.as_str()).collect();
    for name in ["50.0 %", "step 1,000", "time left", "accuracy", "probe"] {
        assert!(names.iter().any(|row| row.contains(name)), "{name} is missing in {names:?}");
    }
}
