mod navigation;
mod table;

use crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use lookahead_run::command::Setting;
use lookahead_run::event::{Changed, Event, RunEnded, Status, Step, Suspended, Sync, Warning};

use super::*;
use crate::chart::Chart;
use crate::fixture::{self, Session};
use crate::model::dialogs::Overlay;
use crate::run::RunState;
use crate::run::connection::Control;
use crate::run::pending::Transition;
use crate::smoothing;
use crate::view::layout::layout;
use crate::viewport::{Axis, Range, Span};

const PAUSE: Effect = Effect::Send(0, Command::Pause);
const CONTINUE: Effect = Effect::Send(0, Command::Continue);
const STOP: Effect = Effect::Send(0, Command::Stop);

fn ctrl_c(session: &mut Session) -> Vec<Effect> {
    session.held(KeyCode::Char('c'), KeyModifiers::CONTROL)
}

fn set_k(k: u64) -> Command {
    Command::Set(Setting { key: "lookahead.k".into(), value: k.into() })
}

fn heartbeat(alive: bool) -> RunUpdate {
    RunUpdate::Heartbeat { alive, control: Control::ViewOnly }
}

#[track_caller]
fn assert_state(session: &Session, pending: Option<Transition>, state: RunState) {
    assert_eq!((session.run().pending.transition, session.run().state()), (pending, state));
}

#[track_caller]
fn assert_elapsed(session: &Session, seconds: f64, tolerance: f64) {
    assert!((session.elapsed() - seconds).abs() < tolerance, "{}", session.elapsed());
}

#[test]
fn keys_become_commands() {
    for (letter, command) in
        [("p", Command::Pause), ("c", Command::Checkpoint), ("s", Command::Stop)]
    {
        assert_eq!(Session::of_run(3).press(letter), [Effect::Send(0, command)], "{letter}");
    }
    let mut session = Session::of_run(3);
    assert_eq!(session.press("z?"), []);
    assert_eq!(session.dialogs.overlay, Some(Overlay::Help(0)));
    assert_eq!(session.press("h"), []);
    assert_eq!(session.dialogs.overlay, None);
    session.press("?");
    session.key(KeyCode::Esc);
    assert_eq!(session.dialogs.overlay, None);
}

#[test]
fn releasing_a_key_does_nothing() {
    let mut session = Session::of_run(3);
    let mut key = KeyEvent::new(KeyCode::Char('p'), KeyModifiers::NONE);
    key.kind = KeyEventKind::Release;
    assert_eq!(session.send(Message::Key(key)), []);
    assert_state(&session, None, RunState::Training);
}

#[test]
fn one_key_pauses_and_continues() {
    let mut session = Session::of_run(3);
    assert_eq!(session.press("p"), [PAUSE]);
    // A step does not confirm a pause.
    session.event(1.0, 4, fixture::step(4, 1.0));
    assert_state(&session, Some(Transition::Pause), RunState::Training);
    session.event(1.0, 4, Event::Paused);
    assert_state(&session, None, RunState::Paused);
    assert_eq!(session.press("p"), [CONTINUE]);
    assert_state(&session, Some(Transition::Continue), RunState::Paused);
    session.event(9.0, 4, Event::Continued);
    assert_state(&session, None, RunState::Training);
}

#[test]
fn a_pause_can_be_taken_back_before_it_begins() {
    let mut session = Session::of_run(3);
    assert_eq!(session.press("p"), [PAUSE]);
    assert_eq!(session.press("p"), [CONTINUE]);
    // The trainer received both together, never paused, and reports only steps.
    session.event(1.0, 4, fixture::step(4, 1.0));
    assert_state(&session, None, RunState::Training);
    assert_eq!(session.press("p"), [PAUSE]);
}

