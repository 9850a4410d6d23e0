//! Whole screens: as text against `snapshots/`, and their styles, which snapshots don't contain.
//! `INSTA_UPDATE=always cargo test` regenerates the snapshots; look at them before committing.

mod grid;
mod heat;
mod metrics;
mod plots;
mod scalars;
mod sizes;
mod table;
mod weights;

use lookahead_run::event::{
    Evaluation, Event, Rank, Ranks, Reason, RunEnded, Split, Status, Warning, Weights,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::view;
use crate::chart::Chart;
use crate::fixture::{self, START, feed, record};
use crate::message::{Message, RunUpdate};
use crate::model::Model;
use crate::model::dialogs::{Asked, MessageList, Overlay, Question};
use crate::prompt::{Prompt, Purpose};
use crate::run::connection::Control;
use crate::run::pending::Transition;
use crate::screen_text::screen_text as text;
use crate::theme::{Theme, ThemeName};
use crate::update::update;
use crate::viewport::{Axis, Range, Span, Viewport};

fn screen(model: &Model, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| drop(view(model, frame))).unwrap();
    terminal.backend().buffer().clone()
}

fn shown(model: &Model, width: u16, height: u16) -> String {
    text(&screen(model, width, height))
}

#[track_caller]
fn assert_shows(screen: &str, expected: &[&str]) {
    for part in expected {
        assert!(screen.contains(part), "{part:?} is missing in\n{screen}");
    }
}

/// A run with these losses, one a step.
fn of_losses(losses: impl IntoIterator<Item = f64>) -> Model {
    let mut model = fixture::model(true);
    feed(&mut model, [record(0.0, 0, Event::RunStarted(fixture::info()))]);
    for (number, loss) in (1..).zip(losses) {
        feed(&mut model, [record(0.0, number, fixture::step(number, loss))]);
    }
    model
}

#[test]
fn the_ranks_of_a_distributed_run() {
    let mut model = fixture::run(true, 1000);
    assert!(!shown(&model, 120, 60).contains("processes"));
    let ranks = [(0.5, 0.002, 0.0305), (0.25, 0.03, 0.0025), (0.75, 0.004, 0.0285)];
    let ranks = ranks.map(|(loss, step_seconds, wait_seconds)| Rank {
        loss,
        step_seconds,
        wait_seconds,
        distance: Some(loss),
    });
    feed(&mut model, [record(101.0, 1000, Event::Ranks(Ranks { ranks: ranks.into() }))]);
    let screen = shown(&model, 120, 60);
    assert_shows(&screen, &["3 processes", "0.2500 to 0.7500", "rank 1, 30 ms a step"]);
    // The root of (0.25 + 0.0625 + 0.5625) / 3.
    assert_shows(&screen, &["2.5 ms to 30.5 ms", "distance, fast to their mean", "0.54"]);
}

fn ended(status: Status, message: Option<&str>) -> Model {
    changed(|model| {
        let end = RunEnded { message: message.map(str::to_owned), ..RunEnded::new(status) };
        feed(model, [record(101.0, 1000, Event::RunEnded(end))]);
    })
}

/// Badge, bar and messages differ from those of a run of all steps, until it is resumed.
#[test]
fn a_run_that_stopped_early() {
    let mut model = fixture::run(true, 800);
    let message = Some("no better validation accuracy in 2 evaluations".to_owned());
    let reason = Some(Reason::EarlyStopping);
    let end = RunEnded { message, reason, best_step: Some(700), ..RunEnded::new(Status::Finished) };
    let tested = Evaluation {
        loss: 0.25,
        accuracy: 0.9,
        samples: 10,
        model_step: Some(700),
        ..Evaluation::new(Weights::Slow, Split::Test)
    };
    feed(
        &mut model,
        [record(100.0, 800, Event::Evaluation(tested)), record(101.0, 800, Event::RunEnded(end))],
    );
    assert_shows(
        &shown(&model, 160, 60),
        &[
            "STOPPED EARLY",
            "%, stopped early",
            "test, best model",
            "no better validation",
            "(best model, of step 700)",
        ],
    );
    feed(&mut model, [record(102.0, 800, fixture::resumed(800))]);
    assert!(!shown(&model, 160, 60).contains("STOPPED EARLY"));
}

fn prompt(text: &str) -> Prompt {
    let mut prompt = Prompt::new(Purpose::Command);
    text.chars().for_each(|letter| prompt.insert(letter));
    prompt
}

/// A run after 1000 steps, changed.
fn changed(change: impl FnOnce(&mut Model)) -> Model {
    let mut model = fixture::run(true, 1000);
    change(&mut model);
    model
}

