//! What a newcomer sees of a finished run, on screens of five sizes.

use crate::common::terminal::{SIZE, Terminal};
use crate::common::{SMALL, Sandbox};
use portable_pty::PtySize;

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