#[test]
fn the_run_stops_once_and_takes_no_commands_afterwards() {
    let mut session = Session::of_run(3);
    assert_eq!(session.press("s"), [STOP]);
    ["s", "p", "c"].iter().for_each(|key| assert_eq!(session.press(key), []));
    session.event(2.0, 3, Event::RunEnded(RunEnded::new(Status::Stopped)));
    ["s", "p", "c"].iter().for_each(|key| assert_eq!(session.press(key), []));
}

#[test]
fn a_watcher_confirms_before_it_stops_a_run() {
    let mut session = Session(fixture::three());
    let question = |session: &mut Session, seen| {
        assert_eq!(session.press("s"), []);
        let question = session.dialogs.question.as_mut().unwrap();
        assert!(!std::mem::replace(&mut question.seen, seen));
    };
    // A key that comes with the `s` is not an answer, because the question was not drawn yet.
    question(&mut session, false);
    assert_eq!(session.press("y"), []);
    // Another key lets it train, and has its own effect.
    question(&mut session, true);
    assert_eq!(session.press("?"), []);
    assert!(session.dialogs.question.is_none() && session.dialogs.overlay.is_some());
    session.key(KeyCode::Esc);
    assert_eq!(session.press("y"), []);
    assert!(!session.run().pending.stop);
    question(&mut session, true);
    assert_eq!(session.press("y"), [STOP]);
    assert!(session.run().pending.stop);
}

#[test]
fn a_roll_back_is_confirmed_by_the_trainer_too() {
    for mut session in [Session(fixture::three()), Session::of_run(3)] {
        assert_eq!(session.press("R"), []);
        session.dialogs.question.as_mut().unwrap().seen = true;
        assert_eq!(session.press("n"), [], "any other key");
        assert_eq!(session.press("R"), []);
        session.dialogs.question.as_mut().unwrap().seen = true;
        let sent = session.press("y");
        assert_eq!(sent, [Effect::Send(0, Command::RollBack)]);
    }
}

#[test]
fn a_paste_never_acts_as_keys() {
    let mut session = Session::of_run(3);
    assert_eq!(session.send(Message::Paste("this stops\nq".into())), []);
    assert!(session.notice().starts_with("The pasted text is ignored"));
    assert!(!session.exit.quit && !session.run().pending.stop);
    assert_state(&session, None, RunState::Training);
    session.press(":set ");
    assert_eq!(session.send(Message::Paste("lookahead.k=9\r\nstop\r\n".into())), []);
    assert!(session.notice().starts_with("Only the first line"));
    assert_eq!(session.key(KeyCode::Enter), [Effect::Send(0, set_k(9))]);
}

#[test]
fn a_second_ctrl_c_ends_the_program() {
    let mut session = Session::of_run(3);
    assert_eq!(ctrl_c(&mut session), [STOP]);
    assert!(!session.exit.abort());
    assert_eq!(ctrl_c(&mut session), []);
    assert!(session.exit.abort());
}

#[test]
fn a_refused_command_can_be_sent_again() {
    let mut session = Session::of_run(3);
    assert_eq!(session.press("s"), [STOP]);
    let why = "The training accepts no commands.".to_owned();
    session.tell(0, RunUpdate::Refused { command: Command::Stop, why });
    assert_eq!(session.press("s"), [STOP]);
    assert!(session.newest().contains("accepts no commands"));
}

#[test]
fn a_resumed_run_continues_its_curves_and_its_clock() {
    let mut session = Session::of_run(300);
    session.event(30.5, 300, fixture::checkpoint(299));
    session.event(1000.0, 300, fixture::resumed(300));
    let run = session.run();
    assert_eq!((run.series.loss.last_step(), run.step()), (Some(300), 300));
    assert_eq!(run.state(), RunState::Training);
    assert_eq!(run.latest.checkpoint.as_ref().unwrap().name, "step-00000300");
    // 30 s were spent up to step 300, and 4 s since.
    session.tick(1004.0);
    assert_elapsed(&session, 34.0, 0.2);
}