#[test]
fn pictures() {
    let crashed = changed(|model| {
        let gone = RunUpdate::Heartbeat { alive: false, control: Control::ViewOnly };
        update(model, Message::Run(0, gone));
    });
    let log = changed(|model| model.view.log_y = true);
    let zoomed = changed(|model| {
        model.view.viewport.range = Range::Fixed(Span { start: 500.0, end: 540.0 });
    });
    let latest = changed(|model| {
        model.view.viewport = Viewport { axis: Axis::Epoch, range: Range::Latest(0.5) };
    });
    let time = changed(|model| {
        model.view.viewport.axis = Axis::Time;
        model.view.raw = false;
    });
    let help = changed(|model| model.dialogs.overlay = Some(Overlay::Help(0)));
    let asking = changed(|model| model.dialogs.prompt = Some(prompt("set lookahead.alpha=0.8")));
    let cursor = changed(|model| model.view.cursor = Some(400));
    let cycle = changed(|model| model.view.chart = Chart::Cycle);
    let gain = changed(|model| model.view.chart = Chart::Gain);
    let ascii = changed(|model| model.ascii = true);
    let messages = changed(|model| {
        let search = Some("checkpoint".to_owned());
        model.dialogs.overlay = Some(Overlay::Messages(MessageList { bottom: 1, search }));
    });
    let refused = changed(|model| {
        let why = "`lookahead.k` is 0. Use 1 or more inner steps between syncs.";
        model.dialogs.notice = Some((why.into(), f64::INFINITY));
    });
    let mut three_accuracies = fixture::three();
    three_accuracies.view.chart = Chart::Accuracy;
    let mut three_both = fixture::three();
    three_both.view.both_weights = true;
    let mut three_accuracies_both = fixture::three();
    three_accuracies_both.view.chart = Chart::Accuracy;
    three_accuracies_both.view.both_weights = true;
    let mut view_only = fixture::three();
    view_only.runs[0].connection.control = Control::ViewOnly;
    view_only.runs[0].connection.reading = Some((400, 1000));
    let nan = of_losses((1..=1000).map(|number| match number {
        400..600 => f64::NAN,
        800 => f64::INFINITY,
        number => 1.0 + 1.0 / f64::from(number),
    }));
    for (name, model, width, height) in [
        ("empty", &fixture::model(true), 80, 24),
        ("one point", &of_losses([0.7]), 80, 24),
        ("nan", &nan, 80, 24),
        ("failed", &ended(Status::Failed, Some("the disk is full")), 80, 24),
        ("crashed", &crashed, 80, 24),
        ("three accuracies", &three_accuracies, 100, 30),
        ("three runs fast and slow", &three_both, 100, 30),
        ("three accuracies fast and slow", &three_accuracies_both, 100, 30),
        ("log scale", &log, 80, 24),
        ("zoomed", &zoomed, 80, 24),
        ("latest epochs", &latest, 80, 24),
        ("time", &time, 80, 24),
        ("help 80x24", &help, 80, 24),
        ("help 40x12", &help, 40, 12),
        ("prompt", &asking, 80, 24),
        ("prompt 40x12", &asking, 40, 12),
        ("cursor", &cursor, 120, 36),
        ("cursor 40x12", &cursor, 40, 12),
        ("cycle", &cycle, 80, 24),
        ("gain", &gain, 80, 24),
        ("ascii", &ascii, 80, 24),
        ("messages", &messages, 80, 24),
        ("notice", &refused, 80, 24),
        ("notice 40x12", &refused, 40, 12),
        ("view only", &view_only, 80, 24),
    ] {
        insta::assert_snapshot!(name, shown(model, width, height));
    }
}

