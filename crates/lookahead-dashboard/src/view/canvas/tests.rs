use super::*;

fn drawn(draw: impl FnOnce(&mut Canvas)) -> Vec<String> {
    let area = Rect::new(0, 0, 3, 2);
    let (mut canvas, mut buffer) = (Canvas::new(area), Buffer::empty(area));
    draw(&mut canvas);
    canvas.paint(&mut buffer, area, Style::new());
    crate::screen_text::screen_text(&buffer).lines().map(str::to_owned).collect()
}

#[test]
fn dots_lines_and_spans_land_where_they_should() {
    assert_eq!(drawn(|canvas| canvas.dot(0, 0)), ["⠁"]);
    assert_eq!(drawn(|canvas| canvas.line((0, 0), (5, 0))), ["⠉⠉⠉"]);
    assert_eq!(drawn(|canvas| canvas.line((0, 7), (5, 2))), ["  ⡠", "⡠⠊"]);
    assert_eq!(drawn(|canvas| canvas.span(1, 0, 7)), ["⢸", "⢸"]);
    assert_eq!(drawn(|canvas| canvas.line((2, 2), (2, 2))), [" ⠄"]);
}

#[test]
fn dots_outside_are_left_out() {
    assert!(drawn(|canvas| canvas.dot(6, 0)).is_empty());
    assert!(drawn(|canvas| canvas.dot(0, 8)).is_empty());
}
