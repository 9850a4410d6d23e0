//! `lookahead plot`: runs as a picture.

use lookahead_chart::{Format, Size, save};
use lookahead_dashboard::{Plot, PlotError};
use lookahead_run::RunFolder;

use super::find;
use crate::cli;
use crate::console::eprint_line;
use crate::output_file::{self, picture_error};
use crate::usage::UsageError;

/// The default height of one chart in pixels.
const HEIGHT: u32 = 500;
const WIDTH: u32 = 1200;

/// Draws runs as they are now.
pub fn plot(arguments: &cli::Plot) -> anyhow::Result<()> {
    // Before the logs, which may be long.
    Format::of(&arguments.output).map_err(picture_error)?;
    output_file::check(&arguments.output, arguments.force)?;
    let paths = match &arguments.runs[..] {
        [] => vec![find::run(None)?],
        named => named.iter().map(|path| find::run(Some(path))).collect::<Result<_, _>>()?,
    };
    let runs: Vec<RunFolder> =
        paths.iter().map(|path| RunFolder::open(path)).collect::<Result<_, _>>()?;
    let size = |(width, height)| Size::new(width, height).map_err(picture_error);
    let requested = arguments.size.map(size).transpose()?;
    let wanted = Plot {
        charts: arguments.charts.clone(),
        axis: arguments.x,
        log: arguments.log,
        all_values: arguments.all_values,
        both_weights: arguments.both_weights,
        smoothing: arguments.smoothing,
    };
    let (figure, warnings) =
        lookahead_dashboard::plot(&runs, &wanted).map_err(|error| match error {
            PlotError::NoSuchChart { .. } | PlotError::NoLayers(_) => {
                UsageError::new(error.to_string()).into()
            }
            error => anyhow::Error::from(error),
        })?;
    for warning in warnings {
        eprint_line(format_args!("Warning: {warning}"));
    }
    let size = match requested {
        Some(size) => size,
        None => size((WIDTH, HEIGHT * figure.panels.len() as u32))?,
    };
    save(&figure, &arguments.output, size, arguments.force).map_err(picture_error)?;
    eprint_line(format_args!("Saved {}", arguments.output.display()));
    Ok(())
}
