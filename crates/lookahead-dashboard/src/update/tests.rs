use crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use lookahead_run::command::Setting;
use lookahead_run::event::{
    Changed, Checkpoint, Event, RunEnded, Status, Step, Suspended, Sync, Warning,
};

use super::*;
use crate::chart::Chart;
use crate::fixture::{self, START, feed, record};
use crate::model::dialogs::Overlay;
use crate::run::connection::Control;
use crate::run::pending::Transition;
use crate::smoothing;
use crate::view::layout::layout;
use crate::viewport::{Axis, Range, Span};

/// The commands that a message sends.
fn commands(effects: Vec<Effect>) -> Vec<Command> {
    let ask = |effect| match effect {
        Effect::Send(_, command) => command,
        effect => panic!("{effect:?}"),
    };
    effects.into_iter().map(ask).collect()
}

fn press(model: &mut Model, letter: char) -> Vec<Command> {
    let key = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE);
    commands(update(model, Message::Key(key)))
}

fn key(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    update(model, Message::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn typed(model: &mut Model, text: &str) {
    for letter in text.chars() {
        key(model, KeyCode::Char(letter));
    }
}

fn ctrl_c(model: &mut Model) -> Vec<Command> {
    let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    commands(update(model, Message::Key(key)))
}

/// Seconds of training of the selected run.
fn elapsed(model: &Model) -> f64 {
    model.run().clock.elapsed(model.now)
}

fn one(model: &mut Model, seconds: f64, step: u64, event: Event) {
    feed(model, [record(seconds, step, event)]);
}

/// A run joins with the next number, before its first update.
#[test]
fn runs_join_and_the_oldest_finished_ones_are_hidden() {
    let mut model = fixture::three();
    let join = |model: &mut Model, index: usize| {
        let news = RunUpdate::Joined(format!("run {index}"));
        update(model, Message::Run(index, news));
    };
    join(&mut model, 4);
    assert_eq!(model.runs.len(), 3);
    let ended = RunEnded::new(Status::Finished);
    for index in [0, 1, 2] {
        let record = Box::new(fixture::record(0.0, 1, Event::RunEnded(ended.clone())));
        update(&mut model, Message::Run(index, RunUpdate::Record(record)));
    }
    model.selected = 0;
    for index in 3..10 {
        join(&mut model, index);
    }
    let hidden: Vec<usize> = (0..10).filter(|index| model.runs[*index].hidden).collect();
    assert_eq!(model.runs[9].name, "run 9");
    assert_eq!(hidden, [1, 2], "not the selected one, which has finished too");
}

#[test]
fn keys_become_commands() {
    for (letter, command) in
        [('p', Command::Pause), ('c', Command::Checkpoint), ('s', Command::Stop)]
    {
        let mut model = fixture::run(true, 3);
        assert_eq!(press(&mut model, letter), [command], "{letter}");
    }
    let mut model = fixture::run(true, 3);
    assert_eq!(press(&mut model, 'z'), []);
    assert_eq!(press(&mut model, '?'), []);
    assert_eq!(model.dialogs.overlay, Some(Overlay::Help(0)));
    assert_eq!(press(&mut model, 'h'), []);
    assert_eq!(model.dialogs.overlay, None);
    press(&mut model, '?');
    update(&mut model, Message::Key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)));
    assert_eq!(model.dialogs.overlay, None);
}

#[test]
fn releasing_a_key_does_nothing() {
    let mut model = fixture::run(true, 3);
    let mut event = KeyEvent::new(KeyCode::Char('p'), KeyModifiers::NONE);
    event.kind = KeyEventKind::Release;
    assert_eq!(update(&mut model, Message::Key(event)), []);
    assert_eq!(model.run().pending.transition, None);
}

