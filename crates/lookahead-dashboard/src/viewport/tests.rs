use super::*;

const WHOLE: Span = Span { start: 0.0, end: 1000.0 };

#[test]
fn round_numbers() {
    for (value, round) in [(1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (7.0, 10.0), (0.03, 0.05)] {
        assert!((round_up(value) - round).abs() < 1e-9, "{value}");
    }
}

#[test]
fn all_of_it_reaches_to_a_round_number_but_not_beyond_the_end() {
    let view = Viewport { axis: Axis::Step, range: Range::All };
    let end = |end, limit| view.span(Span { start: 0.0, end }, limit).end;
    assert_eq!(end(1234.0, None), 1300.0);
    assert_eq!(end(1234.0, Some(1250.0)), 1250.0);
    assert_eq!(end(1234.0, Some(1000.0)), 1300.0);
    assert_eq!(end(0.0, None), 1.0);
}

#[test]
fn zooming_in_follows_the_newest_and_out_again_shows_all() {
    let mut view = Viewport { axis: Axis::Step, range: Range::All };
    view.zoom(ZOOM, None, WHOLE, 4.0);
    assert_eq!(view.range, Range::Latest(500.0));
    let later = Span { start: 0.0, end: 1990.0 };
    assert_eq!(view.span(later, None), Span { start: 1500.0, end: 2000.0 });
    view.zoom(1.0 / ZOOM, None, WHOLE, 4.0);
    assert_eq!(view.range, Range::All);
    for _ in 0..100 {
        view.zoom(ZOOM, None, WHOLE, 4.0);
    }
    assert_eq!(view.range, Range::Latest(4.0));
}

#[test]
fn zooming_about_a_place_keeps_it_where_it_is() {
    let mut view = Viewport { axis: Axis::Step, range: Range::All };
    view.zoom(ZOOM, Some(250.0), WHOLE, 4.0);
    assert_eq!(view.range, Range::Fixed(Span { start: 125.0, end: 625.0 }));
    assert_eq!(view.span(WHOLE, None).part(250.0), 0.25);
}

#[test]
fn panning_stays_inside_and_follows_again_at_the_end() {
    let mut view = Viewport { axis: Axis::Step, range: Range::All };
    view.pan(PAN, WHOLE);
    assert_eq!(view.range, Range::All, "there is nothing to pan to");
    view.range = Range::Latest(200.0);
    view.pan(-PAN, WHOLE);
    assert_eq!(view.range, Range::Fixed(Span { start: 750.0, end: 950.0 }));
    (0..100).for_each(|_| view.pan(-PAN, WHOLE));
    assert_eq!(view.range, Range::Fixed(Span { start: 0.0, end: 200.0 }));
    (0..100).for_each(|_| view.pan(PAN, WHOLE));
    assert_eq!(view.range, Range::Latest(200.0));
}

#[test]
fn a_place_outside_is_revealed() {
    let mut view = Viewport { axis: Axis::Step, range: Range::Latest(100.0) };
    view.reveal(950.0, WHOLE);
    assert_eq!(view.range, Range::Latest(100.0));
    view.reveal(300.0, WHOLE);
    assert_eq!(view.range, Range::Fixed(Span { start: 250.0, end: 350.0 }));
    view.follow(WHOLE);
    assert_eq!(view.range, Range::Latest(100.0));
}

#[test]
fn columns_and_positions_are_each_others_inverse() {
    let span = Span { start: 10.0, end: 20.0 };
    for column in 0..33 {
        assert_eq!(span.column(span.position(column, 33), 33), Some(column));
    }
    assert_eq!(span.column(9.9, 33), None);
    assert_eq!(span.column(15.0, 0), None);
    assert_eq!(span.column(f64::NAN, 33), None);
}
