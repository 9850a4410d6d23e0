//! The charts as figures, for the dashboard's pictures and for `lookahead plot`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use lookahead_chart::{Cell, Figure, Heatmap, Line, Marker, PALETTE, Panel, Point, UsualRange};
use lookahead_run::event::Scalars;
use lookahead_run::{LogItem, LogTail, RunFolder};

use crate::chart::Chart;
use crate::cycles::mean_cycle;
use crate::format;
use crate::heat_map;
use crate::labels::labels;
use crate::message::Message;
use crate::model::{Model, Role};
use crate::options::Options;
use crate::run::Run;
use crate::series::{Look, Series, series};
use crate::smoothing;
use crate::theme::ThemeName;
use crate::update::update;
use crate::view::chart::titles;
use crate::view::lines::Lines;
use crate::viewport::Axis;
use crate::watched_run::WatchedRun;
use lookahead_run::format::safe;

/// Columns of a figure: about one per pixel.
const COLUMNS: usize = 1000;

const GREY: (u8, u8, u8) = (150, 150, 150);
const BLACK: (u8, u8, u8) = PALETTE[0];
const FAST: (u8, u8, u8) = PALETTE[6];
const SLOW: (u8, u8, u8) = PALETTE[5];

/// The current chart, with the visible part of its axis.
pub(crate) fn of(model: &Model) -> Figure {
    let title = match &model.runs[..] {
        [run] => run.name.clone(),
        _ => String::new(),
    };
    Figure { title, panels: panels(model, model.view.chart) }
}

/// The path of a picture: `file`, in which a leading `~` is the user's home, or a free name in the working directory.
///
/// # Errors
/// A sentence for the user if the home is not known.
pub(crate) fn path(model: &Model, file: Option<String>) -> Result<PathBuf, String> {
    if let Some(file) = file {
        return with_home(&file, std::env::var_os("HOME"));
    }
    // A run of a sweep has the sweep's name before its own.
    let run = match &model.runs[..] {
        [run] if !run.name.is_empty() => run.name.replace('/', "-"),
        _ => "runs".to_owned(),
    };
    let chart = file_name(model);
    let first = PathBuf::from(format!("{run}-{chart}.svg"));
    let numbered = (2..10_000).map(|number| format!("{run}-{chart}-{number}.svg").into());
    let mut free = std::iter::once(first.clone()).chain(numbered).filter(|path| !path.exists());
    Ok(free.next().unwrap_or(first))
}

/// A typed path in which a leading `~` is the folder `home`, as in a shell.
fn with_home(typed: &str, home: Option<OsString>) -> Result<PathBuf, String> {
    let Some(rest) = typed.strip_prefix('~') else { return Ok(typed.into()) };
    if !(rest.is_empty() || rest.starts_with('/')) {
        let first = typed.split('/').next().unwrap_or(typed);
        return Err(format!(
            "`{first}` is not expanded to a home here. Use ~/ for your own, the full path, or ./{first} for a file of \
             that name."
        ));
    }
    let home = home.filter(|home| !home.is_empty());
    let home = home.ok_or("`~` has no meaning, because HOME is not set. Use the full path.")?;
    Ok(Path::new(&home).join(rest.trim_start_matches('/')))
}

/// The current chart's part of a file name.
fn file_name(model: &Model) -> String {
    let Chart::Scalar(index) = model.view.chart else { return model.view.chart.name().to_owned() };
    let plain = |letter: char| {
        if letter.is_alphanumeric() || "-_.".contains(letter) { letter } else { '-' }
    };
    let name: String = model.scalar_name(index).chars().take(40).map(plain).collect();
    name.trim_start_matches('.').to_owned()
}

fn panels(model: &Model, chart: Chart) -> Vec<Panel> {
    match chart {
        Chart::Cycle => cycles(model),
        Chart::LayerDistance | Chart::LayerGradient => vec![heat_panel(model, chart)],
        _ => vec![panel(model, chart)],
    }
}

/// Most layers and columns of a heat map in a picture.
const LAYERS: usize = 60;
const MOMENTS: usize = 60;

