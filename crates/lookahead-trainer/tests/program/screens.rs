//! What a newcomer sees of a finished run, on screens of five sizes; and the grid, the heat map and what the watchdog did.

use std::fs;

use lookahead_run::event::{Event, Record, RunEnded, Status};
use lookahead_run::log;
use portable_pty::PtySize;

use crate::common::terminal::{SIZE, SIZES, Terminal};
use crate::common::{SMALL, Sandbox, root};

/// State, progress, losses and what they were measured on: in full words, in fewer, and in the fewest.
#[test]
fn each_size_says_what_its_numbers_are() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &[]);
    let full = ["training loss", "loss on one validation batch", "fast weights", "slow weights"];
    let short = ["training batches", "validation batch", "○ fast", "● slow"];
    for (cols, rows, words) in [
        (200, 60, [&full[..], &["a sync every k = 3 steps", "├ checkpoint ─", "cycles"]].concat()),
        (120, 36, [&full[..], &["├ validation ─", "● slow", "○ fast", "├ test ─"]].concat()),
        (80, 24, [&short[..], &["├ validation ", "├ test ", "gain of"]].concat()),
        (40, 12, vec!["training ", "validation ", "○ fast", "● slow", "100 %"]),
        (20, 6, vec!["100 %", "training loss ", "○ fast, val.", "● slow, val."]),
    ] {
        let size = PtySize { rows, cols, ..SIZE };
        let mut terminal = Terminal::start(&sandbox, size, &["watch", "runs/run"], &[]);
        terminal.wait_for("all words", |text| {
            text.contains("FINISHED") && words.iter().all(|word| text.contains(word))
        });
        terminal.press("q");
        assert_eq!(terminal.end(), 0);
    }
}

/// The recorded run of the documentation's pictures up to when its loss jumped and the watchdog rolled back; with the keys
/// that lead to a screen, and what shows that it is there. Without colours a heat map is letters.
#[test]
fn the_grid_the_heat_map_and_the_watchdogs_note_at_each_size() {
    let sandbox = Sandbox::new(SMALL);
    let run = sandbox.run_folder("digits");
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("config.toml"), "").unwrap();
    let log = root().join("crates/lookahead-dashboard/pictures/runs/digits.jsonl");
    let mut records = log::read(&log).unwrap();
    let jump = records.iter().position(|r| matches!(r.event, Event::RolledBack(_))).unwrap();
    records.truncate(jump + 1);
    let Record { time, step, .. } = records[jump];
    records.push(Record { time, step, event: Event::RunEnded(RunEnded::new(Status::Stopped)) });
    let lines = records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n");
    fs::write(run.join("events.jsonl"), lines.collect::<String>()).unwrap();
    let screens = [
        ("grid", "g", "of 12"),
        ("layers", "\x1b[Z\x1b[Z", "fc1"),
        ("watchdog", "m", "messages of digits"),
    ];
    for (name, keys, seen) in screens {
        for (cols, rows) in SIZES {
            let size = PtySize { rows, cols, ..SIZE };
            // Where the grid is remembered.
            let state = sandbox.path().join(format!("state-{name}-{cols}"));
            let variables = [("XDG_STATE_HOME", state.to_str().unwrap()), ("NO_COLOR", "1")];
            let watch = ["watch", "runs/digits"];
            let mut terminal = Terminal::start(&sandbox, size, &watch, &variables);
            terminal.wait_for("the run", |text| text.contains("STOPPED"));
            terminal.press(keys);
            terminal.wait_for(name, |text| text.contains(seen));
            terminal.assert_screen(&format!("{name} {cols}x{rows}"));
            if name == "grid" {
                terminal.press("R");
                terminal.wait_for("a refusal", |text| text.contains("The run has ended, so"));
            }
            terminal.press("q");
            assert_eq!(terminal.end(), 0);
        }
    }
}

/// Words that the screen has little room for are in the help.
#[test]
fn the_help_explains_the_words() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &[]);
    let mut terminal = Terminal::start(&sandbox, SIZE, &["watch", "runs/run"], &[]);
    terminal.wait_for("run", |text| text.contains("FINISHED"));
    terminal.press("?");
    terminal.wait_for("keys", |text| text.contains("signs, words, charts"));
    // Down by pages to the end.
    terminal.press("\x1b[6~\x1b[6~\x1b[6~\x1b[6~");
    terminal.wait_for("charts", |text| text.contains("Training samples per second."));
    let mut seen = terminal.text();
    terminal.press("\x1b[5~");
    terminal.wait_for("words", |text| text.contains("The loss of each training batch"));
    seen += &terminal.text();
    for word in ["probe", "gain", "smoothing β", "distance", "time on probes", "checkpoint"] {
        assert!(seen.contains(&format!("│ {word} ")), "{word} is missing in\n{seen}");
    }
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}
