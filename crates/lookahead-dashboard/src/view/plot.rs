//! The lines of a chart and their axes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Clear, Widget};

use super::canvas::{ACROSS, Canvas, DOWN};
use super::cells::{put, width};
use super::columns::Columns;
use super::layout::{BELOW, MARGIN};
use super::scale::{Scale, round_time};
use crate::format;
use crate::theme::Theme;
use crate::viewport::{Axis, Span, round_up};

/// Approximate rows between two labels of the y axis, and columns between two of the x axis.
const ROWS_APART: u16 = 3;
const COLUMNS_APART: u16 = 16;
/// The marks of values beyond the upper and the lower edge. No run has one of them as its marker.
pub(super) const ABOVE: &str = "↑";
pub(super) const BENEATH: &str = "↓";
/// Cells between two markers on a line, which tell lines apart without colours.
pub(super) const MARKER_EVERY: u16 = 14;

/// The area of the lines, inside one that also has the axes.
pub(super) fn area_of_lines(area: Rect) -> Rect {
    let margin = MARGIN.min(area.width);
    Rect {
        x: area.x + margin,
        width: area.width - margin,
        height: area.height.saturating_sub(BELOW),
        ..area
    }
}

/// The places of an axis's labels: the multiples of a round `unit`; the ends of the axis if it has fewer than two.
fn ticks(span: Span, unit: f64, count: u16) -> Vec<f64> {
    let first = (span.start / unit - 1e-9).ceil();
    let round = (0..=count * 2).map(|index| (first + f64::from(index)) * unit);
    let round: Vec<f64> = round.filter(|tick| (0.0..=1.0).contains(&span.part(*tick))).collect();
    if round.len() < 2 { vec![span.start, span.end] } else { round }
}

/// A chart on the screen.
#[derive(Clone, Copy)]
pub(super) struct Plot<'a> {
    pub(super) theme: &'a Theme,
    /// With the axes.
    pub(super) outside: Rect,
    /// Of the lines.
    pub(super) area: Rect,
    pub(super) scale: Scale,
}

