//! Each state of a run on screens of five sizes, and every small size.

use lookahead_run::command::Command;
use lookahead_run::event::{RollBackCause, RolledBack, RunInfo};

use super::*;
use crate::fixture::Session;
use crate::message::Effect;
use crate::run::connection::Control;

/// Columns and rows.
const SIZES: [(u16, u16); 5] = [(200, 60), (120, 36), (80, 24), (40, 12), (20, 6)];

#[test]
fn each_state_at_each_size() {
    let mut before = fixture::model(true);
    feed(&mut before, [record(0.0, 0, Event::RunStarted(fixture::info()))]);
    let states = [
        ("before the first step", before),
        ("training", changed(|_| ())),
        ("paused", changed(|model| feed(model, [record(101.0, 1000, Event::Paused)]))),
        ("finished", finished()),
        ("three runs", fixture::three()),
    ];
    for (name, model) in &states {
        for (width, height) in SIZES {
            let name = format!("{name} {width}x{height}");
            insta::assert_snapshot!(name, shown(model, width, height));
        }
    }
}

/// A run of all steps, with its test.
fn finished() -> Model {
    let mut model = fixture::run(true, 2000);
    let tested = |weights, accuracy| {
        let new = Evaluation::new(weights, Split::Test);
        Event::Evaluation(Evaluation { loss: 0.4, accuracy, ..new })
    };
    feed(
        &mut model,
        [
            record(200.5, 2000, tested(Weights::Slow, 0.91)),
            record(200.6, 2000, tested(Weights::Fast, 0.9)),
            record(201.0, 2000, Event::RunEnded(RunEnded::new(Status::Finished))),
        ],
    );
    model
}

/// The lines of a screen as one text.
fn text(screen: &str) -> String {
    screen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One that has ended or has no slow weights is not asked about, and one that can be watched only neither.
#[test]
fn what_a_roll_back_did_or_why_there_is_none_is_said_at_each_size() {
    let mut alone = Session(fixture::model(true));
    alone.event(0.0, 0, Event::RunStarted(RunInfo { lookahead: None, ..fixture::info() }));
    let mut view_only = Session::of_run(100);
    view_only.run_mut().connection.control = Control::ViewOnly;
    let mut done = Session::of_run(100);
    assert_eq!(done.press("R"), []);
    done.dialogs.question.as_mut().unwrap().seen = true;
    assert_eq!(done.press("y"), [Effect::Send(0, Command::RollBack)]);
    assert_shows(&shown(&done, 40, 12), &["rolling back…"]);
    let rolled_back = |cause| {
        let message = "As requested.".to_owned();
        Event::RolledBack(RolledBack { cause, message, count: 0, lr_scale: 1.0 })
    };
    done.event(11.0, 101, rolled_back(RollBackCause::Spike));
    assert!(done.dialogs.notice.is_none());
    done.event(11.0, 101, rolled_back(RollBackCause::Requested));
    let said = done.dialogs.notice.clone();
    // Another one was not requested here.
    done.event(12.0, 102, rolled_back(RollBackCause::Requested));
    for (mut session, keys, sentence) in [
        (Session(finished()), "R", "The run has ended, so it accepts no commands."),
        (alone, "R", "The run trains without Lookahead: it has no slow weights to roll back to."),
        (
            view_only,
            "R",
            "View only: the run has no control socket here, so it accepts no commands.",
        ),
        (done, "", "The fast weights went back to the slow ones."),
    ] {
        if keys.is_empty() {
            assert_eq!(session.dialogs.notice, said);
        }
        assert_eq!(session.press(keys), []);
        assert!(session.dialogs.question.is_none(), "{sentence}");
        for (width, height) in SIZES {
            let screen = shown(&session, width, height);
            assert!(text(&screen).contains(sentence), "{sentence}\n{screen}");
        }
    }
}

#[test]
fn a_tiny_screen_shows_percent_and_losses() {
    let model = fixture::run(true, 1000);
    assert_eq!(shown(&model, 39, 1), "TRAINING 50 % loss 0.3174 1,000/2,000");
    assert_eq!(shown(&model, 20, 1), "TRAINING 50 %");
    assert_eq!(shown(&model, 10, 1), "TRAINING");
    assert_eq!(shown(&model, 3, 1), "TRA");
    assert_eq!(shown(&model, 20, 2), "TRAINING        50 %\ntraining loss 0.3174");
    let four = shown(&model, 20, 4);
    assert_shows(&four, &["TRAINING        50 %", "training loss 0.3174"]);
    assert_shows(&four, &["○ fast, val.  0.3605", "● slow, val.  0.2821"]);
    // A value without its name says nothing, and part of a number would mislead.
    assert_eq!(shown(&model, 9, 4), "TRAINING\nloss\n○ fast\n● slow");
    let mut model = fixture::run(true, 1000);
    model.run_mut().pending.stop = true;
    assert_shows(&shown(&model, 40, 6), &["STOPPING", "0.3174", "stopping: saving a checkpoint…"]);
}

#[test]
fn no_small_size_panics() {
    let long = changed(|model| model.run_mut().name = "a-name-of-some-length".into());
    let mut asking = fixture::three();
    asking.dialogs.question = Some(Question { run: 1, asks: Asked::Stop, seen: true });
    asking.run_mut().pending.stop = true;
    let mut help = finished();
    help.dialogs.overlay = Some(Overlay::Help(7));
    for model in [fixture::model(true), fixture::run(true, 3), long, asking, help] {
        for width in 1..=60 {
            for height in 1..=20 {
                screen(&model, width, height);
            }
        }
    }
}
