//! The real program in a pseudo-terminal, watched as a person would.

use std::time::Duration;

use crate::common::terminal::{SIZE, Terminal, curve};
use crate::common::{SMALL, Sandbox, logged, random, sets, train, wait_until};
use lookahead_run::event::{Event, Record, Status};
use lookahead_run::format::count;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

const LONG: [&str; 4] = ["--set", "train.max_steps=10000000", "--set", "checkpoint.every_steps=0"];

#[test]
fn curves_show_and_the_keys_pause_save_and_stop() {
    let sandbox = Sandbox::new(SMALL);
    let mut terminal = Terminal::train(&sandbox, "run", &LONG);
    terminal.wait_for("curves", |text| {
        text.contains("fast weights") && text.contains("slow weights") && curve(text) > 40
    });

    terminal.press("p");
    terminal.wait_for("pause", |text| text.contains("PAUSED"));
    let steps = || sandbox.losses("run").len();
    let paused_at = steps();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(steps(), paused_at, "no step is taken in a pause");

    terminal.press("c");
    terminal.wait_for("checkpoint", |text| text.contains(&format!("step-{paused_at:08}")));
    terminal.press("?");
    terminal.wait_for("help", |text| text.contains("Show or close this help"));
    terminal.press("?");
    terminal.wait_for("end of help", |text| !text.contains("Show or close this help"));
    terminal.press("p");
    terminal.wait_for("training again", |text| !text.contains("PAUSED"));
    wait_until("the next step", || steps() > paused_at);

    terminal.press("s");
    assert_eq!(terminal.end(), 0);
    let records = sandbox.records("run");
    let last = records.last().unwrap();
    assert!(matches!(&last.event, Event::RunEnded(e) if e.status == Status::Stopped));
    let folder = lookahead_run::RunFolder::open(&sandbox.run_folder("run")).unwrap();
    assert_eq!(folder.checkpoints().newest_valid().unwrap().checkpoint.step, last.step);
}

/// The dashboard is one more observer that changes nothing.
#[test]
fn the_losses_are_the_same_with_and_without_the_dashboard() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("plain", &[]);
    let terminal = Terminal::train(&sandbox, "watched", &[]);
    assert_eq!(terminal.end(), 0);
    assert_eq!(sandbox.losses("plain"), sandbox.losses("watched"));
    assert!(sandbox.tensors("plain", 14) == sandbox.tensors("watched", 14));
}

#[test]
fn ctrl_c_and_sigterm_restore_the_terminal() {
    for way in ["\x03", "TERM"] {
        let sandbox = Sandbox::new(SMALL);
        let mut terminal = Terminal::train(&sandbox, "run", &LONG);
        terminal.wait_for("curves", |text| curve(text) > 10);
        if way == "TERM" {
            terminal.signal("TERM");
        } else {
            terminal.press(way);
        }
        assert_eq!(terminal.end(), 0, "{way:?}");
    }
}

#[test]
fn sigterm_in_a_pause() {
    let sandbox = Sandbox::new(SMALL);
    let mut terminal = Terminal::train(&sandbox, "run", &LONG);
    terminal.wait_for("curves", |text| curve(text) > 10);
    terminal.press("p");
    terminal.wait_for("pause", |text| text.contains("PAUSED"));
    terminal.signal("TERM");
    assert_eq!(terminal.end(), 0);
    let last = sandbox.records("run").pop().unwrap().step;
    let (step, found) = sandbox.checkpoints("run").pop().unwrap();
    assert_eq!(step, last);
    found.unwrap();
}

/// A second SIGINT ends the process in the middle of a long step.
#[test]
fn two_sigints_from_outside_restore_the_terminal() {
    let sandbox = Sandbox::new(SMALL);
    let slow = ["--set", "model.hidden=[4096,4096]", "--set", "data.batch_size=1200"];
    let slow = [&slow[..], &["--set", "train.device=cpu"]].concat();
    let terminal = Terminal::train(&sandbox, "run", &slow);
    terminal.wait_for("dashboard", |text| text.contains("digits"));
    for _ in 0..2 {
        terminal.signal("INT");
        // Signals that arrive at once count as one.
        std::thread::sleep(Duration::from_millis(100));
    }
    let screen = terminal.screen.clone();
    assert_eq!(terminal.end(), 130);
    let text = screen.lock().unwrap().screen().contents();
    assert!(text.trim_end().ends_with("Resume with: lookahead resume runs/run"), "{text}");
}

/// The error is printed after the terminal is restored.
#[test]
fn a_failure_is_readable_after_the_dashboard() {
    let sandbox = Sandbox::new(SMALL);
    let terminal = Terminal::train(&sandbox, "run", &["--set", "optimizer.lr=1e30"]);
    let screen = terminal.screen.clone();
    assert_eq!(terminal.end(), 1);
    let text = screen.lock().unwrap().screen().contents();
    assert!(text.contains("the training diverged"), "{text}");
}