fn heat_panel(model: &Model, chart: Chart) -> Panel {
    let (run, span, axis) = (model.run(), model.span(), model.view.viewport.axis);
    let count = run.layers.moments().len().clamp(1, MOMENTS);
    let rows = heat_map::rows(model, heat_map::norm_of(chart), LAYERS, count);
    let colors = heat_map::Colors::new(&rows, model.view.log_y);
    let log = model.view.log_y && colors.is_some();
    let cell = |value: &Option<f64>| {
        let value = value.unwrap_or(f64::NAN);
        Cell { value: if log { value.log10() } else { value }, text: String::new() }
    };
    let name = |column: usize| match (column % 10, axis) {
        (0, Axis::Step) => format::count(span.position(column, count).round() as u64),
        (0, _) => format::significant(span.position(column, count), 4),
        _ => String::new(),
    };
    let all = run.layers.names().len();
    let note = (all > rows.len())
        .then(|| format!("{all} layers in {} rows: means of neighbours.", rows.len()));
    let title = chart.full_title(&model.metric_of(chart));
    let several = model.runs.len() > 1;
    Panel {
        title: if several { format!("{title}: {}", run.name) } else { title },
        x_label: axis.name().into(),
        x_names: (0..count).map(name).collect(),
        y_names: rows.iter().rev().map(|row| row.name.clone()).collect(),
        heatmap: Some(Heatmap {
            rows: rows.iter().rev().map(|row| row.cells.iter().map(cell).collect()).collect(),
            label: if log { "log₁₀ of the norm".into() } else { "norm".into() },
        }),
        note,
        ..Panel::default()
    }
}

fn panel(model: &Model, chart: Chart) -> Panel {
    let (span, log_y) = (model.span(), model.view.log_y);
    let metric = model.metric_of(chart);
    let percent = if chart.is_in_percent(&metric) { 100.0 } else { 1.0 };
    let several = model.runs.len() > 1;
    let mut series = series(model, chart);
    // The points of one run would cover the lines of the others.
    series.retain(|line| !(several && line.look == Look::Raw));
    // Every legend of a picture has the same order, that of the runs.
    series.sort_by_key(|line| line.run);
    if series.iter().any(|line| !line.history.is_empty()) {
        series.retain(|line| !line.history.is_empty());
    }
    let smoothed = series.iter().any(|line| line.decay.is_some());
    let shown = Lines::new(model, series, COLUMNS);
    let range = shown
        .usual_range(log_y, None)
        .filter(|range| range.is_cut() && !model.view.all_values && !chart.is_of_settings());
    let lines: Vec<Line> = shown
        .all
        .iter()
        .map(|(line, columns)| {
            let points = columns.iter().enumerate().filter_map(|(index, column)| {
                let column = column.as_ref()?;
                let (x, y) = (span.position(index, COLUMNS), column.last * percent);
                let (low, high) = (column.min * percent, column.max * percent);
                Some(Point { x, low, high, y, gap_before: column.gap_before })
            });
            Line { name: line.name.full(), points: points.collect(), ..look(line) }
        })
        .collect();
    let x_label = match model.view.viewport.axis {
        Axis::Step => "step",
        Axis::Epoch => "epoch",
        Axis::Time => "training time in seconds",
    };
    let mut notes = Vec::new();
    match &model.runs[..] {
        [run] if chart == Chart::Gain => notes.extend(run.series.gain.mean().map(|mean| {
            format!("Mean over all probes: {}. Above 0 the sync helps.", format::difference(mean))
        })),
        _ if chart == Chart::Gain => notes.push("Above 0 the sync helps.".to_owned()),
        _ => {}
    }
    if smoothed {
        notes.push(format!("Running mean with β = {}.", model.view.decay()));
    }
    notes.extend(range.map(|range| beyond(model, chart, range)));
    let is_lost = |point: &Point| log_y && point.y <= 0.0;
    if lines.iter().flat_map(|line| &line.points).any(is_lost) {
        notes.push("× at the bottom: 0 or less, which a logarithmic axis can't show.".to_owned());
    }
    Panel {
        title: if several { titles(model, chart)[0].clone() } else { chart.title(&metric) },
        x_label: x_label.into(),
        y_label: if chart.is_in_percent(&metric) { "%".into() } else { String::new() },
        y_ends: range.map(|range| (range.ends.0 * percent, range.ends.1 * percent)),
        log_y,
        lines,
        legend: true,
        note: Some(notes.join(" ")).filter(|note| !note.is_empty()),
        ..Panel::default()
    }
}

/// A sentence about values beyond the ends of the y axis.
fn beyond(model: &Model, chart: Chart, range: UsualRange) -> String {
    let metric = model.metric_of(chart);
    let shown = |value| chart.format(&metric, value);
    let above = (range.all.1 > range.ends.1).then(|| format!("up to {} (▲)", shown(range.all.1)));
    let below = (range.all.0 < range.ends.0).then(|| format!("down to {} (▼)", shown(range.all.0)));
    let reach: Vec<String> = above.into_iter().chain(below).collect();
    format!("Values beyond the axis: {}.", reach.join(" and "))
}

