use super::*;

#[test]
fn the_cursor_moves_by_dots_and_tenths_and_not_beyond_the_ends() {
    let mut session = Session::of_run(1000);
    session.send(Message::Resize(120, 36));
    session.key(KeyCode::Right);
    assert_eq!(session.view.cursor, Some(1000));
    session.key(KeyCode::Left);
    let dot = 1000 - session.view.cursor.unwrap();
    assert!((5..=9).contains(&dot), "{dot} steps in a dot");
    session.held(KeyCode::Left, KeyModifiers::SHIFT);
    assert!((880..=910).contains(&session.view.cursor.unwrap()), "{:?}", session.view.cursor);
    for _ in 0..20 {
        session.held(KeyCode::Left, KeyModifiers::SHIFT);
    }
    assert_eq!(session.view.cursor, Some(0));
    session.key(KeyCode::Esc);
    assert_eq!(session.view.cursor, None);
    session.enter(":goto 99999");
    assert_eq!(session.view.cursor, Some(1000));
}

#[test]
fn each_axis_shows_the_same_part() {
    let mut session = Session::of_run(1000);
    session.view.viewport.range = Range::Fixed(Span { start: 250.0, end: 500.0 });
    for (axis, start, end) in
        [(Axis::Epoch, 1.0, 2.0), (Axis::Time, 25.0, 50.0), (Axis::Step, 250.0, 500.0)]
    {
        session.press("x");
        assert_eq!(session.view.viewport.axis, axis);
        let Range::Fixed(found) = session.view.viewport.range else { panic!() };
        assert!((found.start - start).abs() < 0.2 && (found.end - end).abs() < 0.2, "{found:?}");
    }
}

#[test]
fn the_mouse_zooms_sets_the_cursor_pans_and_selects() {
    let mut session = Session::of_run(1000);
    session.send(Message::Resize(120, 36));
    let mouse = |session: &mut Session, kind, column, row| {
        let modifiers = KeyModifiers::NONE;
        session.send(Message::Mouse(MouseEvent { kind, column, row, modifiers }));
    };
    let left = MouseButton::Left;
    let (down, up, drag) =
        (MouseEventKind::Down(left), MouseEventKind::Up(left), MouseEventKind::Drag(left));
    let plot = layout(&session).plot;
    let (x, y) = (plot.x + plot.width / 2, plot.y + 5);
    mouse(&mut session, down, x, y);
    let there = session.view.cursor.unwrap();
    assert!((490..=515).contains(&there), "{there}");
    mouse(&mut session, up, x, y);
    for _ in 0..4 {
        mouse(&mut session, MouseEventKind::ScrollUp, x, y);
    }
    let span = session.span();
    assert!((span.width() - 250.0).abs() < 1.0, "{span:?}");
    assert!((span.part(there as f64) - 0.5).abs() < 0.03, "it zooms about the pointer: {span:?}");
    mouse(&mut session, down, x, y);
    mouse(&mut session, drag, x + plot.width / 4, y);
    let moved = span.start - session.span().start;
    assert!((moved - 62.5).abs() < 2.0, "{moved}");
    // Outside of the plot it does nothing.
    let before = session.view.cursor;
    mouse(&mut session, down, 0, 0);
    assert_eq!(session.view.cursor, before);

    let mut session = Session(fixture::three());
    let list = layout(&session).runs;
    for hidden in [false, true] {
        mouse(&mut session, down, list.x + 3, list.y + 1);
        assert_eq!((session.selected, session.runs[1].hidden), (1, hidden));
    }
}

#[test]
fn messages_scroll_and_are_searched() {
    let mut session = Session::of_run(3);
    for number in 0..500 {
        let kind = if number % 100 == 7 { "Odd" } else { "plain" };
        let message = format!("the {number}th, {kind}");
        session.event(1.0, 3, Event::Warning(Warning { message }));
    }
    session.press("m");
    let bottom = |session: &Session| match &session.dialogs.overlay {
        Some(Overlay::Messages(list)) => list.bottom,
        overlay => panic!("{overlay:?}"),
    };
    session.key(KeyCode::Up);
    session.key(KeyCode::PageUp);
    assert_eq!(bottom(&session), 19);
    session.key(KeyCode::Down);
    assert_eq!(bottom(&session), 18);
    session.enter("/odd");
    // 500 messages, and the 407th is the newest of its kind.
    assert_eq!(bottom(&session), 499 - 407);
    session.press("n");
    assert_eq!(bottom(&session), 499 - 307);
    session.press("N");
    assert_eq!(bottom(&session), 499 - 407);
    // In the list Space does not hide the run.
    session.press(" ");
    assert!(!session.run().hidden);
    session.key(KeyCode::Esc);
    assert_eq!(session.dialogs.overlay, None);
    session.enter("/nowhere");
    assert!(session.notice().contains("nowhere"));
}