#[test]
fn one_key_pauses_and_continues() {
    let mut model = fixture::run(true, 3);
    assert_eq!(press(&mut model, 'p'), [Command::Pause]);
    assert_eq!(model.run().pending.transition, Some(Transition::Pause));
    one(&mut model, 1.0, 4, fixture::step(4, 1.0));
    assert_eq!(
        model.run().pending.transition,
        Some(Transition::Pause),
        "a step does not confirm a pause"
    );
    one(&mut model, 1.0, 4, Event::Paused);
    assert_eq!((model.run().pending.transition, model.run().state()), (None, RunState::Paused));
    assert_eq!(press(&mut model, 'p'), [Command::Continue]);
    assert_eq!(model.run().state(), RunState::Paused);
    one(&mut model, 9.0, 4, Event::Continued);
    assert_eq!((model.run().pending.transition, model.run().state()), (None, RunState::Training));
}

#[test]
fn a_pause_can_be_taken_back_before_it_begins() {
    let mut model = fixture::run(true, 3);
    assert_eq!(press(&mut model, 'p'), [Command::Pause]);
    assert_eq!(press(&mut model, 'p'), [Command::Continue]);
    // The trainer received both together, never paused, and reports only steps.
    one(&mut model, 1.0, 4, fixture::step(4, 1.0));
    assert_eq!((model.run().pending.transition, model.run().state()), (None, RunState::Training));
    assert_eq!(press(&mut model, 'p'), [Command::Pause]);
}

#[test]
fn the_run_stops_once_and_takes_no_commands_afterwards() {
    let mut model = fixture::run(true, 3);
    assert_eq!(press(&mut model, 's'), [Command::Stop]);
    for letter in ['s', 'p', 'c'] {
        assert_eq!(press(&mut model, letter), []);
    }
    let end = RunEnded::new(Status::Stopped);
    one(&mut model, 2.0, 3, Event::RunEnded(end));
    for letter in ['s', 'p', 'c'] {
        assert_eq!(press(&mut model, letter), []);
    }
}

#[test]
fn a_watcher_confirms_before_it_stops_a_run() {
    let mut model = fixture::three();
    let ask = |model: &mut Model, seen| {
        assert_eq!(press(model, 's'), []);
        let question = model.dialogs.question.as_mut().unwrap();
        assert!(!std::mem::replace(&mut question.seen, seen));
    };
    // A key that comes with the `s` is not an answer, because the question was not drawn yet.
    ask(&mut model, false);
    assert_eq!(press(&mut model, 'y'), []);
    // Another key lets it train, and has its own effect.
    ask(&mut model, true);
    assert_eq!(press(&mut model, '?'), []);
    assert!(model.dialogs.question.is_none() && model.dialogs.overlay.is_some());
    key(&mut model, KeyCode::Esc);
    assert_eq!(press(&mut model, 'y'), []);
    assert!(!model.run().pending.stop);
    ask(&mut model, true);
    assert_eq!(press(&mut model, 'y'), [Command::Stop]);
    assert!(model.run().pending.stop);
}

#[test]
fn a_paste_never_acts_as_keys() {
    let mut model = fixture::run(true, 3);
    let paste = |model: &mut Model, text: &str| {
        assert_eq!(update(model, Message::Paste(text.into())), []);
    };
    paste(&mut model, "this stops\nq");
    assert!(model.dialogs.notice.take().unwrap().0.starts_with("The pasted text is ignored"));
    assert!(
        !model.exit.quit && !model.run().pending.stop && model.run().pending.transition.is_none()
    );
    typed(&mut model, ":set ");
    paste(&mut model, "lookahead.k=9\r\nstop\r\n");
    assert!(model.dialogs.notice.take().unwrap().0.starts_with("Only the first line"));
    let setting = Setting { key: "lookahead.k".into(), value: 9.into() };
    assert_eq!(key(&mut model, KeyCode::Enter), [Effect::Send(0, Command::Set(setting))]);
}