#[test]
fn another_run_starts_from_nothing() {
    let mut session = Session::of_run(600);
    session.event(100.0, 0, Event::RunStarted(fixture::info()));
    assert!(session.run().series.loss.is_empty());
    assert_eq!(session.run().step(), 0);
    session.tick(101.0);
    assert_elapsed(&session, 1.0, 1e-9);
}

#[test]
fn losses_that_are_not_finite_are_counted_and_break_the_lines() {
    let mut session = Session::of_run(10);
    session.event(1.1, 11, fixture::step(11, f64::NAN));
    session.event(1.2, 12, fixture::step(12, f64::INFINITY));
    let mean =
        |session: &Session| smoothing::newest_mean(&session.run().series.loss, 0.98).unwrap();
    assert!(mean(&session).is_infinite());
    session.event(1.3, 13, fixture::step(13, 2.0));
    let loss = &session.run().series.loss;
    assert_eq!(loss.non_finite(), 2);
    assert!(mean(&session).is_finite());
    assert!(loss.slice(0, 99, 99).last().unwrap().gap_before);
}

#[test]
fn the_cost_of_probes_is_their_fraction_of_the_time() {
    let session = Session::of_run(100);
    // 20 probes of 0.1 s in 10 s.
    assert!((session.run().probing_cost(session.now).unwrap() - 0.2).abs() < 1e-9);
}

#[test]
fn a_checkpoint_confirms_its_command() {
    let mut session = Session::of_run(3);
    session.press("c");
    assert!(session.run().pending.checkpoint);
    session.event(1.0, 3, fixture::checkpoint(3));
    assert!(!session.run().pending.checkpoint);
}

#[test]
fn events_in_any_order_do_no_harm() {
    let mut session = Session(fixture::model(true));
    let end = RunEnded { message: Some("m".into()), ..RunEnded::new(Status::Failed) };
    for event in [
        Event::Continued,
        Event::Unknown,
        Event::Warning(Warning { message: "w".into() }),
        Event::RunEnded(end),
        Event::Paused,
        fixture::probe(1.0, f64::NAN),
        fixture::checkpoint(9),
        fixture::resumed(4),
        fixture::step(2, 1.0),
        Event::RunStarted(fixture::info()),
    ] {
        session.event(0.0, 0, event);
    }
    assert_eq!(session.run().state(), RunState::Training);
}

#[test]
fn leaving_sends_no_command() {
    let mut session = Session::of_run(3);
    assert_eq!(session.press("q"), []);
    assert!(session.exit.quit && !session.exit.abort());
    let mut watcher = Session(fixture::three());
    assert_eq!(ctrl_c(&mut watcher), []);
    assert!(watcher.exit.quit && !watcher.exit.abort());
}

#[test]
fn a_run_without_a_socket_gets_no_command_but_a_notice() {
    let mut session = Session(fixture::three());
    session.tell(0, heartbeat(true));
    for letter in ["p", "c", "s"] {
        assert_eq!(session.press(letter), []);
        assert!(session.notice().starts_with("View only"));
    }
    assert_state(&session, None, RunState::Training);
}

#[test]
fn a_process_that_is_gone_has_crashed_unless_its_log_has_an_end() {
    let mut session = Session(fixture::three());
    for run in 0..2 {
        [true, false, false].into_iter().for_each(|alive| session.tell(run, heartbeat(alive)));
    }
    assert_eq!(session.runs[0].state(), RunState::Crashed);
    assert_eq!(session.runs[1].state(), RunState::Ended(Status::Finished));
    let messages = session.runs[0].messages.newest_first();
    assert_eq!(messages.filter(|note| note.text.starts_with("crashed")).count(), 1);
    // Its clock stopped at the last event, at 150 s.
    session.tick(9999.0);
    assert_elapsed(&session, 150.0, 1e-6);
    // Another process resumes it.
    session.event(9999.0, 1000, fixture::resumed(1000));
    session.tell(0, heartbeat(true));
    assert_eq!(session.runs[0].state(), RunState::Training);
}

