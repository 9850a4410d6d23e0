//! The cells of the grid of charts, from the size of the screen.

use ratatui::layout::Rect;

use crate::chart::Chart;
use crate::model::Model;

/// The smallest cell in which a chart can be read, with its frame.
const WIDTH: u16 = 36;
const HEIGHT: u16 = 9;
/// Columns for each row of a cell that looks best.
const ASPECT: f64 = 3.0;

/// A page of the grid.
#[derive(Debug, Clone, Default)]
pub(crate) struct GridPage {
    /// The line above the cells.
    pub(crate) line: Rect,
    /// Cells beside each other, and below each other.
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    /// Charts on all pages.
    pub(crate) charts: usize,
    /// Charts on the pages before.
    pub(crate) before: usize,
    pub(crate) cells: Vec<(Chart, Rect)>,
}

impl GridPage {
    /// The page with the selected chart.
    pub(super) fn new(model: &Model, area: Rect) -> Self {
        let charts = model.grid_charts();
        let line = Rect { height: 1.min(area.height), ..area };
        let below = Rect { y: area.y + line.height, height: area.height - line.height, ..area };
        let (columns, rows) = shape(below, charts.len());
        let (across, down) = (usize::from(columns), usize::from(rows));
        let at_once = (across * down).max(1);
        let selected = charts.iter().position(|chart| *chart == model.view.chart).unwrap_or(0);
        let before = selected / at_once * at_once;
        let shown = charts.iter().skip(before).take(at_once);
        let cells = shown.zip(0..).map(|(chart, index): (&Chart, u16)| {
            let (column, row) = (index % columns, index / columns);
            (*chart, cell(below, (column, row), (columns, rows)))
        });
        let cells = if below.is_empty() { Vec::new() } else { cells.collect() };
        GridPage { line, columns: across, rows: down, charts: charts.len(), before, cells }
    }

    /// Pages, at least one.
    pub(crate) fn pages(&self) -> usize {
        self.charts.div_ceil((self.columns * self.rows).max(1)).max(1)
    }

    /// The number of this page, from 1.
    pub(crate) fn number(&self) -> usize {
        self.before / (self.columns * self.rows).max(1) + 1
    }
}

/// Columns and rows of cells: as many as fit; if there are fewer charts, the larger cells of the best shape.
fn shape(area: Rect, charts: usize) -> (u16, u16) {
    let most = ((area.width / WIDTH).max(1), (area.height / HEIGHT).max(1));
    if charts >= usize::from(most.0) * usize::from(most.1) {
        return most;
    }
    let charts = u16::try_from(charts.max(1)).unwrap_or(u16::MAX);
    let shapes = (1..=most.0).map(|columns| (columns, charts.div_ceil(columns)));
    let badness = |(columns, rows): &(u16, u16)| {
        let (width, height) = (area.width / columns, area.height / rows);
        (f64::from(width) / f64::from(height.max(1)) / ASPECT).ln().abs()
    };
    let fitting = shapes.filter(|(_, rows)| *rows <= most.1);
    fitting.min_by(|one, other| badness(one).total_cmp(&badness(other))).unwrap_or(most)
}

/// The area of a cell; together they fill the whole.
fn cell(area: Rect, (column, row): (u16, u16), (columns, rows): (u16, u16)) -> Rect {
    let part = |size: u16, index: u16, of: u16| {
        (u32::from(size) * u32::from(index) / u32::from(of)) as u16
    };
    let (left, right) = (part(area.width, column, columns), part(area.width, column + 1, columns));
    let (top, bottom) = (part(area.height, row, rows), part(area.height, row + 1, rows));
    Rect { x: area.x + left, y: area.y + top, width: right - left, height: bottom - top }
}