#[test]
fn a_second_ctrl_c_ends_the_program() {
    let mut model = fixture::run(true, 3);
    assert_eq!(ctrl_c(&mut model), [Command::Stop]);
    assert!(!model.exit.abort());
    assert_eq!(ctrl_c(&mut model), []);
    assert!(model.exit.abort());
}

#[test]
fn a_refused_command_can_be_sent_again() {
    let mut model = fixture::run(true, 3);
    assert_eq!(press(&mut model, 's'), [Command::Stop]);
    let why = "The training accepts no commands.".to_owned();
    let refused = RunUpdate::Refused { command: Command::Stop, why };
    update(&mut model, Message::Run(0, refused));
    assert_eq!(press(&mut model, 's'), [Command::Stop]);
    let newest = model.run().messages.newest_first().next().unwrap();
    assert!(newest.text.contains("accepts no commands"));
}

#[test]
fn a_resumed_run_continues_its_curves_and_its_clock() {
    let mut model = fixture::run(true, 300);
    one(&mut model, 30.5, 300, checkpoint_named("later"));
    one(&mut model, 1000.0, 300, fixture::resumed(300));
    let run = model.run();
    assert_eq!((run.series.loss.last_step(), run.step()), (Some(300), 300));
    assert_eq!(run.state(), RunState::Training);
    assert_eq!(run.latest.checkpoint.as_ref().unwrap().name, "step-00000300");
    // 30 s were spent up to step 300, and 4 s since.
    update(&mut model, Message::Tick(START + 1004.0));
    assert!((elapsed(&model) - 34.0).abs() < 0.2, "{}", elapsed(&model));
}

fn checkpoint_named(name: &str) -> Event {
    Event::Checkpoint(Checkpoint { name: name.into(), bytes: 1, seconds: 0.1, write_seconds: 0.2 })
}

#[test]
fn another_run_starts_from_nothing() {
    let mut model = fixture::run(true, 600);
    one(&mut model, 100.0, 0, Event::RunStarted(fixture::info()));
    assert!(model.run().series.loss.is_empty());
    assert_eq!(model.run().step(), 0);
    assert_eq!(model.run().clock.elapsed(START + 101.0), 1.0);
}

#[test]
fn losses_that_are_not_finite_are_counted_and_break_the_lines() {
    let mut model = fixture::run(true, 10);
    one(&mut model, 1.1, 11, fixture::step(11, f64::NAN));
    one(&mut model, 1.2, 12, fixture::step(12, f64::INFINITY));
    let run = model.run();
    assert!(smoothing::newest_mean(&run.series.loss, 0.98).unwrap().is_infinite());
    one(&mut model, 1.3, 13, fixture::step(13, 2.0));
    let run = model.run();
    assert_eq!(run.series.loss.non_finite(), 2);
    assert!(smoothing::newest_mean(&run.series.loss, 0.98).unwrap().is_finite());
    assert!(run.series.loss.slice(0, 99, 99).last().unwrap().gap_before);
}

#[test]
fn the_cost_of_probes_is_their_fraction_of_the_time() {
    let model = fixture::run(true, 100);
    // 20 probes of 0.1 s in 10 s.
    assert!((model.run().probing_cost(model.now).unwrap() - 0.2).abs() < 1e-9);
}

#[test]
fn a_checkpoint_confirms_its_command() {
    let mut model = fixture::run(true, 3);
    press(&mut model, 'c');
    assert!(model.run().pending.checkpoint);
    one(&mut model, 1.0, 3, fixture::checkpoint(3));
    assert!(!model.run().pending.checkpoint);
}