fn look(line: &Series) -> Line {
    let (color, width, opacity, marker) = match line.look {
        Look::Raw => (GREY, 1, 0.6, None),
        Look::Smoothed => (BLACK, 2, 1.0, None),
        Look::Fast => (FAST, 2, 1.0, Some(Marker::Circle)),
        Look::Slow => (SLOW, 2, 1.0, Some(Marker::Disc)),
        Look::Run(index) | Look::RunFast(index) | Look::RunSlow(index) => {
            let (color, marker) = lookahead_chart::series(index);
            (color, 2, 1.0, Some(marker))
        }
    };
    let dashed = matches!(line.look, Look::Fast | Look::RunFast(_));
    let open = matches!(line.look, Look::RunFast(_));
    Line { color, width, opacity, marker, dashed, open, ..Line::default() }
}

/// The training loss in the cycles of a run, or in the mean cycles of several, and the loss on the validation
/// batch around their syncs, on an axis of its own.
fn cycles(model: &Model) -> Vec<Panel> {
    let (mut training, mut probes, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let alone = model.runs.len() == 1;
    for (index, run) in model.visible() {
        let Some(k) = run.series.cycles.k() else { continue };
        let all = run.series.cycles.newest(k);
        let mean = mean_cycle(all.iter().copied(), k);
        let plural = if all.len() == 1 { "cycle" } else { "cycles" };
        let of = |losses: &[(u64, f64)]| -> Vec<Point> {
            losses.iter().map(|(phase, loss)| Point::new((phase - 1) as f64, *loss)).collect()
        };
        if alone {
            training.extend(all.iter().enumerate().map(|(number, cycle)| Line {
                name: format!("last {} {plural}", all.len()),
                color: GREY,
                width: 1,
                opacity: 0.35,
                points: of(&cycle.losses),
                in_legend: number == 0,
                ..Line::default()
            }));
        }
        let (own, marker) = lookahead_chart::series(index);
        let (name, color, marker) = if alone {
            ("mean".to_owned(), BLACK, None)
        } else {
            (run.name.clone(), own, Some(marker))
        };
        let line = Line { name, color, width: 3, marker, ..Line::default() };
        training.push(Line { points: of(&mean.losses), ..line.clone() });
        notes.push((k, mean.count));
        let Some((fast, slow)) = mean.probe else { continue };
        let points = vec![Point::new(0.0, fast), Point::new(1.0, slow)];
        if alone {
            let ends =
                [("fast weights", FAST, Marker::Circle), ("slow weights", SLOW, Marker::Disc)];
            let line = Line { points: points.clone(), color: GREY, width: 2, ..line };
            probes.push(Line { in_legend: false, ..line.clone() });
            probes.extend(ends.into_iter().zip(points).map(|((name, color, marker), point)| {
                Line {
                    name: name.to_owned(),
                    color,
                    marker: Some(marker),
                    points: vec![point],
                    joined: false,
                    ..line.clone()
                }
            }));
        } else {
            probes.push(Line { points, ..line });
        }
    }
    let note = match &notes[..] {
        [] => None,
        [(k, count), rest @ ..] if rest.iter().all(|(other, _)| other == k) => {
            let most = rest.iter().map(|(_, count)| *count).max().unwrap_or(0).max(*count);
            let plural = if most == 1 { "cycle" } else { "cycles" };
            Some(format!("Means over the last {most} {plural} of k = {k} inner steps."))
        }
        _ => Some("Means over the last cycles.".to_owned()),
    };
    let log_y = model.view.log_y;
    let mut panels = vec![Panel {
        title: "cycles: training loss between two syncs".into(),
        x_label: "inner steps since the sync".into(),
        log_y,
        lines: training,
        legend: true,
        note,
        ..Panel::default()
    }];
    if !probes.is_empty() {
        panels.push(Panel {
            title: "cycles: loss on one validation batch around the sync".into(),
            x_names: vec!["fast weights, before the sync".into(), "slow weights, after it".into()],
            log_y,
            lines: probes,
            legend: true,
            note: Some("Means over the probes among these cycles.".into()),
            ..Panel::default()
        });
    }
    panels
}

/// What to draw of runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// The names of the charts, from top to bottom: `loss`, `gain` and the others of the trainer, or those of numbers
    /// that runs log by name. If there are none, the losses, and with Lookahead also the gain of each sync and the
    /// cycles; of runs that only log numbers by name, all of these.
    pub charts: Vec<String>,
    /// What the x axis counts.
    pub axis: Axis,
    /// Whether the y axis is logarithmic.
    pub log: bool,
    /// Whether the y axis covers all values. Otherwise a few that would flatten the rest are beyond its ends, and
    /// marked there.
    pub all_values: bool,
    /// Whether several runs have a line for their fast and one for their slow weights, not just one line.
    pub both_weights: bool,
    /// The fraction of the running mean kept from one point to the next, from 0 (no smoothing) to below
    /// 1; the nearest of the dashboard's choices is taken.
    pub smoothing: f64,
}

