//! `lookahead plot`: runs as a picture.

use lookahead_chart::{ChartError, Format, Size, save};
use lookahead_dashboard::Plot;
use lookahead_run::RunFolder;

use super::find;
use crate::cli;
use crate::console::eprint_line;
use crate::usage::UsageError;

/// The default height of one chart in pixels.
const HEIGHT: u32 = 500;
const WIDTH: u32 = 1200;

/// Draws runs as they are now.
pub fn plot(arguments: &cli::Plot) -> anyhow::Result<()> {
    // Before the logs, which may be long.
    let usage = |error: ChartError| UsageError::new(error.to_string());
    Format::of(&arguments.output).map_err(usage)?;
    let paths = match &arguments.runs[..] {
        [] => vec![find::run(None)?],
        named => named.iter().map(|path| find::run(Some(path))).collect::<Result<_, _>>()?,
    };
    let runs: Vec<RunFolder> =
        paths.iter().map(|path| RunFolder::open(path)).collect::<Result<_, _>>()?;
    let size = |(width, height)| Size::new(width, height).map_err(usage);
    let requested = arguments.size.map(size).transpose()?;
    let wanted = Plot {
        charts: arguments.charts.clone(),
        axis: arguments.x,
        log: arguments.log,
        all_values: arguments.all_values,
        both_weights: arguments.both_weights,
        smoothing: arguments.smoothing,
    };
    let (figure, warnings) = lookahead_dashboard::plot(&runs, &wanted)?;
    for warning in warnings {
        eprint_line(format_args!("Warning: {warning}"));
    }
    let size = match requested {
        Some(size) => size,
        None => size((WIDTH, HEIGHT * figure.panels.len() as u32))?,
    };
    save(&figure, &arguments.output, size, arguments.force)?;
    eprint_line(format_args!("Saved {}", arguments.output.display()));
    Ok(())
}
