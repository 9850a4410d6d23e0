//! The charts as figures, for the dashboard's pictures and for `lookahead plot`.

use std::path::PathBuf;

use lookahead_chart::{Figure, Line, Marker, PALETTE, Panel, Point};
use lookahead_run::{LogItem, LogTail, RunFolder};

use crate::chart::Chart;
use crate::cycles::mean_cycle;
use crate::format;
use crate::labels::labels;
use crate::message::Message;
use crate::model::{Model, Role};
use crate::options::Options;
use crate::run::Run;
use crate::series::{Look, Series, series};
use crate::smoothing;
use crate::theme::ThemeName;
use crate::update::update;
use crate::view::columns::columns;
use crate::viewport::Axis;

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
    Figure { title, panels: vec![panel(model, model.view.chart)] }
}

/// The path of a picture: `file`, or a free name in the working directory.
pub(crate) fn path(model: &Model, file: Option<String>) -> PathBuf {
    if let Some(file) = file {
        return file.into();
    }
    let run = match &model.runs[..] {
        [run] if !run.name.is_empty() => run.name.as_str(),
        _ => "runs",
    };
    let chart = model.view.chart.name();
    let first = PathBuf::from(format!("{run}-{chart}.svg"));
    let numbered = (2..10_000).map(|number| format!("{run}-{chart}-{number}.svg").into());
    let mut free = std::iter::once(first.clone()).chain(numbered).filter(|path| !path.exists());
    free.next().unwrap_or(first)
}

fn panel(model: &Model, chart: Chart) -> Panel {
    if chart == Chart::Cycle {
        return cycles(model);
    }
    let (axis, span) = (model.view.viewport.axis, model.span());
    let metric = model.run().chart_metric();
    let percent = if chart.is_in_percent(&metric) { 100.0 } else { 1.0 };
    let several = model.runs.len() > 1;
    let lines = series(model, chart)
        .iter()
        // The points of one run would cover the lines of the others.
        .filter(|line| !(several && line.look == Look::Raw))
        .map(|line| {
            let run = &model.runs[line.run];
            let columns = columns(run, line.history, line.decay, axis, span, COLUMNS);
            let points = columns.iter().enumerate().filter_map(|(index, column)| {
                let column = column.as_ref()?;
                let (x, y) = (span.position(index, COLUMNS), column.last * percent);
                let (low, high) = (column.min * percent, column.max * percent);
                Some(Point { x, low, high, y, gap_before: column.gap_before })
            });
            // Values of zero or below have no place on a logarithmic axis, and are not gaps.
            let points = points.filter(|point| !model.view.log_y || point.high > 0.0).collect();
            Line { name: line.name.full(), points, ..look(line) }
        })
        .collect();
    let x_label = match axis {
        Axis::Step => "step",
        Axis::Epoch => "epoch",
        Axis::Time => "training time in seconds",
    };
    let smoothed = series(model, chart).iter().any(|line| line.decay.is_some());
    let note = match (chart, model.runs.len()) {
        (Chart::Gain, 1) => model.runs[0].series.gain.mean().map(|mean| {
            format!("Mean over all probes: {}. Above 0 the sync helps.", format::difference(mean))
        }),
        _ if smoothed => Some(format!("Running mean with β = {}.", model.view.decay())),
        _ => None,
    };
    Panel {
        title: chart.title(&metric),
        x_label: x_label.into(),
        y_label: if chart.is_in_percent(&metric) { "%".into() } else { String::new() },
        log_y: model.view.log_y,
        lines,
        legend: true,
        note,
        ..Panel::default()
    }
}

fn look(line: &Series) -> Line {
    let (color, width, opacity, marker) = match line.look {
        Look::Raw => (GREY, 1, 0.6, None),
        Look::Smoothed => (BLACK, 2, 1.0, None),
        Look::Fast => (FAST, 2, 1.0, Some(Marker::Circle)),
        Look::Slow => (SLOW, 2, 1.0, Some(Marker::Disc)),
        Look::Run(index) => {
            let (color, marker) = lookahead_chart::series(index);
            (color, 2, 1.0, Some(marker))
        }
    };
    Line { color, width, opacity, marker, ..Line::default() }
}

