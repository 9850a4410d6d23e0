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

/// One screen: the name of its pictures, the runs in it, its sizes, and the keys that lead to it.
struct Picture {
    name: &'static str,
    runs: &'static [&'static str],
    sizes: &'static [(u16, u16)],
    theme: ThemeName,
    keys: &'static [KeyCode],
    /// Events after this fraction of the run are left out, so that it still trains.
    part: f64,
    /// The host that it is on, whose connection is lost.
    host: Option<&'static str>,
}

/// Columns and rows. Those of the first are not part of a picture's name.
const USUAL: &[(u16, u16)] = &[(120, 36)];
const SIZES: &[(u16, u16)] = &[(120, 36), (200, 60), (80, 24), (40, 12)];
const EACH: &[(u16, u16)] = &[(120, 36), (200, 60), (80, 24), (40, 12), (20, 6)];
const TABLE_SIZES: &[(u16, u16)] = &[(120, 16), (200, 60), (80, 24), (40, 12)];

const TRAINING: Picture = Picture {
    name: "training",
    runs: &["lookahead"],
    sizes: EACH,
    theme: ThemeName::Dark,
    keys: &[],
    part: 0.6,
    host: None,
};
const DIGITS: Picture = Picture { runs: &["digits"], sizes: SIZES, part: 0.8, ..TRAINING };

static PICTURES: [Picture; 8] = [
    TRAINING,
    Picture { name: "grid", sizes: SIZES, keys: &[KeyCode::Char('g')], ..TRAINING },
    Picture { name: "cycles", sizes: USUAL, keys: &[KeyCode::Char('4')], ..TRAINING },
    Picture {
        name: "compared",
        runs: &["lookahead", "sgd", "adam"],
        sizes: USUAL,
        keys: &[KeyCode::Char('l'), KeyCode::Char('o'), KeyCode::Char('x')],
        part: 1.0,
        ..TRAINING
    },
    Picture {
        name: "cursor",
        sizes: USUAL,
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
    Picture { name: "layers", keys: &[KeyCode::BackTab, KeyCode::BackTab], ..DIGITS },
    // The list of messages, where there is no room for those of the watchdog beside the chart.
    Picture { name: "watchdog", keys: &[KeyCode::Char('m')], ..DIGITS },
    Picture { name: "remote", host: Some("gpu-box"), ..DIGITS },
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
fn draw_table((width, height): (u16, u16)) -> String {
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
    let mut dashboard = Offscreen::browse(source, &options, width, height);
    dashboard.tick(dashboard.newest());
    for key in [KeyCode::Char(' '), KeyCode::Char(' ')] {
        assert!(!dashboard.press(key), "the key has an effect outside of the picture");
    }
    let (buffer, _) = dashboard.draw().unwrap();
    screen_svg(&buffer, DARK, "lookahead watch checkpoints")
}

fn draw(picture: &Picture, (width, height): (u16, u16)) -> String {
    let options = Options { theme: picture.theme, ascii: false, mouse: false, folder: None };
    let of_host =
        |run: &&str| picture.host.map_or((*run).to_owned(), |host| format!("{host}:{run}"));
    let names: Vec<String> = picture.runs.iter().map(of_host).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut dashboard = Offscreen::new(&names, &options, width, height);
    for (index, run) in picture.runs.iter().enumerate() {
        let records = log::read(&log_of(run)).unwrap();
        let last = (records.last().unwrap().step as f64 * picture.part) as u64;
        records.into_iter().take_while(|r| r.step <= last).for_each(|r| dashboard.feed(index, r));
    }
    dashboard.tick(dashboard.newest());
    if let Some(host) = picture.host {
        dashboard.disconnect(0, host, "Timeout, server not responding", 8.0);
    }
    let keys = picture.keys.iter().filter(|key| **key != KeyCode::Char('m') || width <= 80);
    for key in keys {
        assert!(!dashboard.press(*key), "the key has an effect outside of the picture");
    }
    let (buffer, _) = dashboard.draw().unwrap();
    let palette = if picture.theme == ThemeName::Light { LIGHT } else { DARK };
    let title = match picture.runs {
        [_] if picture.part < 1.0 && picture.host.is_none() => "just train".to_owned(),
        _ => format!("lookahead watch {}", names.join(" ")),
    };
    screen_svg(&buffer, palette, &title)
}

/// The file of a picture of this size; the first one of a screen has only its name.
fn file(name: &str, sizes: &[(u16, u16)], size: (u16, u16)) -> String {
    if size == sizes[0] { name.to_owned() } else { format!("{name}-{}x{}", size.0, size.1) }
}

#[test]
fn they_match_todays_dashboard() {
    let of_screen = |picture: &'static Picture| {
        let sizes = picture.sizes.iter();
        sizes.map(|size| (file(picture.name, picture.sizes, *size), draw(picture, *size)))
    };
    let table =
        TABLE_SIZES.iter().map(|size| (file("table", TABLE_SIZES, *size), draw_table(*size)));
    for (name, svg) in PICTURES.iter().flat_map(of_screen).chain(table) {
        let path = folder().join(format!("{name}.svg"));
        if std::env::var_os(WRITE).is_some() {
            fs::write(&path, svg).unwrap();
            continue;
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(there == svg, "{} does not match the dashboard: just screenshots", path.display());
    }
}
