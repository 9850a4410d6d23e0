//! `lookahead plot`: runs as a picture.

use lookahead_dashboard::picture::{self, Format, Size};
use lookahead_dashboard::{Chart, Plot};
use lookahead_run::RunFolder;

use crate::cli;
use crate::config::Config;
use crate::say::say;
use crate::usage::Usage;

/// Height of one chart in pixels, where no size is asked for.
const HEIGHT: u32 = 500;
const WIDTH: u32 = 1200;

/// Draws runs as they are now.
///
/// # Errors
/// Where a log can't be read, or the file can't be written.
pub fn plot(arguments: &cli::Plot) -> anyhow::Result<()> {
    // What is asked for is looked at before the logs, which may be long.
    let usage = |error: picture::PictureError| Usage::new(error.to_string());
    Format::of(&arguments.output).map_err(usage)?;
    let runs: Vec<RunFolder> =
        arguments.runs.iter().map(|path| RunFolder::open(path)).collect::<Result<_, _>>()?;
    let charts = match &arguments.charts[..] {
        [] if runs.iter().any(has_lookahead) => vec![Chart::Loss, Chart::Gain, Chart::Cycle],
        [] => vec![Chart::Loss],
        charts => charts.to_vec(),
    };
    let (width, height) = arguments.size.unwrap_or((WIDTH, HEIGHT * charts.len() as u32));
    let size = Size::new(width, height).map_err(usage)?;
    let wanted =
        Plot { charts, axis: arguments.x, log: arguments.log, smoothing: arguments.smoothing };
    let (figure, warnings) = lookahead_dashboard::plot(&runs, &wanted)?;
    for warning in warnings {
        say(format_args!("Warning: {warning}"));
    }
    picture::save(&figure, &arguments.output, size, arguments.force)?;
    say(format_args!("Saved {}", arguments.output.display()));
    Ok(())
}

/// Whether a run's configuration has Lookahead; one that can't be read is for its log to tell.
fn has_lookahead(run: &RunFolder) -> bool {
    let Ok(text) = run.read_config() else { return true };
    Config::parse("", &text, &[]).map_or(true, |loaded| loaded.config.lookahead.is_some())
}