#[test]
fn no_size_and_no_state_panics() {
    let mut models = vec![fixture::model(true), fixture::run(false, 1), fixture::three()];
    let mut model = fixture::run(true, 40);
    model.dropped = 12_345;
    let message = "A sentence of some length, with aVeryLongWord: ".repeat(9);
    let end = RunEnded { message: Some("why".into()), ..RunEnded::new(Status::Failed) };
    feed(
        &mut model,
        [
            record(5.0, 40, Event::Warning(Warning { message })),
            record(5.0, 41, fixture::step(41, 1e308)),
            record(5.0, 42, fixture::step(42, -1e308)),
            record(5.0, 43, fixture::step(43, f64::NAN)),
            record(5.0, u64::MAX, fixture::step(u64::MAX, 0.0)),
            record(5.0, u64::MAX, fixture::probe(f64::INFINITY, 1e-320)),
            record(6.0, 50, Event::RunEnded(end)),
        ],
    );
    models.push(model);
    let mut number = 0;
    for model in &mut models {
        for width in (1..90).step_by(3).chain([100, 119, 120, 121, 200, 250]) {
            for height in (1..30).step_by(2).chain([36, 44, 80]) {
                // All charts, overlays and ways to look at them come by turns.
                number += 1;
                model.view.chart = Chart::ALL[number % 10];
                model.view.log_y = number % 3 == 0;
                model.ascii = number % 7 == 0;
                model.view.cursor = (number % 4 == 0).then_some(number as u64);
                model.view.viewport.axis = [Axis::Step, Axis::Epoch, Axis::Time][number % 3];
                model.view.viewport.range = match number % 5 {
                    0 => Range::Latest(3.0),
                    1 => Range::Fixed(Span { start: 10.0, end: 10.5 }),
                    _ => Range::All,
                };
                model.dialogs.overlay = match number % 11 {
                    0 => Some(Overlay::Help(number % 50)),
                    1 => Some(Overlay::Messages(MessageList { bottom: number % 3, search: None })),
                    _ => None,
                };
                model.dialogs.prompt = (number % 13 == 0).then(|| prompt(&"wörds ".repeat(9)));
                let screen = screen(model, width, height);
                if model.ascii {
                    assert!(screen.content.iter().all(|cell| cell.symbol().is_ascii()));
                }
            }
        }
    }
}

#[test]
fn the_question_of_a_roll_back_says_what_is_lost() {
    let mut model = fixture::three();
    let question = |model: &mut Model, phase| {
        model.runs[0].latest.step.as_mut().unwrap().phase = phase;
        model.dialogs.question = Some(Question { run: 0, asks: Asked::RollBack, seen: true });
        let screen = screen(model, 120, 36);
        screen.content.iter().map(|cell| cell.symbol()).collect::<String>()
    };
    assert!(question(&mut model, 3).contains("The 3 steps since the last sync are lost. y: yes;"));
    assert!(question(&mut model, 1).contains("The step since the last sync is lost."));
    assert!(question(&mut model, 5).contains("The steps since the last sync are lost."), "k is 5");
}

/// A folder can have any name, and a log can contain anything.
#[test]
fn names_of_any_characters_leave_the_frames_whole() {
    let named = |name: &str, asks: bool| {
        let mut model = fixture::three();
        let text = name.to_owned();
        model.runs.iter_mut().for_each(|run| {
            run.name = text.clone();
            run.summary.info.iter_mut().for_each(|info| info.data = text.clone());
        });
        model.dialogs.question = asks.then_some(Question { run: 1, asks: Asked::Stop, seen: true });
        model
    };
    let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}".repeat(50);
    let accents = "e\u{301}".repeat(3000);
    for name in [
        "",
        "\u{1b}[2J\u{7}\r\nrun",
        &"漢字".repeat(60),
        "\u{202e}run مرحبا שלום",
        &family,
        &accents,
        "\u{301}\u{200b}",
    ] {
        for (width, height) in [(120, 36), (80, 24), (40, 12), (7, 3), (2, 1), (1, 1), (0, 0)] {
            screen(&named(name, true), width, height);
            let found = screen(&named(name, false), width, height);
            let usual = screen(&named("run", false), width, height);
            for (cell, usual) in found.content.iter().zip(&usual.content) {
                let symbol = cell.symbol();
                assert!(
                    !symbol.contains(|c: char| c.is_control() || c == '\u{202e}'),
                    "{symbol:?}"
                );
                if width >= 70 && "╭╮╰╯".contains(usual.symbol()) {
                    assert_eq!(symbol, usual.symbol(), "{name:?}");
                }
            }
        }
    }
}

/// The cursor stays visible, whatever the width of the letters before it.
#[test]
fn a_long_line_of_wide_letters_shows_its_end() {
    let mut model = fixture::run(true, 3);
    model.dialogs.prompt = Some(prompt(&"漢字かな".repeat(40)));
    let found = screen(&model, 80, 24);
    let place = (0..80).position(|x| found[(x, 23)].modifier.contains(Modifier::REVERSED));
    assert!(matches!(place, Some(77..80)), "{place:?}");
    assert_eq!(found[(place.unwrap() as u16 - 2, 23)].symbol(), "な");
}

#[test]
fn a_pause_is_visible() {
    let mut model = fixture::run(true, 100);
    model.run_mut().pending.transition = Some(Transition::Pause);
    assert_shows(&shown(&model, 120, 36), &["PAUSING…", "pausing…"]);
    model.run_mut().pending.transition = None;
    feed(&mut model, [record(11.0, 100, Event::Paused)]);
    let screen = shown(&model, 120, 36);
    assert_shows(&screen, &["p continue   c checkpoint"]);
    assert_eq!(screen.matches("PAUSED").count(), 2, "{screen}");
    assert_shows(&shown(&model, 40, 12), &["PAUSED"]);
}

