//! The charts as figures: what the dashboard shows, and what `lookahead plot` draws.

use std::path::PathBuf;

use lookahead_chart::{Figure, Line, Marker, PALETTE, Panel, Point};
use lookahead_run::{LogItem, LogTail, RunFolder};

use crate::charts::{Chart, Look, Series, mean_cycle, series};
use crate::cycles::Cycle;
use crate::format;
use crate::message::{Message, RunUpdate};
use crate::model::{Model, Role};
use crate::run::Run;
use crate::smoothing::DECAYS;
use crate::theme::{Theme, ThemeName};
use crate::update::update;
use crate::view::columns::columns;
use crate::viewport::Axis;
use crate::watch::labels;

/// Columns of a figure: about one for each pixel.
const COLUMNS: usize = 1000;
/// Cycles that are laid over each other at most.
const CYCLES: usize = 100;

const GREY: (u8, u8, u8) = (150, 150, 150);
const BLACK: (u8, u8, u8) = PALETTE[0];
const FAST: (u8, u8, u8) = PALETTE[6];
const SLOW: (u8, u8, u8) = PALETTE[5];

/// The chart that is shown, with the part of the axis that is shown.
pub(crate) fn of(model: &Model) -> Figure {
    let title = match &model.runs[..] {
        [run] => run.name.clone(),
        _ => String::new(),
    };
    Figure { title, panels: vec![panel(model, model.chart)] }
}

/// Where a picture goes whose file the user did not name: a name that is free in the working folder.
pub(crate) fn path(model: &Model, file: Option<String>) -> PathBuf {
    if let Some(file) = file {
        return file.into();
    }
    let run = match &model.runs[..] {
        [run] if !run.name.is_empty() => run.name.as_str(),
        _ => "runs",
    };
    let chart = model.chart.name();
    let numbered = (1..10_000).map(|number| match number {
        1 => PathBuf::from(format!("{run}-{chart}.svg")),
        number => PathBuf::from(format!("{run}-{chart}-{number}.svg")),
    });
    numbered.into_iter().find(|path| !path.exists()).unwrap_or_else(|| format!("{run}.svg").into())
}

fn panel(model: &Model, chart: Chart) -> Panel {
    if chart == Chart::Cycle {
        return cycles(model);
    }
    let (axis, span) = (model.viewport.axis, model.span());
    let percent = if chart == Chart::Accuracy { 100.0 } else { 1.0 };
    let several = model.runs.len() > 1;
    let lines = series(model, chart)
        .iter()
        // The points of one run would hide the lines of the others.
        .filter(|line| !(several && line.look == Look::Raw))
        .map(|line| {
            let run = &model.runs[line.run];
            let columns = columns(run, line.history, line.smooth, axis, span, COLUMNS);
            let points = columns.iter().enumerate().filter_map(|(index, column)| {
                let column = column.as_ref()?;
                let (x, y) = (span.position(index, COLUMNS), column.last * percent);
                let (low, high) = (column.min * percent, column.max * percent);
                Some(Point { x, low, high, y, gap_before: column.gap_before })
            });
            // A mean of zero or below has no place on a logarithmic axis, and is no missing value.
            let points = points.filter(|point| !model.log_y || point.high > 0.0).collect();
            Line { name: line.name.clone(), points, ..look(line) }
        })
        .collect();
    let x_label = match axis {
        Axis::Step => "step",
        Axis::Epoch => "epoch",
        Axis::Time => "training time in seconds",
    };
    let smoothed = series(model, chart).iter().any(|line| line.smooth.is_some());
    let note = match (chart, model.runs.len()) {
        (Chart::Gain, 1) => model.runs[0].gain.mean().map(|mean| {
            format!("Mean over all probes: {}. Above 0 the sync helps.", format::difference(mean))
        }),
        _ if smoothed => Some(format!("Running mean with β = {}.", DECAYS[model.smoothing])),
        _ => None,
    };
    Panel {
        title: chart.title().into(),
        x_label: x_label.into(),
        y_label: if chart == Chart::Accuracy { "%".into() } else { String::new() },
        log_y: model.log_y,
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
        Look::Run(index) => (color(index), 2, 1.0, Some(lookahead_chart::series(index).1)),
    };
    Line { color, width, opacity, marker, ..Line::default() }
}

fn color(run: usize) -> (u8, u8, u8) {
    lookahead_chart::series(run).0
}

/// The cycles of the selected run, as the dashboard shows them, or the means of several.
fn cycles(model: &Model) -> Panel {
    let mut lines = Vec::new();
    let mut note = None;
    let alone = model.runs.len() == 1;
    for (index, run) in model.runs.iter().enumerate().filter(|(_, run)| run.shown) {
        let Some(k) = run.cycles.k() else { continue };
        let all: Vec<&Cycle> = run.cycles.complete().filter(|cycle| cycle.k == k).collect();
        let all = &all[all.len().saturating_sub(CYCLES)..];
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
        let name = if alone { "mean".to_owned() } else { run.name.clone() };
        let marker = (!alone).then(|| lookahead_chart::series(index).1);
        let shade = if alone { BLACK } else { color(index) };
        let points = of(&mean.losses);
        lines.push(Line { name, color: shade, width: 3, marker, points, ..Line::default() });
        if let Some((fast, slow)) = mean.probe {
            let points = vec![Point::new(k as f64, fast), Point::new((k + 1) as f64, slow)];
            let name = "probe: θ, then φ after the sync".to_owned();
            let shade = if alone { SLOW } else { color(index) };
            let marker = Some(Marker::Disc);
            let line = Line { name, color: shade, width: 3, marker, points, ..Line::default() };
            lines.push(Line { in_legend: alone, dashed: !alone, ..line });
            note = Some(format!(
                "Mean of {} cycles of {k} steps; at {} the loss on the probe batch at θ, at {} that \
                 at φ.",
                mean.count,
                k,
                k + 1
            ));
        }
    }
    Panel {
        title: Chart::Cycle.title().into(),
        x_label: "phase: inner steps since the sync".into(),
        log_y: model.log_y,
        lines,
        legend: true,
        note,
        ..Panel::default()
    }
}

