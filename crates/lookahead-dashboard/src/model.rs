//! What the dashboard knows: the runs, and how the user looks at them.

pub(crate) mod chart_view;
pub(crate) mod dialogs;
pub(crate) mod exit;
mod grid;
pub(crate) mod scalar_names;
pub(crate) mod table;

use lookahead_run::event::MetricInfo;

use crate::arrangement::Arrangement;
use crate::chart::Chart;
use crate::options::Options;
use crate::run::Run;
use crate::theme::Theme;
use crate::viewport::{Axis, Span};
use chart_view::ChartView;
use dialogs::Dialogs;
use exit::Exit;
use scalar_names::ScalarNames;
use table::Table;

/// How long a notice is visible, in seconds.
const NOTICE: f64 = 6.0;

/// Which process the dashboard runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The one that trains.
    Trainer,
    /// Another one.
    Watcher,
}

/// Everything that is drawn.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) theme: Theme,
    /// Whether only ASCII characters may be drawn.
    pub(crate) ascii: bool,
    pub(crate) role: Role,
    /// At least one.
    pub(crate) runs: Vec<Run>,
    /// The run that the numbers and the keys refer to.
    pub(crate) selected: usize,
    /// Columns and rows of the terminal.
    pub(crate) size: (u16, u16),
    /// Unix time of the last tick.
    pub(crate) now: f64,
    pub(crate) view: ChartView,
    pub(crate) arrangement: Arrangement,
    pub(crate) dialogs: Dialogs,
    pub(crate) exit: Exit,
    /// This is the last frame, which is kept as text.
    pub(crate) closing: bool,
    /// Records that did not reach the dashboard.
    pub(crate) dropped: u64,
    pub(crate) scalar_names: ScalarNames,
    /// The table of runs, if the user watches a folder or a sweep.
    pub(crate) table: Option<Table>,
}

impl Model {
    /// A model of runs with these names.
    pub(crate) fn new(options: &Options, role: Role, names: &[String]) -> Self {
        let names = if names.is_empty() { &[String::new()] } else { names };
        Model {
            theme: Theme::new(options.theme),
            ascii: options.ascii,
            role,
            runs: names.iter().map(|name| Run::new(name)).collect(),
            selected: 0,
            size: (80, 24),
            now: 0.0,
            view: ChartView::default(),
            arrangement: Arrangement::default(),
            dialogs: Dialogs::default(),
            exit: Exit::default(),
            closing: false,
            dropped: 0,
            scalar_names: ScalarNames::default(),
            table: None,
        }
    }

    /// Shows a notice for some seconds.
    pub(crate) fn notify(&mut self, text: impl Into<String>) {
        self.dialogs.notice = Some((text.into(), self.now + NOTICE));
    }

    /// Whether the table of runs is on the screen, and not the charts.
    pub(crate) fn is_table_open(&self) -> bool {
        self.table.as_ref().is_some_and(|table| table.is_open)
    }

    pub(crate) fn run(&self) -> &Run {
        &self.runs[self.selected]
    }

    pub(crate) fn run_mut(&mut self) -> &mut Run {
        &mut self.runs[self.selected]
    }

    /// Runs whose curves are drawn, with their numbers.
    pub(crate) fn visible(&self) -> impl Iterator<Item = (usize, &Run)> {
        let single = self.runs.len() == 1;
        self.runs.iter().enumerate().filter(move |(_, run)| single || !run.hidden)
    }

    /// The charts, in their order: those that the runs have something for, then those of numbers by name.
    pub(crate) fn charts(&self) -> Vec<Chart> {
        let mut charts = Chart::ALL.to_vec();
        if self.runs.iter().all(Run::is_recorded) {
            let has = |chart: &Chart| {
                self.runs.iter().any(|run| match chart {
                    Chart::Loss => !run.series.loss.is_empty() || run.series.scalars.is_empty(),
                    Chart::LearningRate => !run.series.learning_rate.is_empty(),
                    _ => false,
                })
            };
            charts.retain(has);
        }
        if self.runs.iter().any(|run| !run.layers.is_empty()) {
            charts.extend(Chart::LAYERS);
        }
        charts.extend(self.scalar_names.sorted().map(Chart::Scalar));
        charts
    }

    /// The key of a chart: 1 to 9, then 0 for the tenth; a blank for the others.
    pub(crate) fn key_of(&self, chart: Chart) -> char {
        self.keys().find(|(_, other)| *other == chart).map_or(' ', |(digit, _)| digit)
    }

    /// The first ten charts with their keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (char, Chart)> {
        "1234567890".chars().zip(self.charts())
    }

    /// Notes new names of a run's numbers; a chart that has nothing to show gives way to the first of them.
    pub(crate) fn add_names(&mut self, index: usize) {
        let Model { runs, scalar_names, .. } = self;
        runs[index].series.scalars.keys().for_each(|name| scalar_names.add(name));
        let charts = self.charts();
        if !charts.contains(&self.view.chart) {
            self.view.chart = charts[0];
        }
    }

    /// What a chart of the selected run measures.
    pub(crate) fn metric_of(&self, chart: Chart) -> MetricInfo {
        match chart {
            Chart::Scalar(index) => self.run().scalar_metric(self.scalar_name(index)),
            _ => self.run().chart_metric(),
        }
    }

    /// The name of a number, as it is in the log.
    pub(crate) fn scalar_name(&self, index: usize) -> &str {
        self.scalar_names.get(index)
    }

    /// The part of the x axis that has data.
    pub(crate) fn whole(&self) -> Span {
        let axis = self.view.viewport.axis;
        let ends = self.visible().map(|(_, run)| run.position(axis, run.step()));
        let end = ends.fold(0.0, f64::max);
        // A resumed run without its past would be squeezed to the right edge.
        let starts = self.visible().filter_map(|(_, run)| {
            let first = run.series.first_step()?;
            let late = first > run.step() / 4;
            Some(if late { run.position(axis, first.saturating_sub(1)) } else { 0.0 })
        });
        Span { start: starts.reduce(f64::min).unwrap_or(0.0).min(end), end }
    }

    /// The part of the x axis that is drawn.
    pub(crate) fn span(&self) -> Span {
        let axis = self.view.viewport.axis;
        // Where the axis will end; how long a training will take is unknown.
        let ends = self.visible().map(|(_, run)| run.position(axis, run.total_steps()));
        let limit = ends.reduce(f64::max).filter(|end| axis != Axis::Time && *end > 0.0);
        self.view.viewport.span(self.whole(), limit)
    }
}