/// The terminal's output is not read; the training continues.
#[test]
fn a_terminal_that_takes_no_output_does_not_block_the_training() {
    let sandbox = Sandbox::new(SMALL);
    let pair = native_pty_system().openpty(SIZE).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_lookahead"));
    command.args(train("run", &sets(&["train.max_steps=4000", "checkpoint.every_steps=0"])));
    command.cwd(sandbox.path());
    let mut child = pair.slave.spawn_command(command).unwrap();
    // The kernel's buffer is full after a frame or two; from then on every write of a frame waits.
    let log = sandbox.run_folder("run").join("events.jsonl");
    wait_until("the training ends", || {
        logged(&log, |record| matches!(record.event, Event::RunEnded(_)))
    });
    assert_eq!(sandbox.losses("run").len(), 4000);
    child.kill().unwrap();
}

#[test]
fn a_progress_bar_with_lines_above_it() {
    let sandbox = Sandbox::new(SMALL);
    let rare = ["--no-tui", "--set", "train.evaluate_every_epochs=0"];
    let terminal = Terminal::train(&sandbox, "run", &[&LONG[..], &rare].concat());
    terminal.wait_for("bar", |text| text.contains("/10,000,000  epoch") && text.contains("eta"));
    let ctl = |command| sandbox.lookahead(&["ctl", "runs/run", command]);
    assert!(ctl("checkpoint").status.success());
    terminal.wait_for("line", |text| text.contains("saved step-"));
    assert!(ctl("pause").status.success());
    // The last frame of the steps was of an earlier one.
    let step = sandbox.records("run").pop().unwrap().step;
    let paused = format!(" {}/10,000,000  paused", count(step));
    terminal.wait_for("pause", |text| text.contains(&paused) && !text.contains("eta"));
    assert!(ctl("continue").status.success());
    terminal.wait_for("bar", |text| text.contains("/10,000,000  epoch") && text.contains("eta"));
    assert!(ctl("stop").status.success());
    let screen = terminal.screen.clone();
    assert_eq!(terminal.end(), 0);
    let text = screen.lock().unwrap().screen().contents();
    assert!(text.contains("Stopped at step") && !text.contains("eta"), "{text}");
    assert!(text.trim_end().ends_with("Resume with: lookahead resume runs/run"), "{text}");

    // It is one more observer that changes nothing.
    sandbox.train("plain", &[]);
    assert_eq!(Terminal::train(&sandbox, "watched", &["--no-tui"]).end(), 0);
    assert_eq!(sandbox.losses("plain"), sandbox.losses("watched"));
}

/// Quitting the dashboard during a pause keeps the run paused, since others can continue it.
#[test]
fn a_pause_outlasts_the_dashboard() {
    let sandbox = Sandbox::new(SMALL);
    let mut terminal = Terminal::train(&sandbox, "run", &LONG);
    terminal.wait_for("curves", |text| curve(text) > 10);
    terminal.press("p");
    terminal.wait_for("pause", |text| text.contains("PAUSED"));
    terminal.press("q");
    terminal.wait_for("lines", |text| {
        text.contains("`lookahead watch runs/run` shows it again") && text.contains("stays paused")
    });
    let ctl = |command: &[&str]| sandbox.lookahead(&[&["ctl", "runs/run"], command].concat());
    let state = || String::from_utf8(ctl(&["status"]).stdout).unwrap();
    assert!(state().contains("run is paused"), "{}", state());
    assert!(ctl(&["continue"]).status.success());
    terminal.wait_for("bar", |text| text.contains("/10,000,000  epoch") && text.contains("eta"));
    assert!(ctl(&["pause"]).status.success());
    terminal.wait_for("another pause", |text| text.contains("  paused") && !text.contains("eta"));
    assert!(ctl(&["stop"]).status.success());
    assert_eq!(terminal.end(), 0);
    let records = sandbox.records("run");
    let notes = records.iter().filter(|record| matches!(record.event, Event::Note(_)));
    assert_eq!(notes.count(), 1, "one note");
}

