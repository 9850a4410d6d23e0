//! The lines of a chart as columns.

use lookahead_chart::UsualRange;

use super::columns::{Column, Columns, columns};
use super::scale::{ScaleOptions, usual};
use crate::chart::Chart;
use crate::model::Model;
use crate::series::Series;

pub(crate) struct Lines<'a> {
    /// In the order in which they are drawn.
    pub(crate) all: Vec<(Series<'a>, Columns)>,
    /// One point of each column of the running means that are drawn without their points.
    hidden: Vec<Columns>,
}

impl<'a> Lines<'a> {
    /// Series in `count` columns over the visible part of the x axis.
    pub(crate) fn new(model: &'a Model, series: Vec<Series<'a>>, count: usize) -> Self {
        let (axis, span) = (model.view.viewport.axis, model.span());
        let columns_of = |line: &Series, decay| {
            columns(&model.runs[line.run], line.history, decay, axis, span, count)
        };
        let has_points = |mean: &Series| {
            let mut same = series.iter().filter(|line| std::ptr::eq(line.history, mean.history));
            same.any(|line| line.decay.is_none())
        };
        let sample = |line: &Series| -> Columns {
            let points = columns_of(line, None).into_iter();
            points.map(|column| column.map(|column| Column::of(column.last))).collect()
        };
        let means = series.iter().filter(|line| line.decay.is_some() && !has_points(line));
        let hidden = means.map(sample).collect();
        let with_columns = |line: Series<'a>| {
            let columns = columns_of(&line, line.decay);
            (line, columns)
        };
        Lines { hidden, all: series.into_iter().map(with_columns).collect() }
    }

    /// What the y axis should cover. A running mean stays near a wild value for long, so its points decide what
    /// is usual, even if they are not drawn.
    pub(crate) fn usual_range(&self, log: bool, was_cut: Option<bool>) -> Option<UsualRange> {
        let points = self.all.iter().filter(|(line, _)| line.decay.is_none());
        let measured: Vec<&Columns> =
            points.map(|(_, columns)| columns).chain(&self.hidden).collect();
        let drawn: Vec<&Columns> = self.all.iter().map(|(_, columns)| columns).collect();
        usual(&measured, &drawn, log, was_cut)
    }
}

/// The scale that the user wants for a chart, and that of the frame before.
pub(super) fn scale_options(model: &Model, chart: Chart) -> ScaleOptions {
    let view = &model.view;
    let before = view.scales.iter().find(|(of, _)| *of == chart).map(|(_, scale)| *scale);
    ScaleOptions { log: view.log_y, all: view.all_values || chart.is_of_settings(), before }
}