/// Most charts of a picture unless they are named.
const AT_ONCE: usize = 12;

/// Why runs can't be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// There is no chart of this name.
    #[error("`{name}` is not a chart, and no run logs a number of that name. Use one of {}.", known.join(", "))]
    NoSuchChart {
        /// The name.
        name: String,
        /// The names of the charts of the runs.
        known: Vec<String>,
    },
    /// No run has the norms of layers.
    #[error(
        "`{0}` shows the layers, which none of the runs logs. Train one with `--set probe.layers=true`."
    )]
    NoLayers(&'static str),
    /// A run can't be read, or has nothing to draw.
    #[error(transparent)]
    Run(#[from] lookahead_run::Error),
}

/// The chart of a name.
fn chart_of(model: &Model, name: &str) -> Result<Chart, PlotError> {
    let named = |chart: Chart| match chart {
        Chart::Scalar(index) => model.scalar_name(index).to_owned(),
        _ => chart.name().to_owned(),
    };
    // In a recorded run, a name may be that of a chart of the trainer; then both are its number.
    let logged = model.scalar_names.index_of(name).map(Chart::Scalar);
    let usual = Chart::named(name).filter(|chart| {
        !chart.is_heat_map() || model.runs.iter().any(|run| !run.layers.is_empty())
    });
    let of_recorder = (name == Scalars::LEARNING_RATE && model.runs.iter().any(Run::is_recorded))
        .then_some(Chart::LearningRate);
    let found =
        if model.runs.iter().all(Run::is_recorded) { logged.or(usual) } else { usual.or(logged) };
    found.or(of_recorder).ok_or_else(|| {
        if let Some(chart) = Chart::named(name).filter(|chart| chart.is_heat_map()) {
            return PlotError::NoLayers(chart.name());
        }
        let known = model.charts().into_iter().map(|chart| safe(&named(chart))).collect();
        PlotError::NoSuchChart { name: name.to_owned(), known }
    })
}

/// Draws runs as a figure; also returns warnings about lines of their logs that can't be read.
///
/// # Errors
/// If a log can't be read, if no run has logged a step, or if there is no chart of a name.
pub fn plot(runs: &[RunFolder], plot: &Plot) -> Result<(Figure, Vec<String>), PlotError> {
    let options = Options { theme: ThemeName::Light, ascii: false, mouse: false, folder: None };
    let all: Vec<WatchedRun> = runs.iter().cloned().map(WatchedRun::Here).collect();
    let mut model = Model::new(&options, Role::Watcher, &labels(&all));
    let mut warnings = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let path = run.events_path();
        if !path.exists() {
            return Err(lookahead_run::Error::LogMissing(path).into());
        }
        let mut tail = LogTail::new(&path);
        loop {
            let found = tail.read(4096)?;
            if found.is_empty() {
                break;
            }
            for item in found {
                if let LogItem::Damaged { line, cause } = &item {
                    let log = path.display();
                    warnings.push(format!(
                        "Line {line} of {log} is not an event and is skipped: {cause}"
                    ));
                }
                update(&mut model, Message::Run(index, item.into()));
            }
        }
    }
    if model.runs.iter().all(|run| run.series.first_step().is_none()) {
        let path = runs.first().map(|run| run.events_path()).unwrap_or_default();
        return Err(lookahead_run::Error::NothingLogged(path).into());
    }
    model.view.viewport.axis = plot.axis;
    model.view.log_y = plot.log;
    model.view.all_values = plot.all_values;
    model.view.both_weights = plot.both_weights;
    model.view.smoothing = smoothing::nearest(plot.smoothing);
    let title = if runs.len() == 1 { model.runs[0].name.clone() } else { String::new() };
    let charts = match &plot.charts[..] {
        [] if model.runs.iter().any(Run::has_lookahead) => {
            vec![Chart::Loss, Chart::Gain, Chart::Cycle]
        }
        [] if model.runs.iter().all(Run::is_recorded) => {
            model.charts().into_iter().take(AT_ONCE).collect()
        }
        [] => vec![Chart::Loss],
        names => names.iter().map(|name| chart_of(&model, name)).collect::<Result<_, _>>()?,
    };
    let panels = charts.iter().flat_map(|chart| panels(&model, *chart)).collect();
    Ok((Figure { title, panels }, warnings))
}

#[cfg(test)]
mod tests;
