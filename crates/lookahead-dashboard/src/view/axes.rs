//! The axes of a chart.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::cells::{put, width};
use super::columns::{Column, Columns};
use super::layout::{BELOW, MARGIN};
use crate::format;
use crate::theme::Theme;
use crate::viewport::{Axis, Span, round_up};

/// The values from the bottom to the top edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    pub(crate) log: bool,
    pub(crate) bottom: f64,
    pub(crate) top: f64,
}

impl Scale {
    fn position(&self, value: f64) -> f64 {
        if self.log { value.max(f64::MIN_POSITIVE).log10() } else { value }
    }

    /// The row of a value, of `count` from the top; a value outside is at the edge.
    pub(crate) fn row(&self, value: f64, count: usize) -> usize {
        let (bottom, top) = (self.position(self.bottom), self.position(self.top));
        let part = (top - self.position(value)) / (top - bottom);
        (part.clamp(0.0, 1.0) * count.saturating_sub(1) as f64).round() as usize
    }

    /// Round values for labels, about `count` of them.
    fn ticks(&self, count: usize) -> Vec<f64> {
        let (bottom, top) = (self.position(self.bottom), self.position(self.top));
        let unit = round_up((top - bottom) / count.max(1) as f64);
        let whole_decades = self.log && top - bottom >= 2.0;
        if self.log && !whole_decades {
            // 1, 2 and 5 of each decade.
            let first = bottom.floor() as i32;
            let digits =
                (first..=first + 3).flat_map(|p| [1.0, 2.0, 5.0].map(|d| d * 10_f64.powi(p)));
            return digits.filter(|v| (self.bottom..=self.top).contains(v)).collect();
        }
        let unit = if self.log { unit.ceil().max(1.0) } else { unit };
        let first = (bottom / unit - 1e-9).ceil();
        (0..=count * 2)
            .map(|index| (first + index as f64) * unit)
            .take_while(|tick| *tick <= top + unit * 1e-9)
            .map(|tick| if self.log { 10_f64.powf(tick) } else { tick })
            .collect()
    }
}

/// A scale for series: it covers all columns of each but the highest and the lowest hundredth, so that a
/// few wild batches, or a first loss twenty times the second, don't flatten the curve; values outside
/// are drawn at the edge with a marker. It also covers the extremes of the series marked so, unless they
/// are further out than three times that range.
pub(crate) fn scale(series: &[(&Columns, bool)], log: bool) -> Scale {
    let seen = |column: &&Column| !log || column.max > 0.0;
    let low = |column: &Column| if log && column.min <= 0.0 { column.max } else { column.min };
    let ranges = series.iter().filter_map(|(columns, _)| {
        usual_range(columns.iter().flatten().filter(seen).map(|column| (low(column), column.max)))
    });
    let Some((bottom, top)) = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
        return if log { rounded_log(0.1, 1.0) } else { Scale { log, bottom: 0.0, top: 1.0 } };
    };
    let extremes = series.iter().filter(|(_, to_extremes)| *to_extremes);
    let values = extremes
        .flat_map(|(columns, _)| columns.iter().flatten().filter(seen))
        .flat_map(|column| [low(column), column.max]);
    let (from, to) = if log {
        let fence = (top / bottom).max(10.0).powi(3);
        (bottom / fence, top * fence)
    } else {
        let fence = 3.0 * (top - bottom);
        (bottom - fence, top + fence)
    };
    let (bottom, top) = values
        .filter(|value| (from..=to).contains(value))
        .fold((bottom, top), |(bottom, top), value| (bottom.min(value), top.max(value)));
    if log { rounded_log(bottom, top) } else { rounded(bottom, top) }
}

/// The range of the columns without the hundredth of them at either end.
fn usual_range(columns: impl Iterator<Item = (f64, f64)>) -> Option<(f64, f64)> {
    let (mut low, mut high): (Vec<f64>, Vec<f64>) = columns.unzip();
    low.sort_unstable_by(f64::total_cmp);
    high.sort_unstable_by(f64::total_cmp);
    // Among few columns a wild value can't be told from the usual ones.
    let tail = if low.len() < 10 { 0 } else { low.len().div_ceil(100) };
    let (bottom, top) = (*low.get(tail)?, *high.get(high.len().checked_sub(1 + tail)?)?);
    Some((bottom.min(top), top.max(bottom)))
}

/// Round bounds around a range; a flat one gets some height.
fn rounded(bottom: f64, top: f64) -> Scale {
    // The arithmetic below would overflow for larger ones.
    let (bottom, top) = (bottom.max(-1e300), top.min(1e300));
    let size = bottom.abs().max(top.abs());
    let height = top - bottom;
    if height <= size * 1e-9 {
        let margin = if size > 0.0 { size * 0.1 } else { 1.0 };
        return Scale { log: false, bottom: bottom - margin, top: top + margin };
    }
    let unit = round_up(height / 20.0);
    let (low, high) = ((bottom / unit).floor() * unit, (top / unit).ceil() * unit);
    // A curve that ends near zero is easiest to read from zero.
    let low = if bottom >= 0.0 && low < height / 10.0 { 0.0 } else { low };
    Scale { log: false, bottom: low, top: high }
}