#[test]
fn events_in_any_order_do_no_harm() {
    let mut model = fixture::model(true);
    let warning = Warning { message: "w".into() };
    let end = RunEnded { message: Some("m".into()), ..RunEnded::new(Status::Failed) };
    for event in [
        Event::Continued,
        Event::Unknown,
        Event::Warning(warning),
        Event::RunEnded(end),
        Event::Paused,
        fixture::probe(1.0, f64::NAN),
        fixture::checkpoint(9),
        fixture::resumed(4),
        fixture::step(2, 1.0),
        Event::RunStarted(fixture::info()),
    ] {
        one(&mut model, 0.0, 0, event);
    }
    assert_eq!(model.run().state(), RunState::Training);
}

#[test]
fn leaving_sends_no_command() {
    let mut model = fixture::run(true, 3);
    assert_eq!(press(&mut model, 'q'), []);
    assert!(model.exit.quit && !model.exit.abort());
    let mut watcher = fixture::three();
    assert_eq!(ctrl_c(&mut watcher), []);
    assert!(watcher.exit.quit && !watcher.exit.abort());
}

#[test]
fn a_run_without_a_socket_gets_no_command_but_a_notice() {
    let mut model = fixture::three();
    let life = RunUpdate::Heartbeat { alive: true, control: Control::ViewOnly };
    update(&mut model, Message::Run(0, life));
    for letter in ['p', 'c', 's'] {
        assert_eq!(press(&mut model, letter), []);
        assert!(model.dialogs.notice.take().unwrap().0.starts_with("View only"));
    }
    assert_eq!(model.run().pending.transition, None);
}

#[test]
fn a_process_that_is_gone_has_crashed_unless_its_log_has_an_end() {
    let mut model = fixture::three();
    let life = |alive| RunUpdate::Heartbeat { alive, control: Control::ViewOnly };
    for run in 0..2 {
        update(&mut model, Message::Run(run, life(true)));
        update(&mut model, Message::Run(run, life(false)));
        update(&mut model, Message::Run(run, life(false)));
    }
    assert_eq!(model.runs[0].state(), RunState::Crashed);
    assert_eq!(model.runs[1].state(), RunState::Ended(Status::Finished));
    let crashes = model.runs[0].messages.newest_first().filter(|n| n.text.starts_with("crashed"));
    assert_eq!(crashes.count(), 1);
    // Its clock stopped at the last event, at 150 s.
    update(&mut model, Message::Tick(START + 9999.0));
    assert!((elapsed(&model) - 150.0).abs() < 1e-6, "{}", elapsed(&model));
    // Another process resumes it.
    one(&mut model, 9999.0, 1000, fixture::resumed(1000));
    update(&mut model, Message::Run(0, life(true)));
    assert_eq!(model.runs[0].state(), RunState::Training);
}

#[test]
fn a_run_that_seemed_to_have_crashed_continues_with_its_next_event() {
    let mut model = fixture::run(true, 100);
    let gone = || RunUpdate::Heartbeat { alive: false, control: Control::ViewOnly };
    update(&mut model, Message::Run(0, gone()));
    assert_eq!(model.run().state(), RunState::Crashed);
    for step in 101..=110 {
        one(&mut model, step as f64 / 10.0, step, fixture::step(step, 1.0));
        assert_eq!(model.run().state(), RunState::Training);
    }
    // Its clock has continued: a step each tenth of a second.
    update(&mut model, Message::Tick(START + 11.0));
    assert!((elapsed(&model) - 11.0).abs() < 0.11, "{}", elapsed(&model));
    // A run that died before its first event is not one that has not begun.
    let mut model = fixture::model(true);
    update(&mut model, Message::Run(0, gone()));
    assert_eq!(model.run().state(), RunState::Crashed);
}

#[test]
fn a_state_that_holds_already_is_not_requested() {
    let mut model = fixture::run(true, 3);
    let enter = |model: &mut Model, line: &str| {
        typed(model, line);
        key(model, KeyCode::Enter)
    };
    assert_eq!(enter(&mut model, ":continue"), []);
    assert!(model.dialogs.notice.take().unwrap().0.contains("already training"));
    one(&mut model, 1.0, 3, Event::Paused);
    assert_eq!(enter(&mut model, ":pause"), []);
    assert!(model.dialogs.notice.take().unwrap().0.contains("already paused"));
    assert_eq!((model.run().pending.transition, model.run().state()), (None, RunState::Paused));
    assert_eq!(enter(&mut model, ":continue"), [Effect::Send(0, Command::Continue)]);
}

