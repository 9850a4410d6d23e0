//! Whole screens, as text and by their styles.

use lookahead_run::event::{Event, RunEnded, Status, Warning};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};

use super::view;
use crate::event_loop::text;
use crate::fixture::{self, feed, record};
use crate::model::{Asked, Model};
use crate::update::{Message, update};

fn screen(model: &Model, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view(model, frame)).unwrap();
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

#[test]
fn a_large_screen_shows_everything() {
    let screen = shown(&fixture::run(true, 1000), 120, 36);
    let lines: Vec<&str> = screen.lines().collect();
    assert_eq!(lines.len(), 36);
    assert!(lines[0].starts_with(" digits-mlp   digits · mlp · adam"));
    assert!(lines[0].ends_with(" TRAINING"));
    assert_eq!(lines[1], " Lookahead k 5 α 0.5 · cpu · 421,642 parameters · seed 1");
    assert_eq!(lines[35], " p pause   c checkpoint   s stop   ? help");
    assert_shows(
        &screen,
        &[
            "⣿ loss at θ  0.3024",
            "⠒ smoothed   0.3175",
            "○ probe θ (fast)  0.3605",
            "● probe φ (slow)  0.2821",
            "50.0 %",
            "│ step                1,000 of 2,000 │",
            "│ epoch                    4.00 of 8 │",
            "│ time left                   1m 40s │",
            "│ elapsed                     1m 40s │",
            "│ samples/s                    1,234 │",
            "│ learning rate                0.001 │",
            "│ phase                    ●●●●● 5/5 │",
            "│ syncs                  200   α 0.5 │",
            "θ 0.3605 → φ 0.2821 │",
            "−0.0784 │",
            "20.0 % of the time │",
            "├ validation at step 1,000 ──",
            "φ slow    θ fast │",
            "│ accuracy         92.16 %   90.16 % │",
            "│ best             92.16 %   90.16 % │",
            "│ last                 step-00001000 │",
            "│ warnings                         0 │",
            "step 1,000│",
            "0:01:40   validation: φ 92.16 % loss 0.5000, θ 90.16 % loss 0.5000",
            "0:01:40   saved step-00001000 (1.5 MB, 12 ms)",
        ],
    );
}

#[test]
fn the_usual_screen_shows_what_matters() {
    let screen = shown(&fixture::run(true, 1000), 80, 24);
    assert_eq!(screen.lines().count(), 24);
    assert_shows(
        &screen,
        &[
            "⣿ loss at θ  0.3024   ○ probe θ (fast)  0.3605 │",
            "⠒ smoothed   0.3175",
            "● probe φ (slow)  0.2821 │",
            "50.0 % │",
            "│ time left           1m 40s │",
            "│ probe  θ 0.3605 → φ 0.2821 │",
            "│ accuracy 92.16 %   90.16 % │",
            "saved step-00001000 (1.5 MB, 12 ms)",
            " p pause   c checkpoint   s stop   ? help",
        ],
    );
}

#[test]
fn a_small_screen_shows_the_chart_and_one_line() {
    let screen = shown(&fixture::run(true, 1000), 40, 12);
    let lines: Vec<&str> = screen.lines().collect();
    assert_eq!(lines[0], "⣿ 0.3024  ⠒ 0.3175  ○θ 0.3605  ●φ 0.2821");
    assert!(lines[10].ends_with("step 1,000"), "{screen}");
    assert_eq!(lines[11], "TRAINING 1,000/2,000 50 % 1m 40s left");
}

#[test]
fn a_tiny_screen_shows_one_line() {
    let model = fixture::run(true, 1000);
    assert_eq!(shown(&model, 39, 12), "TRAINING 1,000/2,000 50 % 1m 40s left");
    assert_eq!(shown(&model, 20, 3), "TRAINING 1,000/2,000");
    assert_eq!(shown(&model, 10, 1), "TRAINING");
    assert_eq!(shown(&model, 3, 1), "TRA");
}

#[test]
fn no_size_and_no_state_panics() {
    let mut models = vec![fixture::model(true), fixture::run(false, 1), fixture::run(true, 700)];
    let mut model = fixture::run(true, 40);
    model.help = true;
    model.dropped = 12_345;
    let message = "A sentence that goes on and on, with aVeryLongWord: ".repeat(9);
    let end = RunEnded { status: Status::Failed, message: Some("why".into()) };
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
    for model in &models {
        for width in (1..90).chain([100, 119, 120, 121, 200, 250]) {
            for height in (1..30).chain([36, 44, 80]) {
                screen(model, width, height);
            }
        }
    }
}