/// The cycles of a run, or the mean cycles of several.
fn cycles(model: &Model) -> Panel {
    let mut lines = Vec::new();
    let mut note = None;
    let alone = model.runs.len() == 1;
    for (index, run) in model.visible() {
        let Some(k) = run.series.cycles.k() else { continue };
        let all = run.series.cycles.newest(k);
        let mean = mean_cycle(all.iter().copied(), k);
        let of = |losses: &[(u64, f64)]| -> Vec<Point> {
            losses.iter().map(|(phase, loss)| Point::new((phase - 1) as f64, *loss)).collect()
        };
        if alone {
            lines.extend(all.iter().enumerate().map(|(number, cycle)| Line {
                name: format!("last {} cycles", all.len()),
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
        let points = of(&mean.losses);
        lines.push(Line { name, color, width: 3, marker, points, ..Line::default() });
        if let Some((fast, slow)) = mean.probe {
            let points = vec![Point::new(k as f64, fast), Point::new((k + 1) as f64, slow)];
            let name = "probe: fast, then slow after the sync".to_owned();
            let color = if alone { SLOW } else { own };
            let marker = Some(Marker::Disc);
            let (in_legend, dashed) = (alone, !alone);
            let line = Line { name, color, width: 3, marker, points, ..Line::default() };
            lines.push(Line { in_legend, dashed, ..line });
            note = Some(format!(
                "Mean of {} cycles of {k} steps; at {k} the probe loss of the fast weights, at {} that \
                 of the slow ones.",
                mean.count,
                k + 1
            ));
        }
    }
    Panel {
        title: Chart::Cycle.title(&model.run().chart_metric()),
        x_label: "phase: inner steps since the sync".into(),
        log_y: model.view.log_y,
        lines,
        legend: true,
        note,
        ..Panel::default()
    }
}

/// What to draw of runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// The charts, from top to bottom; if there are none, the losses, and with Lookahead also the gain of
    /// each sync and the cycles.
    pub charts: Vec<Chart>,
    /// What the x axis counts.
    pub axis: Axis,
    /// Whether the y axis is logarithmic.
    pub log: bool,
    /// The fraction of the running mean kept from one point to the next, from 0 (no smoothing) to below
    /// 1; the nearest of the dashboard's choices is taken.
    pub smoothing: f64,
}

/// Draws runs as a figure; also returns warnings about lines of their logs that can't be read.
///
/// # Errors
/// If a log can't be read, or if no run has logged a step.
pub fn plot(
    runs: &[RunFolder],
    plot: &Plot,
) -> Result<(Figure, Vec<String>), lookahead_run::Error> {
    let options = Options { theme: ThemeName::Light, ascii: false, mouse: false };
    let mut model = Model::new(&options, Role::Watcher, &labels(runs));
    let mut warnings = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let path = run.events_path();
        if !path.exists() {
            return Err(lookahead_run::Error::LogMissing(path));
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
    if model.runs.iter().all(|run| run.series.loss.is_empty()) {
        let path = runs.first().map(|run| run.events_path()).unwrap_or_default();
        return Err(lookahead_run::Error::NothingLogged(path));
    }
    model.view.viewport.axis = plot.axis;
    model.view.log_y = plot.log;
    model.view.smoothing = smoothing::nearest(plot.smoothing);
    let title = if runs.len() == 1 { model.runs[0].name.clone() } else { String::new() };
    let charts = match &plot.charts[..] {
        [] if model.runs.iter().any(Run::has_lookahead) => {
            &[Chart::Loss, Chart::Gain, Chart::Cycle]
        }
        [] => &[Chart::Loss][..],
        charts => charts,
    };
    let panels = charts.iter().map(|chart| panel(&model, *chart)).collect();
    Ok((Figure { title, panels }, warnings))
}

#[cfg(test)]
mod tests;
