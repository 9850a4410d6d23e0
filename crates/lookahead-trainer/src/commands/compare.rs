//! `lookahead compare`: runs and sweeps side by side.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::Context;
use lookahead_chart::{Size, save};
use lookahead_run::event::Split;
use lookahead_study::compare::{Comparison, Options, compare as compared};
use lookahead_study::error::Error;

use super::find;
use crate::cli::{self, PictureArgument, SplitArgument};
use crate::console::{eprint_line, print_data, print_line};
use crate::output_file::{self, picture_error};
use crate::usage::UsageError;

/// The columns of a table if stdout is not a terminal.
const WIDE: usize = 160;
/// The size of a figure's panel in pixels.
const WIDTH: u32 = 1200;
const HEIGHT: u32 = 480;

/// Prints tables, and writes the requested files.
pub fn compare(arguments: &cli::Compare) -> anyhow::Result<()> {
    let options = Options {
        metric: arguments.metric.clone(),
        split: match arguments.split {
            SplitArgument::Test => Split::Test,
            SplitArgument::Validation => Split::Validation,
        },
        by: arguments.by.clone(),
        baseline: arguments.baseline.clone(),
        mixed_data: arguments.mixed_data,
    };
    let files = [&arguments.markdown, &arguments.csv, &arguments.runs_csv];
    // Checked before the runs are read, which can take minutes.
    for file in files.into_iter().flatten() {
        output_file::check(file, arguments.force)?;
    }
    if let Some(folder) = arguments.figures.as_deref().filter(|folder| folder.is_file()) {
        return Err(UsageError::new(format!(
            "`--figures` is {}, a file. Use the name of a folder.",
            folder.display()
        ))
        .into());
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    for given in &arguments.paths {
        let path = find::run_or_sweep(given)?;
        let place = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if paths.iter().any(|other| place(other) == place(&path)) {
            eprint_line(format_args!("Note: {} is there twice, and counts once.", given.display()));
        } else {
            paths.push(path);
        }
    }
    let comparison = compared(&paths, &options).map_err(refusal)?;
    if arguments.json {
        print_data(comparison.to_json()?)?;
    } else {
        print_line(comparison.to_terminal(width()).trim_end())?;
    }
    let write = |file: &Option<PathBuf>, text: &dyn Fn() -> anyhow::Result<String>| {
        let Some(file) = file else { return anyhow::Ok(()) };
        std::fs::write(file, text()?)
            .with_context(|| format!("The file {} can't be written.", file.display()))?;
        eprint_line(format_args!("Written: {}", file.display()));
        Ok(())
    };
    write(&arguments.markdown, &|| Ok(comparison.to_markdown()))?;
    write(&arguments.csv, &|| Ok(comparison.to_csv()))?;
    write(&arguments.runs_csv, &|| Ok(comparison.runs_to_csv()))?;
    match &arguments.figures {
        Some(folder) => draw(&comparison, folder, arguments),
        None => Ok(()),
    }
}

fn draw(comparison: &Comparison, folder: &Path, arguments: &cli::Compare) -> anyhow::Result<()> {
    let extension = match arguments.format {
        PictureArgument::Svg => "svg",
        PictureArgument::Png => "png",
    };
    std::fs::create_dir_all(folder)
        .with_context(|| format!("The folder {} can't be created.", folder.display()))?;
    for (name, figure) in comparison.figures() {
        let path = folder.join(format!("{name}.{extension}"));
        let size = Size::new(WIDTH, HEIGHT * figure.panels.len() as u32)?;
        save(&figure, &path, size, arguments.force).map_err(picture_error)?;
        eprint_line(format_args!("Saved {}", path.display()));
    }
    Ok(())
}

/// Runs that can't be compared are an error of the command line.
fn refusal(error: Error) -> anyhow::Error {
    match error {
        Error::Compare(_) => UsageError::new(error.to_string()).into(),
        error => error.into(),
    }
}

fn width() -> usize {
    let terminal = std::io::stdout().is_terminal();
    let columns = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| size.ws_col);
    terminal.then(columns).flatten().filter(|&columns| columns > 0).map_or(WIDE, usize::from)
}