/// What is to be drawn of runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// The charts, from top to bottom; of none the losses, and where a run has slow weights the gain of
    /// each sync and the cycles as well.
    pub charts: Vec<Chart>,
    /// What the x axis counts.
    pub axis: Axis,
    /// Whether the y axis is logarithmic.
    pub log: bool,
    /// How much of the running mean stays from one point to the next, from 0 (no smoothing) to below
    /// 1; the nearest of the dashboard's choices is taken.
    pub smoothing: f64,
}

/// Draws runs as a figure, with sentences about lines of their logs that could not be read.
///
/// # Errors
/// Where a log can't be read, or there is nothing in any of them.
pub fn plot(
    runs: &[RunFolder],
    plot: &Plot,
) -> Result<(Figure, Vec<String>), lookahead_run::Error> {
    let mut model = Model::new(Theme::new(ThemeName::Light), Role::Watcher, labels(runs));
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
                let news = match item {
                    LogItem::Record(record) => RunUpdate::Record(Box::new(record)),
                    LogItem::Restarted => RunUpdate::Restarted,
                    LogItem::Damaged { line, cause } => {
                        warnings.push(format!(
                            "Line {line} of {} is not an event and is left out: {cause}",
                            path.display()
                        ));
                        continue;
                    }
                };
                update(&mut model, Message::Run(index, news));
            }
        }
    }
    if model.runs.iter().all(|run| run.loss.is_empty()) {
        let path = runs.first().map(|run| run.events_path()).unwrap_or_default();
        return Err(lookahead_run::Error::NothingLogged(path));
    }
    model.viewport.axis = plot.axis;
    model.log_y = plot.log;
    let far = |index: &usize| (DECAYS[*index] - plot.smoothing).abs();
    model.smoothing = (0..DECAYS.len()).min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(0);
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
mod tests {
    use super::*;
    use crate::fixture;

    fn names(panel: &Panel) -> Vec<&str> {
        let named = panel.lines.iter().filter(|line| line.in_legend);
        named.map(|line| line.name.as_str()).collect()
    }

    #[test]
    fn a_figure_has_the_lines_that_the_dashboard_shows() {
        let mut model = fixture::run(true, 1000);
        let figure = of(&model);
        assert_eq!((figure.title.as_str(), figure.panels.len()), ("digits-mlp", 1));
        let panel = &figure.panels[0];
        assert_eq!(names(panel), ["loss at θ", "smoothed", "probe θ (fast)", "probe φ (slow)"]);
        let last = panel.lines[3].points.last().unwrap();
        assert_eq!((last.x, last.y), (1000.0, model.run().probes.slow.newest().unwrap()));
        model.chart = Chart::Accuracy;
        let panel = &of(&model).panels[0];
        let last = panel.lines[1].points.last().unwrap();
        assert!((last.y - 92.16).abs() < 0.01 && panel.y_label == "%", "{last:?}");
    }

    #[test]
    fn of_several_runs_those_that_are_shown_have_one_line_each() {
        let mut model = fixture::three();
        let panel = &of(&model).panels[0];
        assert_eq!(names(panel), ["adam-alone", "lookahead"]);
        assert_ne!(panel.lines[0].color, panel.lines[1].color);
        assert_ne!(panel.lines[0].marker, panel.lines[1].marker);
        model.chart = Chart::Cycle;
        let panel = &of(&model).panels[0];
        assert_eq!(names(panel), ["lookahead", "adam-alone"]);
    }

    /// Phase p has the loss of the step that is taken from there, and the probes come after the last.
    #[test]
    fn the_cycles_end_with_the_drop_from_theta_to_phi() {
        let mut model = fixture::run(true, 1000);
        model.chart = Chart::Cycle;
        let panel = &of(&model).panels[0];
        assert_eq!(names(panel), ["last 100 cycles", "mean", "probe: θ, then φ after the sync"]);
        assert_eq!(panel.lines.len(), 102);
        let [.., mean, probe] = &panel.lines[..] else { panic!() };
        let places = |line: &Line| line.points.iter().map(|point| point.x).collect::<Vec<_>>();
        assert_eq!(places(mean), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(places(probe), [5.0, 6.0]);
        assert!(probe.points[0].y > probe.points[1].y);
    }

    #[test]
    fn a_picture_is_named_by_its_run_and_chart() {
        let model = fixture::run(true, 10);
        assert_eq!(path(&model, None).to_str(), Some("digits-mlp-loss.svg"));
        assert_eq!(path(&model, Some("a.png".into())).to_str(), Some("a.png"));
        assert_eq!(path(&fixture::three(), None).to_str(), Some("runs-loss.svg"));
    }
}