/// Closing the window ends the dashboard, not the training.
#[test]
fn a_closed_terminal_leaves_the_training() {
    let sandbox = Sandbox::new(SMALL);
    let pair = native_pty_system().openpty(SIZE).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_lookahead"));
    command.args(train("run", &[&["--keep-on-hangup"], &LONG[..]].concat()));
    command.cwd(sandbox.path());
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let log = sandbox.run_folder("run").join("events.jsonl");
    wait_until("20 steps", || logged(&log, |record| record.step > 20));
    drop(pair.master);
    let hung_up = |record: &Record| matches!(&record.event, Event::Note(note) if note.message.contains("SIGHUP"));
    wait_until("the hangup is logged", || logged(&log, hung_up));
    let last = sandbox.records("run").pop().unwrap().step;
    wait_until("50 steps after it", || logged(&log, |record| record.step > last + 50));
    let id = child.process_id().unwrap().to_string();
    assert!(std::process::Command::new("kill").arg(id).status().unwrap().success());
    assert_eq!(child.wait().unwrap().exit_code(), 0);
}

/// Pieces of what terminals send, complete and cut, without keys that command a run, begin a line, or quit.
fn noise(state: &mut u64) -> Vec<u8> {
    const PIECES: [&[u8]; 12] = [
        b"\x1b[<0;0;5M",
        b"\x1b[<35;65535;65536M",
        b"\x1b[M   ",
        b"\x1b[M\xff\x00\x7f",
        b"\x1b[32;0;5M",
        b"\x1b[0;0R",
        b"\x1b[200~rm -rf\n\x1b[201~",
        b"\x1b[1;9999999999999C",
        b"\x1b]11;rgb:00/00",
        b"\x1b[[[",
        b"\xe6\xbc\xa2\xf0\x9f",
        b"\x1bO\x1b\x1b",
    ];
    let mut bytes = Vec::new();
    for _ in 0..20 {
        let piece = PIECES[random(state) as usize % PIECES.len()];
        let cut = random(state) as usize % (2 * piece.len());
        bytes.extend(&piece[..cut.min(piece.len())]);
        if random(state).is_multiple_of(3) {
            bytes.push(random(state) as u8);
        }
    }
    bytes.retain(|byte| !b"qscpwyu:/\x03\x1a\r\n".contains(byte));
    bytes
}

#[test]
fn the_dashboard_responds_after_any_bytes() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("done", &[]);
    let watcher = Terminal::start(&sandbox, SIZE, &["watch", "runs/done"], &[]);
    let trainer = Terminal::train(&sandbox, "run", &LONG);
    let mut state = 18;
    for mut terminal in [watcher, trainer] {
        terminal.wait_for("curves", |text| curve(text) > 10);
        let is_open = |text: &str| text.contains("Show or close this help");
        let answers = |terminal: &mut Terminal| {
            // The rest of a cut sequence is no longer expected.
            std::thread::sleep(Duration::from_millis(400));
            for open in [true, false] {
                terminal.press("?");
                terminal.wait_for("answer", |text| is_open(text) == open);
            }
        };
        for bytes in [&b"\x1b[<0;0;5M"[..], b"\x1b[M   ", b"\x1b[32;0;5M", b"\xff", b"\x1b[<0;"] {
            terminal.send(bytes);
            answers(&mut terminal);
        }
        // A report in two parts is one report; its digit is not the key of a chart.
        terminal.send(b"\x1b");
        std::thread::sleep(Duration::from_millis(10));
        terminal.send(b"[<0;3;");
        std::thread::sleep(Duration::from_millis(50));
        terminal.send(b"3M");
        for _ in 0..5 {
            for _ in 0..20 {
                terminal.send(&noise(&mut state));
            }
            std::thread::sleep(Duration::from_millis(400));
            // Esc closes what was opened.
            terminal.press("\x1b");
            std::thread::sleep(Duration::from_millis(100));
            terminal.press("\x1b");
            // Read together with the next key it would be Alt and that key: a busy machine may read late.
            std::thread::sleep(Duration::from_millis(600));
            answers(&mut terminal);
        }
        terminal.send(b"\x1b[200~a paste that never ends");
        terminal.wait_for("paste", |text| text.contains("The pasted text is ignored"));
        answers(&mut terminal);
        assert!(terminal.screen.lock().unwrap().screen().bracketed_paste());
        terminal.press("q");
        if terminal.text().contains("TRAINING") {
            terminal.wait_for("way back", |text| text.contains("`lookahead watch runs/run`"));
            terminal.signal("TERM");
        }
        assert_eq!(terminal.end(), 0);
    }
}