impl Plot<'_> {
    /// The row of dots of a value.
    pub(super) fn dot_row(&self, value: f64) -> usize {
        self.scale.row(value, usize::from(self.area.height) * DOWN)
    }

    /// Draws a marker at a column of dots.
    pub(super) fn put_marker(
        &self,
        buffer: &mut Buffer,
        (x, value): (usize, f64),
        marker: &str,
        style: Style,
    ) {
        let (x, y) = ((x / ACROSS) as u16, (self.dot_row(value) / DOWN) as u16);
        let at = Rect { x: self.area.x + x, y: self.area.y + y, width: 1, height: 1 };
        // Nothing remains of the style of a line below it.
        Clear.render(at.intersection(self.area), buffer);
        put(buffer, self.area, at.x, at.y, marker, style);
    }

    /// Draws the y axis.
    pub(super) fn draw_y(&self, buffer: &mut Buffer, percent: bool) {
        let Plot { theme, outside, area, scale } = *self;
        if area.is_empty() {
            return;
        }
        let line = area.x.saturating_sub(1);
        let ticks = scale.ticks(usize::from((area.height / ROWS_APART).max(2)));
        let (factor, unit) = if percent { (100.0, " %") } else { (1.0, "") };
        let values: Vec<f64> = ticks.iter().map(|tick| tick * factor).collect();
        let labels = if scale.log {
            values.iter().map(|value| format::significant(*value, 2)).collect()
        } else {
            format::axis(&values)
        };
        for y in area.top()..area.bottom() {
            put(buffer, outside, line, y, "│", theme.frame);
        }
        let mut taken = None;
        for (tick, label) in ticks.iter().zip(labels) {
            let y = area.y + scale.row(*tick, usize::from(area.height)) as u16;
            // Labels of a log axis can fall on neighbouring rows.
            if taken.is_some_and(|taken: u16| taken.abs_diff(y) < 2) {
                continue;
            }
            taken = Some(y);
            let label = label + unit;
            let x = line.saturating_sub(width(&label)).max(outside.x);
            put(buffer, outside, line, y, "┤", theme.frame);
            put(buffer, outside, x, y, &label, theme.dim);
        }
    }

    /// Draws the line of the x axis.
    pub(super) fn draw_x_line(&self, buffer: &mut Buffer) {
        let (area, style) = (self.area, self.theme.frame);
        put(buffer, self.outside, area.x - 1, area.bottom(), "└", style);
        let line = "─".repeat(usize::from(area.width));
        put(buffer, self.outside, area.x, area.bottom(), &line, style);
    }

    /// Draws the x axis.
    pub(super) fn draw_x(&self, buffer: &mut Buffer, axis: Axis, span: Span) {
        let Plot { theme, outside, area, .. } = *self;
        if area.is_empty() {
            return;
        }
        self.draw_x_line(buffer);
        let y = area.bottom();
        let count = (area.width / COLUMNS_APART).max(1);
        let apart = span.width() / f64::from(count);
        let unit = match axis {
            Axis::Step => round_up(apart).max(1.0),
            Axis::Epoch => round_up(apart),
            Axis::Time => round_time(apart),
        };
        // Left of the labels, below those of the y axis.
        put(buffer, outside, outside.x + 1, y + 1, axis.name(), theme.dim);
        let end = area.right();
        let mut free = area.x;
        for tick in ticks(span, unit, count) {
            let Some(column) = span.column(tick, usize::from(area.width)) else { continue };
            let x = area.x + column as u16;
            let label = match axis {
                Axis::Step => format::count(tick.round().max(0.0) as u64),
                Axis::Epoch => format::significant(tick, 6),
                Axis::Time if unit < 1.0 => format!("{} s", format::significant(tick, 6)),
                Axis::Time => format::clock(tick),
            };
            put(buffer, outside, x, y, "┬", theme.frame);
            let wide = width(&label);
            let start = x.saturating_sub(wide / 2).max(area.x).min(end.saturating_sub(wide));
            if start >= free {
                free = put(buffer, outside, start, y + 1, &label, theme.dim) + 1;
            }
        }
    }

    /// Draws each column from its minimum to its maximum, and lines from one to the next; dashed, every other
    /// cell is left out.
    pub(super) fn trace(&self, columns: &Columns, dashed: bool, style: Style, buffer: &mut Buffer) {
        let mut canvas = if dashed { Canvas::dashed(self.area) } else { Canvas::new(self.area) };
        let mut previous = None;
        for (x, column) in columns.iter().enumerate() {
            let Some(column) = column else { continue };
            canvas.span(x, self.dot_row(column.max), self.dot_row(column.min));
            if let Some(previous) = previous.filter(|_| !column.gap_before) {
                canvas.line(previous, (x, self.dot_row(column.first)));
            }
            previous = Some((x, self.dot_row(column.last)));
        }
        canvas.paint(buffer, self.area, style);
    }

    /// Puts markers on a line at regular distances from column `phase` on, and on its newest point.
    pub(super) fn mark(
        &self,
        columns: &Columns,
        (marker, phase): (&str, u16),
        style: Style,
        buffer: &mut Buffer,
    ) {
        let newest = columns.iter().rposition(Option::is_some);
        let mut block = None;
        for (x, column) in columns.iter().enumerate() {
            let Some(column) = column else { continue };
            let this = ((x / ACROSS) as u16 + MARKER_EVERY - phase) / MARKER_EVERY;
            if block.replace(this) != Some(this) || Some(x) == newest {
                self.put_marker(buffer, (x, column.last), marker, style);
            }
        }
    }

    /// Marks at the edge the columns whose values are outside.
    pub(super) fn mark_outside(&self, columns: &Columns, style: Style, buffer: &mut Buffer) {
        let (area, scale) = (self.area, self.scale);
        for (index, column) in columns.iter().enumerate() {
            let Some(column) = column else { continue };
            let x = area.x + (index / ACROSS) as u16;
            if column.max > scale.top {
                put(buffer, area, x, area.y, ABOVE, style);
            }
            if column.min < scale.bottom {
                put(buffer, area, x, area.bottom().saturating_sub(1), BENEATH, style);
            }
        }
    }
}
