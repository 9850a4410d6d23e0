//! The pictures in the documentation match today's dashboard.
//!
//! `just screenshots` trains the runs in `pictures/runs` and writes the pictures; here they are redrawn from
//! the logs of these runs, and compared.

mod screen;

use std::fs;
use std::path::{Path, PathBuf};

use crossterm::event::KeyCode;
use lookahead_dashboard::{Offscreen, Options, RunSource, ThemeName};
use lookahead_run::{RunFolder, log};
use screen::{DARK, LIGHT, screen_svg};

/// With this in the environment the pictures are written instead of compared.
const WRITE: &str = "LOOKAHEAD_WRITE_PICTURES";

/// One picture: its name, the runs in it, its size, and the keys that lead to it.
struct Picture {
    name: &'static str,
    runs: &'static [&'static str],
    size: (u16, u16),
    theme: ThemeName,
    keys: &'static [KeyCode],
    /// Events after this fraction of the run are left out, so that it still trains.
    part: f64,
}

const TRAINING: Picture = Picture {
    name: "training",
    runs: &["lookahead"],
    size: (120, 36),
    theme: ThemeName::Dark,
    keys: &[],
    part: 0.6,
};

const PICTURES: [Picture; 9] = [
    TRAINING,
    Picture { name: "training-200x60", size: (200, 60), ..TRAINING },
    Picture { name: "training-80x24", size: (80, 24), ..TRAINING },
    Picture { name: "training-40x12", size: (40, 12), ..TRAINING },
    Picture { name: "training-20x6", size: (20, 6), ..TRAINING },
    Picture { name: "grid", keys: &[KeyCode::Char('g')], ..TRAINING },
    Picture { name: "cycles", keys: &[KeyCode::Char('4')], ..TRAINING },
    Picture {
        name: "compared",
        runs: &["lookahead", "sgd", "adam"],
        keys: &[KeyCode::Char('l'), KeyCode::Char('o'), KeyCode::Char('x')],
        part: 1.0,
        ..TRAINING
    },
    Picture {
        name: "cursor",
        theme: ThemeName::Light,
        keys: &[
            KeyCode::Char('+'),
            KeyCode::Char('+'),
            KeyCode::Left,
            KeyCode::Left,
            KeyCode::Left,
            KeyCode::Left,
        ],
        ..TRAINING
    },
];

/// The runs in the picture of the table.
const TABLE: [&str; 3] = ["lookahead", "sgd", "adam"];

fn log_of(run: &str) -> PathBuf {
    folder().join(format!("runs/{run}.jsonl"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pictures")
}

/// A table of the runs, as of a folder `checkpoints`.
fn draw_table() -> String {
    let temp = tempfile::tempdir().unwrap();
    let runs = TABLE.map(|run| {
        let folder = RunFolder::create(temp.path(), run).unwrap();
        folder.write_config("").unwrap();
        fs::copy(log_of(run), folder.events_path()).unwrap();
        (run.to_owned(), folder.path().to_owned())
    });
    let options = Options { theme: ThemeName::Dark, ascii: false, mouse: false, folder: None };
    let find = Box::new(move || runs.to_vec());
    let source = RunSource { title: "checkpoints".to_owned(), planned: None, find };
    let mut dashboard = Offscreen::browse(source, &options, 120, 16);
    dashboard.tick(dashboard.newest());
    for key in [KeyCode::Char(' '), KeyCode::Char(' ')] {
        assert!(!dashboard.press(key), "the key has an effect outside of the picture");
    }
    let (buffer, _) = dashboard.draw().unwrap();
    screen_svg(&buffer, DARK, "lookahead watch checkpoints")
}

fn draw(picture: &Picture) -> String {
    let options = Options { theme: picture.theme, ascii: false, mouse: false, folder: None };
    let (width, height) = picture.size;
    let mut dashboard = Offscreen::new(picture.runs, &options, width, height);
    for (index, run) in picture.runs.iter().enumerate() {
        let records = log::read(&log_of(run)).unwrap();
        let last = (records.last().unwrap().step as f64 * picture.part) as u64;
        records.into_iter().take_while(|r| r.step <= last).for_each(|r| dashboard.feed(index, r));
    }
    dashboard.tick(dashboard.newest());
    for key in picture.keys {
        assert!(!dashboard.press(*key), "the key has an effect outside of the picture");
    }
    let (buffer, _) = dashboard.draw().unwrap();
    let palette = if picture.theme == ThemeName::Light { LIGHT } else { DARK };
    let title = match picture.runs {
        [_] if picture.part < 1.0 => "just train".to_owned(),
        runs => format!("lookahead watch {}", runs.join(" ")),
    };
    screen_svg(&buffer, palette, &title)
}

#[test]
fn they_match_todays_dashboard() {
    let pictures = PICTURES.iter().map(|picture| (picture.name, draw(picture)));
    for (name, svg) in pictures.chain([("table", draw_table())]) {
        let path = folder().join(format!("{name}.svg"));
        if std::env::var_os(WRITE).is_some() {
            fs::write(&path, svg).unwrap();
            continue;
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(there == svg, "{} does not match the dashboard: just screenshots", path.display());
    }
}