/// A log can hold any number.
#[test]
fn the_largest_numbers_do_no_harm() {
    let mut model = fixture::three();
    update(&mut model, Message::Resize(120, 36));
    for (step, phase) in [(u64::MAX - 2, 1), (u64::MAX - 1, u64::MAX - 1), (u64::MAX, u64::MAX)] {
        let event = match fixture::step(1, 1.0) {
            Event::Step(taken) => Event::Step(Step { phase, ..taken }),
            event => event,
        };
        one(&mut model, 400.0, step, event);
        let (sync, alpha, distance, gradient_norm) = (1, 0.5, None, None);
        let event = Sync { sync, alpha, distance, gradient_norm, last: false };
        one(&mut model, 400.0, step, Event::Sync(event));
    }
    for code in [KeyCode::Right, KeyCode::Right, KeyCode::Left, KeyCode::Char('+')] {
        key(&mut model, code);
    }
    for chart in Chart::ALL {
        model.view.chart = chart;
        let mut terminal =
            ratatui::Terminal::new(ratatui::backend::TestBackend::new(120, 36)).unwrap();
        terminal.draw(|frame| crate::view::view(&model, frame)).unwrap();
        crate::figure::of(&model);
    }
}

#[test]
fn a_suspension_does_not_count() {
    let mut model = fixture::run(true, 100);
    one(&mut model, 70.0, 100, Event::Suspended(Suspended { seconds: 60.0 }));
    for step in 101..=110 {
        one(&mut model, 60.0 + step as f64 / 10.0, step, fixture::step(step, 1.0));
    }
    update(&mut model, Message::Tick(START + 71.0));
    assert!((elapsed(&model) - 11.0).abs() < 0.2, "{}", elapsed(&model));
}

#[test]
fn keys_apply_to_the_selected_run() {
    let mut model = fixture::three();
    for (code, selected) in [
        (KeyCode::Up, 0),
        (KeyCode::Down, 1),
        (KeyCode::Down, 2),
        (KeyCode::Down, 2),
        (KeyCode::Up, 1),
    ] {
        key(&mut model, code);
        assert_eq!(model.selected, selected);
    }
    key(&mut model, KeyCode::Char(' '));
    assert!(model.runs[1].hidden && !model.runs[0].hidden);
    key(&mut model, KeyCode::Down);
    let pause = Message::Key(KeyEvent::new(KeyCode::Char('p'), KeyModifiers::NONE));
    assert_eq!(update(&mut model, pause), [Effect::Send(2, Command::Pause)]);
    assert_eq!(
        (model.runs[2].pending.transition, model.runs[0].pending.transition),
        (Some(Transition::Pause), None)
    );
}

#[test]
fn the_prompt_sends_commands_and_reports_errors() {
    let mut model = fixture::run(true, 3);
    typed(&mut model, ":set lookahead.k=x9");
    key(&mut model, KeyCode::Left);
    key(&mut model, KeyCode::Backspace);
    let setting = Setting { key: "lookahead.k".into(), value: 9.into() };
    assert_eq!(key(&mut model, KeyCode::Enter), [Effect::Send(0, Command::Set(setting.clone()))]);
    assert_eq!(model.dialogs.prompt, None);
    // The run may still refuse it.
    let why = "`lookahead.k` is 9. Use 8 or less.".to_owned();
    let refused = RunUpdate::Refused { command: Command::Set(setting), why: why.clone() };
    update(&mut model, Message::Run(0, refused));
    assert_eq!(model.dialogs.notice.as_ref().unwrap().0, why);
    // Earlier lines are recalled, and an invalid one remains to be corrected.
    typed(&mut model, ":");
    key(&mut model, KeyCode::Up);
    assert_eq!(model.dialogs.prompt.as_ref().unwrap().text, "set lookahead.k=9");
    typed(&mut model, " and more");
    key(&mut model, KeyCode::Esc);
    typed(&mut model, ":dance");
    assert_eq!(key(&mut model, KeyCode::Enter), []);
    let error = model.dialogs.prompt.as_ref().unwrap().error.clone().unwrap();
    assert!(error.contains("`dance`"), "{error}");
    // Letters don't act as keys in it.
    typed(&mut model, "qsp");
    assert!(
        !model.exit.quit && model.run().pending.transition.is_none() && !model.run().pending.stop
    );
}