#[test]
fn a_message_that_is_cut_ends_with_a_mark() {
    let mut model = fixture::run(true, 10);
    let message = "One sentence of a warning that is far too long for its pane. ".repeat(9);
    feed(&mut model, [record(2.0, 10, Event::Warning(Warning { message }))]);
    assert_shows(&shown(&model, 80, 24), &["…│"]);
    feed(&mut model, [record(2.0, 10, Event::Warning(Warning { message: "Short.".into() }))]);
    assert_shows(&shown(&model, 80, 24), &["…│", "! Short."]);
    assert!(!shown(&fixture::run(true, 300), 80, 24).contains('…'));
}

#[test]
fn stopping_is_visible_and_offers_no_commands() {
    let mut model = fixture::run(true, 100);
    model.run_mut().pending.stop = true;
    let screen = shown(&model, 80, 24);
    assert_shows(&screen, &["STOPPING", "stopping: saving a checkpoint…"]);
    assert!(!screen.contains("p pause"), "{screen}");
    assert_shows(&shown(&model, 40, 12), &["stopping: saving a checkpoint…"]);
}

#[test]
fn dropped_events_are_counted_on_the_screen() {
    let mut model = fixture::run(true, 100);
    update(&mut model, Message::Dropped(1234));
    assert_shows(&shown(&model, 100, 24), &["1,234 events not shown"]);
}

#[test]
fn the_help_names_the_program() {
    let stop = crate::keys::KEYS.iter().find(|binding| binding.help.contains("resume")).unwrap();
    let help = super::help::named(stop.help, "spirals");
    assert!(help.contains("`spirals resume`") && help.contains("`spirals watch`"), "{help}");
    assert!(!help.contains("lookahead"), "{help}");
}

#[test]
fn the_help_has_every_key_chart_and_word() {
    let mut model = fixture::run(true, 100);
    let mut seen = String::new();
    for from in 0..100 {
        model.dialogs.overlay = Some(Overlay::Help(from));
        seen.push_str(&shown(&model, 120, 36));
    }
    for binding in crate::keys::KEYS {
        assert_shows(&seen, &[binding.help, &binding.label()]);
    }
    for chart in Chart::ALL {
        assert_shows(&seen, &[chart.help()]);
    }
    // Their meanings are wrapped.
    for word in crate::words::WORDS {
        let start: Vec<&str> = word.meaning.split(' ').take(4).collect();
        assert_shows(&seen, &[word.word, &start.join(" ")]);
    }
}

#[test]
fn the_last_frame_has_the_outcome_and_no_keys() {
    let mut model = ended(Status::Failed, Some("the disk is full"));
    model.dialogs.overlay = Some(Overlay::Help(0));
    update(&mut model, Message::Closing(START + 102.0));
    let screen = shown(&model, 120, 36);
    assert_shows(&screen, &["FAILED", "✗ failed: the disk is full"]);
    assert!(!screen.contains("help"), "{screen}");
}

#[test]
fn without_lookahead_there_are_no_slow_weights_on_the_screen() {
    let mut model = fixture::model(true);
    let info = lookahead_run::event::RunInfo { lookahead: None, ..fixture::info() };
    feed(&mut model, [record(0.0, 0, Event::RunStarted(info))]);
    feed(&mut model, [record(0.1, 1, fixture::step(1, 1.0))]);
    for chart in [Chart::Loss, Chart::Accuracy] {
        model.view.chart = chart;
        let screen = shown(&model, 120, 36);
        assert_shows(&screen, &["without Lookahead"]);
        for word in ["probe", "phase", "syncs"] {
            assert!(!screen.contains(word), "{screen}");
        }
    }
    for chart in [Chart::Cycle, Chart::Gain, Chart::Distance] {
        model.view.chart = chart;
        assert_eq!(shown(&model, 120, 36).matches("without Lookahead").count(), 2);
    }
}

#[test]
fn the_question_before_a_roll_back_counts_what_is_lost() {
    let mut model = fixture::run(true, 98);
    let lost = model.run().latest.step.unwrap().phase;
    assert!(lost > 1);
    model.dialogs.question = Some(Question { run: 0, asks: Asked::RollBack, seen: false });
    let words = format!("The {lost} steps since the last sync are lost.");
    assert_shows(&shown(&model, 120, 36), &["Roll digits-mlp back to its slow weights?", &words]);
}
