//! What a table of many runs costs: `cargo run --release -p lookahead-dashboard --example table_cost FOLDER`.
//!
//! Reads the runs in a folder and prints the times until the first rows are there, until all are, and of a frame after a
//! key that sorts them.

use std::path::PathBuf;
use std::time::Instant;

use crossterm::event::KeyCode;
use lookahead_dashboard::{Offscreen, Options, RunSource};

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).expect("a folder of runs"));
    let started = Instant::now();
    let mut rounds = 0;
    let find = move || {
        rounds += 1;
        if rounds == 2 {
            println!("first rows   {:>8.1} ms", started.elapsed().as_secs_f64() * 1e3);
        }
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let named = |entry: std::fs::DirEntry| {
            (entry.file_name().to_string_lossy().into_owned(), entry.path())
        };
        entries.map(named).collect()
    };
    let source = RunSource { title: "runs".to_owned(), planned: None, find: Box::new(find) };
    let mut dashboard = Offscreen::browse(source, &Options::default(), 200, 60);
    println!("all is read  {:>8.1} ms", started.elapsed().as_secs_f64() * 1e3);
    let mut slowest = 0.0_f64;
    for key in [".", ".", ".", ".", ".", ".", "r", "<"].map(|key| key.chars().next()) {
        let started = Instant::now();
        dashboard.press(KeyCode::Char(key.unwrap_or('r')));
        dashboard.draw()?;
        slowest = slowest.max(started.elapsed().as_secs_f64() * 1e3);
    }
    println!("sort, draw   {slowest:>8.1} ms, the slowest of 8");
    Ok(())
}