#[test]
fn a_changed_setting_is_reported_and_shown() {
    let mut model = fixture::run(true, 3);
    let mut changes = serde_json::Map::new();
    changes.insert("lookahead.k".into(), 10.into());
    one(&mut model, 1.0, 3, Event::Changed(Changed { changes }));
    assert_eq!(model.run().info().unwrap().lookahead.unwrap().k, 10);
    assert_eq!(model.run().latest.step.unwrap().phase, 0, "a k begins with its cycle");
    let newest = model.run().messages.newest_first().next().unwrap();
    assert!(newest.text.contains("lookahead.k is 10"), "{}", newest.text);
}

#[test]
fn the_cursor_moves_by_dots_and_tenths_and_not_beyond_the_ends() {
    let mut model = fixture::run(true, 1000);
    update(&mut model, Message::Resize(120, 36));
    key(&mut model, KeyCode::Right);
    assert_eq!(model.view.cursor, Some(1000));
    key(&mut model, KeyCode::Left);
    let dot = 1000 - model.view.cursor.unwrap();
    assert!((5..=9).contains(&dot), "{dot} steps in a dot");
    let far = KeyEvent::new(KeyCode::Left, KeyModifiers::SHIFT);
    update(&mut model, Message::Key(far));
    assert!((880..=910).contains(&model.view.cursor.unwrap()), "{:?}", model.view.cursor);
    for _ in 0..20 {
        update(&mut model, Message::Key(far));
    }
    assert_eq!(model.view.cursor, Some(0));
    key(&mut model, KeyCode::Esc);
    assert_eq!(model.view.cursor, None);
    typed(&mut model, ":goto 99999");
    key(&mut model, KeyCode::Enter);
    assert_eq!(model.view.cursor, Some(1000));
}

#[test]
fn each_axis_shows_the_same_part() {
    let mut model = fixture::run(true, 1000);
    model.view.viewport.range = Range::Fixed(Span { start: 250.0, end: 500.0 });
    let part = |model: &Model| match model.view.viewport.range {
        Range::Fixed(span) => (span.start, span.end),
        range => panic!("{range:?}"),
    };
    for (axis, start, end) in
        [(Axis::Epoch, 1.0, 2.0), (Axis::Time, 25.0, 50.0), (Axis::Step, 250.0, 500.0)]
    {
        typed(&mut model, "x");
        assert_eq!(model.view.viewport.axis, axis);
        let found = part(&model);
        assert!((found.0 - start).abs() < 0.2 && (found.1 - end).abs() < 0.2, "{found:?}");
    }
}