#[test]
fn a_run_that_seemed_to_have_crashed_continues_with_its_next_event() {
    let mut session = Session::of_run(100);
    session.tell(0, heartbeat(false));
    assert_eq!(session.run().state(), RunState::Crashed);
    for step in 101..=110 {
        session.event(step as f64 / 10.0, step, fixture::step(step, 1.0));
        assert_eq!(session.run().state(), RunState::Training);
    }
    // Its clock has continued: a step each tenth of a second.
    session.tick(11.0);
    assert_elapsed(&session, 11.0, 0.11);
    // A run that died before its first event is not one that has not begun.
    let mut session = Session(fixture::model(true));
    session.tell(0, heartbeat(false));
    assert_eq!(session.run().state(), RunState::Crashed);
}

#[test]
fn a_state_that_holds_already_is_not_requested() {
    let mut session = Session::of_run(3);
    assert_eq!(session.enter(":continue"), []);
    assert!(session.notice().contains("already training"));
    session.event(1.0, 3, Event::Paused);
    assert_eq!(session.enter(":pause"), []);
    assert!(session.notice().contains("already paused"));
    assert_state(&session, None, RunState::Paused);
    assert_eq!(session.enter(":continue"), [CONTINUE]);
}

/// A log can hold any number.
#[test]
fn the_largest_numbers_do_no_harm() {
    let mut session = Session(fixture::three());
    session.send(Message::Resize(120, 36));
    for (step, phase) in [(u64::MAX - 2, 1), (u64::MAX - 1, u64::MAX - 1), (u64::MAX, u64::MAX)] {
        let Event::Step(taken) = fixture::step(1, 1.0) else { panic!() };
        session.event(400.0, step, Event::Step(Step { phase, ..taken }));
        let (sync, alpha, distance, gradient_norm) = (1, 0.5, None, None);
        let event = Sync { sync, alpha, distance, gradient_norm, last: false };
        session.event(400.0, step, Event::Sync(event));
    }
    for code in [KeyCode::Right, KeyCode::Right, KeyCode::Left, KeyCode::Char('+')] {
        session.key(code);
    }
    for chart in Chart::ALL {
        session.view.chart = chart;
        let mut terminal =
            ratatui::Terminal::new(ratatui::backend::TestBackend::new(120, 36)).unwrap();
        terminal.draw(|frame| drop(crate::view::view(&session, frame))).unwrap();
        crate::figure::of(&session);
    }
}

#[test]
fn a_suspension_does_not_count() {
    let mut session = Session::of_run(100);
    session.event(70.0, 100, Event::Suspended(Suspended { seconds: 60.0 }));
    for step in 101..=110 {
        session.event(60.0 + step as f64 / 10.0, step, fixture::step(step, 1.0));
    }
    session.tick(71.0);
    assert_elapsed(&session, 11.0, 0.2);
}

#[test]
fn keys_apply_to_the_selected_run() {
    let mut session = Session(fixture::three());
    let (up, down) = (KeyCode::Up, KeyCode::Down);
    for (code, selected) in [(up, 0), (down, 1), (down, 2), (down, 2), (up, 1)] {
        session.key(code);
        assert_eq!(session.selected, selected);
    }
    session.press(" ");
    assert!(session.runs[1].hidden && !session.runs[0].hidden);
    session.key(KeyCode::Down);
    assert_eq!(session.press("p"), [Effect::Send(2, Command::Pause)]);
    assert_state(&session, Some(Transition::Pause), RunState::Training);
    assert_eq!(session.runs[0].pending.transition, None);
}