/// The cells of the plot itself: not of the legend, whose samples have the same colours.
fn plot(screen: &Buffer) -> impl Iterator<Item = &Cell> {
    let (width, height) = (screen.area.width, screen.area.height);
    (0..height)
        .flat_map(move |y| (0..width).map(move |x| (x, y)))
        .filter(|(x, y)| (5..36).contains(y) && (4..81).contains(x))
        .map(|position| &screen[position])
}

fn is_dots(cell: &Cell) -> bool {
    cell.symbol().starts_with(|letter: char| ('\u{2801}'..='\u{28ff}').contains(&letter))
}

#[test]
fn fast_and_slow_have_their_own_colours_and_markers() {
    let model = fixture::run(true, 1000);
    let (fast, slow) = (model.theme.fast.fg.unwrap(), model.theme.slow.fg.unwrap());
    assert_ne!(fast, slow);
    let screen = screen(&model, 120, 36);
    for (color, marker, other) in [(fast, "○", "●"), (slow, "●", "○")] {
        let cells: Vec<&Cell> = plot(&screen).filter(|cell| cell.fg == color).collect();
        assert!(cells.iter().filter(|cell| is_dots(cell)).count() > 20);
        assert!(cells.iter().any(|cell| cell.symbol() == marker));
        assert!(cells.iter().all(|cell| cell.symbol() != other));
    }
}

#[test]
fn slow_wins_a_shared_cell() {
    let mut model = fixture::model(true);
    feed(&mut model, [record(0.0, 0, Event::RunStarted(fixture::info()))]);
    for number in 1..=1000 {
        let loss = 1.0 / number as f64;
        feed(&mut model, [record(0.0, number, fixture::step(number, loss + 1.0))]);
        feed(&mut model, [record(0.0, number, fixture::probe(loss, loss))]);
    }
    let screen = screen(&model, 120, 36);
    let (fast, slow) = (model.theme.fast.fg.unwrap(), model.theme.slow.fg.unwrap());
    assert_eq!(plot(&screen).filter(|cell| cell.fg == fast && is_dots(cell)).count(), 0);
    assert!(plot(&screen).filter(|cell| cell.fg == slow && is_dots(cell)).count() > 40);
}

#[test]
fn without_colours_the_markers_tell_them_apart() {
    use ratatui::style::{Color, Modifier};
    let mut model = fixture::run(false, 1000);
    model.help = true;
    let screen = screen(&model, 120, 36);
    for cell in &screen.content {
        assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{cell:?}");
    }
    // The sign of a pause stands on a frame that is dim, and must not be so itself.
    feed(&mut model, [record(101.0, 1000, Event::Paused)]);
    let signs: Vec<Cell> = self::screen(&model, 120, 36).content;
    let signs = signs.iter().filter(|cell| cell.modifier.contains(Modifier::REVERSED));
    assert!(
        signs.clone().count() >= 16 && signs.clone().all(|c| !c.modifier.contains(Modifier::DIM))
    );
    model.help = false;
    let screen = shown(&model, 120, 36);
    assert!(screen.matches('○').count() > 3 && screen.matches('●').count() > 8, "{screen}");
}

#[test]
fn a_huge_first_loss_is_cut_off_with_a_marker() {
    let mut model = fixture::model(true);
    feed(&mut model, [record(0.0, 0, Event::RunStarted(fixture::info()))]);
    for number in 1..=500 {
        let loss = if number == 1 { 5000.0 } else { 1.0 + 1.0 / number as f64 };
        feed(&mut model, [record(0.0, number, fixture::step(number, loss))]);
    }
    for (width, height) in [(120, 36), (80, 24), (40, 12)] {
        let screen = shown(&model, width, height);
        let top = screen.lines().find(|line| line.contains('▲')).expect("a marker");
        let label: f64 = top.split('┤').next().unwrap().trim_matches(['│', ' ']).parse().unwrap();
        assert!(label < 2.0, "{screen}");
    }
}

#[test]
fn a_gap_is_left_where_the_loss_is_not_finite() {
    let mut model = fixture::model(true);
    feed(&mut model, [record(0.0, 0, Event::RunStarted(fixture::info()))]);
    for number in 1..=1000 {
        let loss = if (400..600).contains(&number) { f64::NAN } else { 1.0 };
        feed(&mut model, [record(0.0, number, fixture::step(number, loss))]);
    }
    let screen = shown(&model, 120, 36);
    assert_shows(&screen, &["200 non-finite losses"]);
    let curve: Vec<bool> = {
        let screen = self::screen(&model, 120, 36);
        let columns = 10..80;
        columns.map(|x| (5..27).any(|y| is_dots(&screen[(x, y)]))).collect()
    };
    // Drawn up to two fifths, then nothing for a fifth of the width.
    let changes = curve.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let empty = curve.iter().filter(|drawn| !**drawn).count();
    assert_eq!(changes, 2, "{screen}");
    assert!((12..18).contains(&empty), "{empty} in\n{screen}");
}

