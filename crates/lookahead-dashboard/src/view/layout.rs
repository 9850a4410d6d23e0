//! The areas of the panes, from the model and the size alone, so that the mouse finds them too.

use ratatui::layout::{Constraint, Layout as Split, Rect};

use super::grid_page::GridPage;
use crate::chart::Chart;
use crate::model::Model;
use crate::run::Run;

/// Columns left of a plot: the y axis and its labels.
pub(crate) const MARGIN: u16 = 8;
/// Rows below a plot: the x axis and its labels.
pub(crate) const BELOW: u16 = 2;
/// Most runs in the list.
const RUNS: u16 = 8;

/// The areas of the panes; an empty one is not drawn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    pub(crate) header: Rect,
    /// With its frame, if it has one.
    pub(crate) chart: Rect,
    pub(crate) framed: bool,
    /// The columns of the chart that have data, over all of its rows.
    pub(crate) plot: Rect,
    pub(crate) small: Vec<(Chart, Rect)>,
    /// Instead of `chart` and `small`, which then are its selected cell and empty.
    pub(crate) grid: GridPage,
    /// The lines of the list of runs, without its frame.
    pub(crate) runs: Rect,
    /// The run in its first line.
    pub(crate) first_run: usize,
    pub(crate) numbers: Rect,
    pub(crate) messages: Rect,
    pub(crate) footer: Rect,
    /// A line, or a few without a chart, instead of header, numbers and footer.
    pub(crate) line: Rect,
}

/// The panes of a screen of the model's size.
pub(crate) fn layout(model: &Model) -> Layout {
    layout_in(model, Rect { x: 0, y: 0, width: model.size.0, height: model.size.1 })
}

/// The panes of an area.
pub(crate) fn layout_in(model: &Model, area: Rect) -> Layout {
    let mut found = match (area.width, area.height) {
        (70.., 20..) => full(model, area),
        (40.., 12..) => small(model, area),
        _ => Layout { line: area, ..Layout::default() },
    };
    let cells = &found.grid.cells;
    if let Some((_, cell)) = cells.iter().find(|(chart, _)| *chart == model.view.chart) {
        found.chart = *cell;
    }
    let framed = found.framed || !cells.is_empty();
    let inside = if framed { inner(found.chart) } else { found.chart };
    let margin = MARGIN.min(inside.width);
    let beside = margin + names_margin(model, model.view.chart, inside.width);
    let width = inside.width.saturating_sub(beside);
    found.plot = Rect { x: inside.x + margin, width, ..inside };
    found
}

/// Columns for the names of the layers, to the right of a heat map's cells, of `columns` in all.
pub(crate) fn names_margin(model: &Model, chart: Chart, columns: u16) -> u16 {
    if !chart.is_heat_map() {
        return 0;
    }
    let names = model.run().layers.names().iter();
    let longest = names.map(|name| name.chars().count()).max().unwrap_or(0);
    // A blank before them, and how many share a row.
    (longest.min(usize::from(u16::MAX - 6)) as u16 + 6).min(columns / 3)
}

/// An area without its frame.
pub(crate) fn inner(area: Rect) -> Rect {
    Rect {
        x: area.x.saturating_add(1),
        y: area.y.saturating_add(1),
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(2),
    }
}

/// The chart or the grid, over one line of numbers.
fn small(model: &Model, area: Rect) -> Layout {
    let [chart, line] = Split::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    if model.arrangement.grid {
        return Layout { grid: GridPage::new(model, chart), line, ..Layout::default() };
    }
    Layout { chart, line, ..Layout::default() }
}

/// Header, charts beside the numbers, messages, footer; the grid has the room of the numbers and messages too.
fn full(model: &Model, area: Rect) -> Layout {
    let [header, body, footer] =
        Split::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Length(1)])
            .areas(area);
    if model.arrangement.grid {
        let (runs, first_run, rest) = list_of_runs(model, body);
        let grid = GridPage::new(model, rest);
        let framed = true;
        return Layout { header, framed, grid, runs, first_run, footer, ..Layout::default() };
    }
    let numbers = Constraint::Length(if area.width >= 100 { 38 } else { 30 });
    let across = |area| Split::horizontal([Constraint::Fill(1), numbers]).areas(area);
    let down =
        |area, lines| Split::vertical([Constraint::Fill(1), Constraint::Length(lines)]).areas(area);
    // A high screen has room for all numbers above the messages, which then use its whole width.
    let [left, numbers, messages] = if area.height >= 36 {
        let [top, messages] = down(body, if area.height >= 44 { 9 } else { 7 });
        let [left, numbers] = across(top);
        [left, numbers, messages]
    } else {
        let [left, numbers] = across(body);
        let [left, messages] = down(left, if area.height >= 28 { 7 } else { 5 });
        [left, numbers, messages]
    };
    let (runs, first_run, left) = list_of_runs(model, left);
    let (small, chart) = if area.width >= 140 && area.height >= 44 {
        let [chart, row] = down(left, 15);
        let small = if model.runs.iter().all(Run::is_recorded) {
            model.charts()
        } else {
            vec![Chart::Cycle, Chart::Gain, Chart::Accuracy, Chart::Loss]
        };
        let small = small.into_iter().filter(|chart| *chart != model.view.chart);
        let areas = Split::horizontal([Constraint::Fill(1); 3]).split(row);
        (small.zip(areas.iter().copied()).collect(), chart)
    } else {
        (Vec::new(), left)
    };
    Layout {
        header,
        chart,
        framed: true,
        small,
        runs,
        first_run,
        numbers,
        messages,
        footer,
        ..Layout::default()
    }
}

/// The list of runs if there are several, the first run in it, and the rest of the area.
fn list_of_runs(model: &Model, area: Rect) -> (Rect, usize, Rect) {
    let count = model.runs.len();
    if count < 2 {
        return (Rect::default(), 0, area);
    }
    let room = RUNS.min((area.height / 3).saturating_sub(1).max(2));
    let rows = room.min(u16::try_from(count).unwrap_or(u16::MAX));
    let [list, rest] =
        Split::vertical([Constraint::Length(rows + 2), Constraint::Fill(1)]).areas(area);
    let rows = usize::from(rows);
    let first = (model.selected + 1).saturating_sub(rows).min(count - rows.min(count));
    (inner(list), first, rest)
}