#[test]
fn the_prompt_sends_commands_and_reports_errors() {
    let mut session = Session::of_run(3);
    session.press(":set lookahead.k=x9");
    session.key(KeyCode::Left);
    session.key(KeyCode::Backspace);
    assert_eq!(session.key(KeyCode::Enter), [Effect::Send(0, set_k(9))]);
    assert_eq!(session.dialogs.prompt, None);
    // The run may still refuse it.
    let why = "`lookahead.k` is 9. Use 8 or less.".to_owned();
    session.tell(0, RunUpdate::Refused { command: set_k(9), why: why.clone() });
    assert_eq!(session.notice(), why);
    // Earlier lines are recalled.
    session.press(":");
    session.key(KeyCode::Up);
    assert_eq!(session.dialogs.prompt.as_ref().unwrap().text, "set lookahead.k=9");
    session.press(" and more");
    // Letters don't act as keys in it.
    session.press("qsp");
    assert!(!session.exit.quit && !session.run().pending.stop);
    assert_state(&session, None, RunState::Training);
    session.key(KeyCode::Esc);
}

/// It replaces what an earlier line got.
#[test]
fn the_answer_to_a_set_is_above_the_keys() {
    let mut session = Session::of_run(3);
    session.enter(":dance");
    session.enter(":set lookahead.k=7");
    assert_eq!(session.notice(), "");
    let warning = |message: &str| Event::Warning(Warning { message: message.to_owned() });
    session.event(1.0, 3, warning("The disk is slow."));
    assert_eq!(session.notice(), "", "that is not the answer");
    let changes = [("lookahead.k".to_owned(), 7.into())].into_iter().collect();
    session.event(1.0, 3, Event::Changed(Changed { changes }));
    assert_eq!(session.notice(), "lookahead.k is 7 from here on");

    session.enter(":set lookahead.k=0");
    session.event(1.0, 3, warning("`lookahead.k` is 0. Use at least 1."));
    assert_eq!(session.notice(), "`lookahead.k` is 0. Use at least 1.");
    session.event(1.0, 3, warning("`lookahead.k` again."));
    assert_eq!(session.notice(), "", "one answer for each");
}

/// As in vim: the line closes, so that the next key acts, and can be recalled.
#[test]
fn a_mistaken_line_is_reported_and_closes() {
    let mut session = Session::of_run(3);
    assert_eq!(session.enter(":dance"), []);
    assert_eq!(session.dialogs.prompt, None);
    assert_eq!(session.press("p"), [Effect::Send(0, Command::Pause)]);
    let notice = session.notice();
    assert!(notice.contains("`dance`") && notice.contains("Press : and ↑"), "{notice}");
    session.press(":");
    session.key(KeyCode::Up);
    assert_eq!(session.dialogs.prompt.as_ref().unwrap().text, "dance");
    // It is not kept twice.
    session.key(KeyCode::Enter);
    assert_eq!(session.dialogs.entered, ["dance"]);
}

#[test]
fn a_changed_setting_is_reported_and_shown() {
    let mut session = Session::of_run(3);
    let changes = [("lookahead.k".to_owned(), 10.into())].into_iter().collect();
    session.event(1.0, 3, Event::Changed(Changed { changes }));
    assert_eq!(session.run().info().unwrap().lookahead.unwrap().k, 10);
    assert_eq!(session.run().latest.step.unwrap().phase, 0, "a k begins with its cycle");
    assert!(session.newest().contains("lookahead.k is 10"), "{}", session.newest());
}

#[test]
fn a_log_that_restarts_is_another_run() {
    let mut session = Session::of_run(600);
    session.view.cursor = Some(500);
    session.tell(0, RunUpdate::Restarted);
    assert_eq!((session.run().step(), session.run().state()), (0, RunState::Waiting));
    session.event(0.0, 0, Event::RunStarted(fixture::info()));
    assert!(session.span().width() > 0.0);
}

#[test]
fn a_line_that_is_not_an_event_is_reported() {
    let mut session = Session::of_run(3);
    session.tell(0, RunUpdate::Damaged { line: 7, cause: "expected value".into() });
    assert!(session.newest().contains("line 7") && session.newest().contains("expected value"));
}