/// A pasted line is not taken as keys, even while the window is resized.
#[test]
fn a_paste_is_no_command() {
    let sandbox = Sandbox::new(SMALL);
    let trainer = Terminal::train(&sandbox, "run", &LONG);
    trainer.wait_for("curves", |text| curve(text) > 10);
    let mut watcher = Terminal::start(&sandbox, SIZE, &["watch", "runs/run"], &[]);
    watcher.wait_for("curves", |text| curve(text) > 10);
    watcher.send(b"\x1b[200~this stops\nyes\nqqq\n");
    watcher.resize(24, 80);
    std::thread::sleep(Duration::from_millis(100));
    watcher.send(b"s\ny\x1b[201~");
    watcher.wait_for("notice", |text| text.contains("The pasted text is ignored"));
    watcher.resize(36, 120);
    watcher.press(":set ");
    watcher.send(b"\x1b[200~optimizer.lr=0.0123\nstop\n\x1b[201~");
    watcher.wait_for("line", |text| text.contains(":set optimizer.lr=0.0123"));
    watcher.press("\r");
    watcher.wait_for("change", |text| text.contains("0.0123"));

    // A terminal without bracketed paste: the question can't have been read.
    watcher.press("ssyou: yes\x1b");
    std::thread::sleep(Duration::from_millis(200));
    let steps = sandbox.losses("run").len();
    wait_until("a step: it was not stopped", || sandbox.losses("run").len() > steps);
    watcher.stop();
    watcher.wait_for("end", |text| text.contains("STOPPED"));
    assert_eq!(trainer.end(), 0);
    watcher.press("q");
    assert_eq!(watcher.end(), 0);
}

#[test]
fn a_screen_of_size_zero_or_one_cell() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &[]);
    let tiny = PtySize { rows: 1, cols: 1, ..SIZE };
    let mut terminal = Terminal::start(&sandbox, tiny, &["watch", "runs/run"], &[]);
    terminal.wait_for("screen", |text| text.contains('█') || !text.is_empty());
    let size = |rows, cols| PtySize { rows, cols, ..SIZE };
    for size in [size(0, 0), size(0, 80), size(24, 0), size(1, 2), size(2, 1)] {
        terminal.master.resize(size).unwrap();
        for keys in
            ["?", "\x1b[<0;1;1M", ":", "s", "\x1b[200~s\x1b[201~", "\x1b", "m", "\x1b[5~", "\x1b"]
        {
            std::thread::sleep(Duration::from_millis(70));
            terminal.press(keys);
        }
    }
    terminal.resize(36, 120);
    terminal.wait_for("run", |text| text.contains("FINISHED") && curve(text) > 10);
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

/// A terminal that can't move its cursor gets lines, and no escape sequences.
#[test]
fn a_dumb_terminal_gets_lines() {
    for term in ["dumb", ""] {
        let sandbox = Sandbox::new(SMALL);
        let train = ["train", "test.toml", "--out", "runs", "--progress-every", "0", "--name"];
        for (arguments, words) in [
            (&[&train[..], &["run"]].concat()[..], &["`TERM` is", "step 14/14", "Finished"][..]),
            (&[&train[..], &["lines", "--no-tui"]].concat(), &["step 14/14", "Finished"]),
            (
                &["train", "test.toml", "--out", "runs", "--name", "more", "--no-tui"],
                &["step 1/14", "step 14/14"],
            ),
            (&["watch", "runs/run"], &["`TERM` is", "step 14/14", "Finished at step 14"]),
        ] {
            let high = PtySize { rows: 60, ..SIZE };
            let terminal = Terminal::start(&sandbox, high, arguments, &[("TERM", term)]);
            let screen = terminal.screen.clone();
            assert_eq!(terminal.end(), 0, "{arguments:?}");
            let parser = screen.lock().unwrap();
            let text = parser.screen().contents();
            for word in words {
                assert!(text.contains(word), "no {word} for {arguments:?}:\n{text}");
            }
            assert_eq!(parser.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        }
        // A run that trains is followed to its end.
        let trainer = Terminal::train(&sandbox, "live", &LONG);
        trainer.wait_for("curves", |text| curve(text) > 10);
        let watcher = Terminal::start(&sandbox, SIZE, &["watch", "runs/live"], &[("TERM", term)]);
        watcher.wait_for("line", |text| text.contains("step 1/10,000,000"));
        trainer.signal("TERM");
        assert_eq!(trainer.end(), 0);
        let screen = watcher.screen.clone();
        assert_eq!(watcher.end(), 0);
        let text = screen.lock().unwrap().screen().contents();
        assert!(text.contains("Stopped at step"), "{text}");
    }
}

/// A progress bar can't be drawn there; occasional lines replace it.
#[test]
fn without_the_dashboard_too_a_dumb_terminal_gets_lines_now_and_then() {
    let sandbox = Sandbox::new(SMALL);
    let rare = ["--no-tui", "--set", "train.evaluate_every_epochs=0"];
    let arguments = train("run", &[&LONG[..], &rare].concat());
    let terminal = Terminal::start(&sandbox, SIZE, &arguments, &[("TERM", "dumb")]);
    terminal.wait_for("second line", |text| text.matches("/10,000,000  epoch").count() > 1);
    terminal.signal("TERM");
    assert_eq!(terminal.end(), 0);
}
