//! How the model looks: one pane a file.
//!
//! A pane is a function of the model, an area and a buffer. It accepts any area, even an empty one, and
//! draws what fits.

mod ascii;
mod canvas;
mod cells;
pub(crate) mod chart;
mod columns;
mod cursor;
mod cycle;
mod footer;
mod grid;
mod grid_page;
mod header;
mod heat;
mod help;
pub(crate) mod layout;
mod legend;
pub(crate) mod lines;
mod messages;
mod notice;
mod plot;
mod prompt;
mod runs;
pub(crate) mod scale;
mod stats;
mod status_line;
pub(crate) mod table;
#[cfg(test)]
mod tests;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::model::Model;
use crate::model::dialogs::Overlay;
use layout::{Layout, layout_in};
use scale::Scales;

/// Draws the whole screen; returns the scales of the charts, for the next frame.
pub(crate) fn view(model: &Model, frame: &mut Frame) -> Scales {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let scales = draw(model, area, buffer);
    if model.ascii {
        ascii::asciify(buffer);
    }
    scales
}

fn draw(model: &Model, area: Rect, buffer: &mut Buffer) -> Scales {
    let panes = layout_in(model, area);
    if let Some(table) = model.table.as_ref().filter(|table| table.is_open) {
        table::draw(model, table, area, buffer);
        draw_over(model, area, buffer);
        return Scales::new();
    }
    if !panes.line.is_empty() {
        status_line::draw(model, panes.line, !panes.chart.is_empty(), buffer);
    }
    if panes.framed {
        header::draw(model, panes.header, buffer);
        runs::draw(model, &panes, buffer);
        messages::draw(model, panes.messages, buffer);
        stats::draw(model, panes.numbers, buffer);
        footer::draw(model, panes.footer, buffer);
    }
    let scales = if model.arrangement.grid {
        grid::draw(model, &panes.grid, area, buffer)
    } else {
        draw_charts(model, &panes, buffer)
    };
    draw_over(model, area, buffer);
    scales
}

/// What covers the rest.
fn draw_over(model: &Model, area: Rect, buffer: &mut Buffer) {
    match &model.dialogs.overlay {
        Some(Overlay::Help(from)) => help::draw(model, *from, area, buffer),
        Some(Overlay::Messages(list)) => messages::draw_all(model, list, area, buffer),
        None => {}
    }
    notice::draw(model, area, buffer);
    prompt::draw(model, area, buffer);
}

/// Draws the chart that the keys refer to, and the small ones below it.
fn draw_charts(model: &Model, panes: &Layout, buffer: &mut Buffer) -> Scales {
    let chart = model.view.chart;
    let scale = if panes.framed {
        chart::draw_framed(model, panes.chart, buffer)
    } else {
        chart::draw(model, panes.chart, buffer)
    };
    let mut scales: Scales = scale.map(|scale| (chart, scale)).into_iter().collect();
    scales.extend(panes.small.iter().filter_map(|(chart, area)| {
        Some((*chart, chart::draw_small(model, *chart, *area, buffer)?))
    }));
    scales
}