/// The same on a logarithmic scale: the bounds are 1, 2 or 5 times a power of ten.
fn rounded_log(bottom: f64, top: f64) -> Scale {
    let (bottom, top) = (bottom.clamp(1e-300, 1e300), top.clamp(1e-300, 1e300));
    let down = |value: f64| 1.0 / round_up(1.0 / value);
    let (mut low, mut high) = (down(bottom), round_up(top));
    if high <= low * 1.01 {
        (low, high) = (down(bottom / 2.0), round_up(top * 2.0));
    }
    Scale { log: true, bottom: low, top: high }
}

/// The area of the lines, inside one that also has the axes.
pub(crate) fn plot(area: Rect) -> Rect {
    let margin = MARGIN.min(area.width);
    Rect {
        x: area.x + margin,
        y: area.y,
        width: area.width - margin,
        height: area.height.saturating_sub(BELOW),
    }
}

/// Approximate rows between two labels of the y axis, and columns between two of the x axis.
const ROWS_APART: u16 = 3;
const COLUMNS_APART: u16 = 16;

/// Draws the y axis left of the plot.
pub(crate) fn draw_y(
    theme: &Theme,
    area: Rect,
    plot: Rect,
    buffer: &mut Buffer,
    scale: Scale,
    percent: bool,
) {
    if plot.is_empty() {
        return;
    }
    let line = plot.x.saturating_sub(1);
    let count = usize::from((plot.height / ROWS_APART).max(2));
    let ticks = scale.ticks(count);
    let labels = labels(&ticks, scale.log, percent);
    for y in plot.top()..plot.bottom() {
        put(buffer, area, line, y, "│", theme.frame);
    }
    let mut taken = None;
    for (tick, label) in ticks.iter().zip(labels) {
        let y = plot.y + scale.row(*tick, usize::from(plot.height)) as u16;
        // Labels of a log axis can fall on neighbouring rows.
        if taken.is_some_and(|taken: u16| taken.abs_diff(y) < 2) {
            continue;
        }
        taken = Some(y);
        put(buffer, area, line, y, "┤", theme.frame);
        put(buffer, area, line.saturating_sub(width(&label)).max(area.x), y, &label, theme.dim);
    }
}

fn labels(ticks: &[f64], log: bool, percent: bool) -> Vec<String> {
    if log {
        let write = |value: &f64| {
            if percent {
                format!("{} %", format::significant(value * 100.0, 2))
            } else {
                format::significant(*value, 2)
            }
        };
        return ticks.iter().map(write).collect();
    }
    if percent {
        let values: Vec<f64> = ticks.iter().map(|tick| tick * 100.0).collect();
        return format::axis(&values).into_iter().map(|label| format!("{label} %")).collect();
    }
    format::axis(ticks)
}

/// Draws the x axis below the plot.
pub(crate) fn draw_x(
    theme: &Theme,
    area: Rect,
    plot: Rect,
    buffer: &mut Buffer,
    axis: Axis,
    span: Span,
) {
    if plot.is_empty() {
        return;
    }
    let y = plot.bottom();
    put(buffer, area, plot.x - 1, y, "└", theme.frame);
    put(buffer, area, plot.x, y, &"─".repeat(usize::from(plot.width)), theme.frame);
    let count = (plot.width / COLUMNS_APART).max(1);
    let unit = match axis {
        Axis::Step => round_up(span.width() / f64::from(count)).max(1.0),
        Axis::Epoch => round_up(span.width() / f64::from(count)),
        Axis::Time => round_time(span.width() / f64::from(count)),
    };
    // Left of the labels, below those of the y axis.
    put(buffer, area, area.x + 1, y + 1, axis.name(), theme.dim);
    let end = plot.right();
    let first = (span.start / unit - 1e-9).ceil();
    let mut free = plot.x;
    for index in 0..=count * 2 {
        let tick = (first + f64::from(index)) * unit;
        let Some(column) = span.column(tick, usize::from(plot.width)) else { break };
        let x = plot.x + column as u16;
        let label = match axis {
            Axis::Step => format::count(tick.max(0.0) as u64),
            Axis::Epoch => format::significant(tick, 6),
            Axis::Time if unit < 1.0 => format!("{} s", format::significant(tick, 6)),
            Axis::Time => format::clock(tick),
        };
        put(buffer, area, x, y, "┬", theme.frame);
        let wide = width(&label);
        let start = x.saturating_sub(wide / 2).max(plot.x).min(end.saturating_sub(wide));
        if start >= free {
            free = put(buffer, area, start, y + 1, &label, theme.dim) + 1;
        }
    }
}

/// A round number of seconds, minutes, hours or days, not below `value` seconds.
fn round_time(value: f64) -> f64 {
    const ROUND: [f64; 17] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0,
        21600.0, 43200.0, 86400.0,
    ];
    if value < 1.0 {
        return round_up(value);
    }
    let found = ROUND.into_iter().find(|round| *round >= value * 0.999_999);
    found.unwrap_or_else(|| round_up(value / 86400.0) * 86400.0)
}

#[cfg(test)]
mod tests;