#[test]
fn one_point_and_a_flat_loss_are_drawn() {
    for steps in [1, 2, 50] {
        let mut model = fixture::model(true);
        feed(&mut model, [record(0.0, 0, Event::RunStarted(fixture::info()))]);
        for number in 1..=steps {
            feed(&mut model, [record(0.0, number, fixture::step(number, 0.7))]);
        }
        let screen = screen(&model, 120, 36);
        assert!(plot(&screen).any(is_dots), "{}", text(&screen));
        let text = text(&screen);
        let line = text.lines().find(|line| line.contains("0.700┤")).unwrap();
        assert!(line.contains(|letter| ('⠁'..='⣿').contains(&letter)), "{text}");
    }
}

#[test]
fn a_pause_is_seen() {
    let mut model = fixture::run(true, 100);
    model.asked = Some(Asked::Pause);
    assert_shows(&shown(&model, 120, 36), &["PAUSING…", "pausing…"]);
    model.asked = None;
    feed(&mut model, [record(11.0, 100, Event::Paused)]);
    let screen = shown(&model, 120, 36);
    assert_shows(&screen, &["p continue   c checkpoint"]);
    assert_eq!(screen.matches("PAUSED").count(), 2, "{screen}");
    assert_shows(&shown(&model, 40, 12), &["PAUSED"]);
}

#[test]
fn a_message_that_is_cut_says_so() {
    let mut model = fixture::run(true, 10);
    let message = "One sentence of a warning that is far too long for its pane. ".repeat(9);
    feed(&mut model, [record(2.0, 10, Event::Warning(Warning { message }))]);
    assert_shows(&shown(&model, 80, 24), &["…│"]);
    feed(&mut model, [record(2.0, 10, Event::Warning(Warning { message: "Short.".into() }))]);
    assert_shows(&shown(&model, 80, 24), &["…│", "! Short."]);
    assert!(!shown(&fixture::run(true, 300), 80, 24).contains('…'));
}

#[test]
fn stopping_is_seen_and_offers_nothing_more() {
    let mut model = fixture::run(true, 100);
    model.stop_asked = true;
    let screen = shown(&model, 80, 24);
    assert_shows(&screen, &["STOPPING", "stopping: saving a checkpoint…"]);
    assert!(!screen.contains("p pause"), "{screen}");
    assert_shows(&shown(&model, 40, 12), &["stopping: saving a checkpoint…"]);
}

#[test]
fn what_was_not_shown_is_told() {
    let mut model = fixture::run(true, 100);
    update(&mut model, Message::Dropped(1234));
    assert_shows(&shown(&model, 80, 24), &["1,234 events not shown"]);
}

#[test]
fn the_help_names_every_key_of_the_table() {
    let mut model = fixture::run(true, 100);
    model.help = true;
    let screen = shown(&model, 80, 24);
    for binding in crate::keys::KEYS {
        assert_shows(&screen, &[binding.help]);
    }
}

#[test]
fn a_narrow_help_says_less_and_cuts_no_word() {
    let mut model = fixture::run(true, 100);
    model.help = true;
    let screen = shown(&model, 40, 12);
    assert_shows(&screen, &["Pause the run", "Save a checkpoint and stop", "Close this help"]);
    assert_shows(
        &screen,
        &["Halt the program", "Loss at θ on the probe batch", "Loss at the slow"],
    );
    assert!(!screen.contains("resume"), "{screen}");
}

#[test]
fn the_last_frame_says_how_it_ended_and_names_no_keys() {
    let mut model = fixture::run(true, 100);
    let end = RunEnded { status: Status::Failed, message: Some("the disk is full".into()) };
    feed(&mut model, [record(11.0, 100, Event::RunEnded(end))]);
    model.help = true;
    update(&mut model, Message::Closing(fixture::START + 12.0));
    let screen = shown(&model, 120, 36);
    assert_shows(&screen, &["FAILED", "✗ failed: the disk is full"]);
    assert!(!screen.contains("help"), "{screen}");
}

#[test]
fn without_lookahead_nothing_speaks_of_slow_weights() {
    let mut model = fixture::model(true);
    let info = lookahead_run::event::RunInfo { lookahead: None, ..fixture::info() };
    feed(&mut model, [record(0.0, 0, Event::RunStarted(info))]);
    feed(&mut model, [record(0.1, 1, fixture::step(1, 1.0))]);
    let screen = shown(&model, 120, 36);
    assert_shows(&screen, &["without Lookahead"]);
    for word in ["probe", "phase", "syncs"] {
        assert!(!screen.contains(word), "{screen}");
    }
}

#[test]
fn before_the_first_event_it_says_that_it_waits() {
    assert_shows(&shown(&fixture::model(true), 80, 24), &["WAITING", "waiting for the run"]);
}
