//! The grid of charts.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{BorderType, Widget};

use super::cells::{block, cut, put, put_centered, width};
use super::chart::{self, draw_lines};
use super::grid_page::GridPage;
use super::layout::inner;
use super::scale::{Scale, Scales};
use super::{cursor, cycle, heat, legend};
use crate::chart::Chart;
use crate::format;
use crate::model::Model;
use crate::series::{Look, Series, series};

/// The sign of a pinned chart.
const PINNED: &str = "*";

/// Draws the charts of a page; returns their scales.
pub(super) fn draw(model: &Model, page: &GridPage, area: Rect, buffer: &mut Buffer) -> Scales {
    draw_line(model, page, buffer);
    if page.charts == 0 && page.line.height > 0 {
        let text =
            format!("No chart's name contains “{}”. Esc shows all.", model.arrangement.filter);
        put_centered(buffer, area, &text, model.theme.warning);
    }
    let scale =
        |(chart, area): &(Chart, Rect)| Some((*chart, draw_cell(model, *chart, *area, buffer)?));
    page.cells.iter().filter_map(scale).collect()
}

/// Draws the page's number, what is shown, and the settings of all charts.
fn draw_line(model: &Model, page: &GridPage, buffer: &mut Buffer) {
    let (theme, line) = (&model.theme, page.line);
    let last = page.before + page.cells.len();
    let mut parts = vec![match page.charts {
        0 => "no chart matches".to_owned(),
        charts => format!("charts {}–{last} of {charts}", (page.before + 1).min(last)),
    }];
    if page.pages() > 1 {
        parts.insert(0, format!("page {}/{}", page.number(), page.pages()));
    }
    if !model.arrangement.filter.is_empty() {
        parts.push(format!("filter “{}”", model.arrangement.filter));
    }
    let room = line.width.saturating_sub(2);
    let settings = chart::settings(model, model.view.chart, None, room);
    let mut x = put(buffer, line, line.x + 1, line.y, &parts.join(" · "), theme.plain) + 1;
    if let Some(step) = model.view.cursor {
        let text = format!(" step {} ", format::count(step));
        x = put(buffer, line, x, line.y, &text, theme.cursor.reversed()) + 1;
    }
    let hints = " Enter opens · PgUp PgDn page · / filters · * pins ";
    for (text, style) in [(settings.trim(), theme.dim), (hints.trim(), theme.dim)] {
        let start = line.right().saturating_sub(width(text) + 1);
        // Part of it would say nothing.
        if !text.is_empty() && start > x {
            if text == hints.trim() {
                put(buffer, line, start, line.y, text, style);
            } else {
                x = put(buffer, line, x + 1, line.y, text, style) + 1;
            }
        }
    }
}

/// The line whose value a cell shows: the running mean, or the last one, which is drawn over the others.
fn main_line<'a>(lines: &'a [Series<'a>]) -> Option<&'a Series<'a>> {
    lines.iter().find(|line| line.look == Look::Smoothed).or(lines.last())
}

/// Draws a chart in a cell: its title, the newest value or that at the cursor, axes and lines.
fn draw_cell(model: &Model, chart: Chart, area: Rect, buffer: &mut Buffer) -> Option<Scale> {
    let theme = &model.theme;
    let series = series(model, chart);
    let value = main_line(&series).map(|line| legend::value(model, chart, line));
    let value = value.map(|value| format!(" {value} ")).unwrap_or_default();
    let pinned = if model.is_pinned(chart) { PINNED } else { "" };
    let title = chart::titles(model, chart)[1].clone();
    let title = format!("{}{pinned} {title}", model.key_of(chart));
    // The corners, and a blank at each side of the title.
    let room = area.width.saturating_sub(5 + width(&value));
    let mut frame = block(theme, &cut(title.trim_start(), room));
    if chart == model.view.chart {
        frame = frame.border_type(BorderType::Thick).border_style(theme.cursor);
    }
    frame.title_top(Line::styled(value, theme.plain).right_aligned()).render(area, buffer);
    if chart == Chart::Cycle {
        return cycle::draw(model, inner(area), buffer);
    }
    if chart.is_heat_map() {
        return heat::draw(model, chart, inner(area), buffer);
    }
    let (plot, scale) = draw_lines(model, chart, series, inner(area), buffer);
    if let Some(step) = model.view.cursor {
        cursor::draw_line(model, step, plot, buffer);
    }
    Some(scale)
}