#[test]
fn the_mouse_zooms_sets_the_cursor_pans_and_selects() {
    let mut model = fixture::run(true, 1000);
    update(&mut model, Message::Resize(120, 36));
    let plot = layout(&model).plot;
    let at = |kind, x, y| {
        let modifiers = KeyModifiers::NONE;
        Message::Mouse(MouseEvent { kind, column: x, row: y, modifiers })
    };
    let (x, y) = (plot.x + plot.width / 2, plot.y + 5);
    let left = MouseButton::Left;
    update(&mut model, at(MouseEventKind::Down(left), x, y));
    let there = model.view.cursor.unwrap();
    assert!((490..=515).contains(&there), "{there}");
    update(&mut model, at(MouseEventKind::Up(left), x, y));
    for _ in 0..4 {
        update(&mut model, at(MouseEventKind::ScrollUp, x, y));
    }
    let span = model.span();
    assert!((span.width() - 250.0).abs() < 1.0, "{span:?}");
    assert!((span.part(there as f64) - 0.5).abs() < 0.03, "it zooms about the pointer: {span:?}");
    update(&mut model, at(MouseEventKind::Down(left), x, y));
    update(&mut model, at(MouseEventKind::Drag(left), x + plot.width / 4, y));
    let moved = span.start - model.span().start;
    assert!((moved - 62.5).abs() < 2.0, "{moved}");
    // Outside of the plot it does nothing.
    let before = model.view.cursor;
    update(&mut model, at(MouseEventKind::Down(left), 0, 0));
    assert_eq!(model.view.cursor, before);

    let mut model = fixture::three();
    let list = layout(&model).runs;
    update(&mut model, at(MouseEventKind::Down(left), list.x + 3, list.y + 1));
    assert_eq!((model.selected, model.runs[1].hidden), (1, false));
    update(&mut model, at(MouseEventKind::Down(left), list.x + 3, list.y + 1));
    assert_eq!((model.selected, model.runs[1].hidden), (1, true));
}

#[test]
fn messages_scroll_and_are_searched() {
    let mut model = fixture::run(true, 3);
    for number in 0..500 {
        let message =
            format!("the {number}th, {}", if number % 100 == 7 { "Odd" } else { "plain" });
        one(&mut model, 1.0, 3, Event::Warning(Warning { message }));
    }
    typed(&mut model, "m");
    let bottom = |model: &Model| match &model.dialogs.overlay {
        Some(Overlay::Messages(list)) => list.bottom,
        overlay => panic!("{overlay:?}"),
    };
    key(&mut model, KeyCode::Up);
    key(&mut model, KeyCode::PageUp);
    assert_eq!(bottom(&model), 19);
    key(&mut model, KeyCode::Down);
    assert_eq!(bottom(&model), 18);
    typed(&mut model, "/odd");
    key(&mut model, KeyCode::Enter);
    // 500 messages, and the 407th is the newest of its kind.
    assert_eq!(bottom(&model), 499 - 407);
    typed(&mut model, "n");
    assert_eq!(bottom(&model), 499 - 307);
    typed(&mut model, "N");
    assert_eq!(bottom(&model), 499 - 407);
    // In the list Space does not hide the run.
    typed(&mut model, " ");
    assert!(!model.run().hidden);
    key(&mut model, KeyCode::Esc);
    assert_eq!(model.dialogs.overlay, None);
    typed(&mut model, "/nowhere");
    key(&mut model, KeyCode::Enter);
    assert!(model.dialogs.notice.as_ref().unwrap().0.contains("nowhere"));
}

#[test]
fn a_log_that_restarts_is_another_run() {
    let mut model = fixture::run(true, 600);
    model.view.cursor = Some(500);
    update(&mut model, Message::Run(0, RunUpdate::Restarted));
    assert_eq!((model.run().step(), model.run().state()), (0, RunState::Waiting));
    one(&mut model, 0.0, 0, Event::RunStarted(fixture::info()));
    assert!(model.span().width() > 0.0);
}

#[test]
fn a_line_that_is_not_an_event_is_reported() {
    let mut model = fixture::run(true, 3);
    let damaged = RunUpdate::Damaged { line: 7, cause: "expected value".into() };
    update(&mut model, Message::Run(0, damaged));
    let newest = model.run().messages.newest_first().next().unwrap();
    assert!(newest.text.contains("line 7") && newest.text.contains("expected value"));
}
