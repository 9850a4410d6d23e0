//! Which values a picture reaches over, and the labels that say so.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::columns::{Column, Columns};
use super::layout::{BELOW, MARGIN};
use super::{put, width};
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
    fn place(&self, value: f64) -> f64 {
        if self.log { value.max(f64::MIN_POSITIVE).log10() } else { value }
    }

    /// The row of `count`, from the top, that shows a value; one outside lies on the edge.
    pub(crate) fn row(&self, value: f64, count: usize) -> usize {
        let (bottom, top) = (self.place(self.bottom), self.place(self.top));
        let part = (top - self.place(value)) / (top - bottom);
        (part.clamp(0.0, 1.0) * count.saturating_sub(1) as f64).round() as usize
    }

    /// Round values to be named, about `count` of them.
    fn ticks(&self, count: usize) -> Vec<f64> {
        let (bottom, top) = (self.place(self.bottom), self.place(self.top));
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

/// A scale for the course of the series: of each all columns but the highest and the lowest
/// hundredth. So a few wild batches, or a first loss that is twenty times the second, don't
/// flatten the curve for ever; what lies outside is drawn at the edge with a marker. Series that are
/// to be shown to their extremes are, unless these are wild: further out than three times that range.
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
    let (bottom, top) = if log {
        let fence = (top / bottom).max(10.0).powi(3);
        let tame = bottom / fence..=top * fence;
        values.filter(|v| tame.contains(v)).fold((bottom, top), |(b, t), v| (b.min(v), t.max(v)))
    } else {
        let fence = 3.0 * (top - bottom);
        let tame = bottom - fence..=top + fence;
        values.filter(|v| tame.contains(v)).fold((bottom, top), |(b, t), v| (b.min(v), t.max(v)))
    };
    if log { rounded_log(bottom, top) } else { rounded(bottom, top) }
}

/// What the columns reach without the hundredth of them at either end.
fn usual_range(columns: impl Iterator<Item = (f64, f64)>) -> Option<(f64, f64)> {
    let (mut low, mut high): (Vec<f64>, Vec<f64>) = columns.unzip();
    low.sort_unstable_by(f64::total_cmp);
    high.sort_unstable_by(f64::total_cmp);
    // A handful of columns is shown whole: there one wild value can't be told from a course.
    let tail = if low.len() < 10 { 0 } else { low.len().div_ceil(100) };
    let (bottom, top) = (*low.get(tail)?, *high.get(high.len().checked_sub(1 + tail)?)?);
    Some((bottom.min(top), top.max(bottom)))
}

/// Round bounds around a range; a flat one gets some height.
fn rounded(bottom: f64, top: f64) -> Scale {
    // Beyond this the arithmetic below would overflow.
    let (bottom, top) = (bottom.max(-1e300), top.min(1e300));
    let size = bottom.abs().max(top.abs());
    let height = top - bottom;
    if height <= size * 1e-9 {
        let margin = if size > 0.0 { size * 0.1 } else { 1.0 };
        return Scale { log: false, bottom: bottom - margin, top: top + margin };
    }
    let unit = round_up(height / 20.0);
    let (low, high) = ((bottom / unit).floor() * unit, (top / unit).ceil() * unit);
    // A curve that ends near zero reads best from zero.
    let low = if bottom >= 0.0 && low < height / 10.0 { 0.0 } else { low };
    Scale { log: false, bottom: low, top: high }
}

/// The same by factors: the bounds are 1, 2 or 5 times a power of ten.
fn rounded_log(bottom: f64, top: f64) -> Scale {
    let (bottom, top) = (bottom.clamp(1e-300, 1e300), top.clamp(1e-300, 1e300));
    let down = |value: f64| 1.0 / round_up(1.0 / value);
    let (mut low, mut high) = (down(bottom), round_up(top));
    if high <= low * 1.01 {
        (low, high) = (down(bottom / 2.0), round_up(top * 2.0));
    }
    Scale { log: true, bottom: low, top: high }
}

/// The plot of an area that also has to hold axes.
pub(crate) fn plot(area: Rect) -> Rect {
    let margin = MARGIN.min(area.width);
    Rect {
        x: area.x + margin,
        y: area.y,
        width: area.width - margin,
        height: area.height.saturating_sub(BELOW),
    }
}

/// Rows between two labels of the y axis, about, and columns between two of the x axis.
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
        let write = |value: &f64| match percent {
            true => format!("{} %", format::significant(value * 100.0, 2)),
            false => format::significant(*value, 2),
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
    // Left of the labels, where the y axis has its own.
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
    match value < 1.0 {
        true => round_up(value),
        false => ROUND
            .into_iter()
            .find(|round| *round >= value * 0.999_999)
            .unwrap_or_else(|| round_up(value / 86400.0) * 86400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(values: &[f64]) -> Columns {
        let point = |value: &f64| Column {
            first: *value,
            last: *value,
            min: *value,
            max: *value,
            gap_before: false,
        };
        values.iter().map(|value| Some(point(value))).collect()
    }

    #[test]
    fn a_huge_first_loss_does_not_flatten_the_curve() {
        let mut values = vec![1.0; 200];
        values[0] = 1e6;
        values[50] = 0.5;
        values[51] = 0.5;
        values[52] = 0.5;
        let bounds = scale(&[(&columns(&values), false)], false);
        assert!(bounds.top < 2.0, "{bounds:?}");
        assert!(bounds.bottom <= 0.5);
    }

    #[test]
    fn extremes_are_inside_where_they_should_be_unless_they_are_wild() {
        let training = columns(&[1.0, 2.0, 1.5]);
        let with =
            |probes: Vec<f64>| scale(&[(&training, false), (&columns(&probes), true)], false);
        let bounds = with(vec![3.5]);
        assert!(bounds.top >= 3.5, "{bounds:?}");
        let bounds = with([vec![3.5; 99], vec![1e9]].concat());
        assert!((3.5..10.0).contains(&bounds.top), "{bounds:?}");
        // With dropout the probes may all lie far below the training loss.
        let bounds = with(vec![0.01; 50]);
        assert!(bounds.bottom <= 0.01 && bounds.top >= 2.0, "{bounds:?}");
    }

    #[test]
    fn flat_and_empty_data_have_some_height() {
        for values in
            [&[][..], &[0.0], &[0.7], &[-3.0, -3.0], &[1e300], &[-1e308, 1e308], &[1e-310]]
        {
            for log in [false, true] {
                let bounds = scale(&[(&columns(values), true)], log);
                assert!(bounds.top > bounds.bottom, "{values:?} {bounds:?}");
                assert!(bounds.top.is_finite() && bounds.bottom.is_finite());
                for value in values {
                    assert!(bounds.row(*value, 40) < 40);
                }
                let ticks = bounds.ticks(5);
                assert!(!ticks.is_empty() && ticks.len() <= 12, "{values:?} {log} {ticks:?}");
            }
        }
    }

    #[test]
    fn a_log_axis_gives_each_decade_as_much_room() {
        let bounds = scale(&[(&columns(&[1e-3, 1e-2, 0.1, 1.0, 10.0, 0.0, -1.0]), true)], true);
        assert_eq!((bounds.bottom, bounds.top), (1e-3, 10.0));
        assert_eq!(
            [10.0, 1.0, 0.1, 0.01, 1e-3, 0.0].map(|v| bounds.row(v, 41)),
            [0, 10, 20, 30, 40, 40]
        );
        let ticks = bounds.ticks(4);
        assert!(
            ticks.iter().zip([1e-3, 1e-2, 0.1, 1.0, 10.0]).all(|(a, b)| (a / b - 1.0).abs() < 1e-9)
        );
        assert_eq!(ticks.len(), 5);
        // Within less than two decades 1, 2 and 5 are named.
        assert_eq!(Scale { log: true, bottom: 0.2, top: 5.0 }.ticks(4), [0.2, 0.5, 1.0, 2.0, 5.0]);
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let ticks = Scale { log: false, bottom: 0.13, top: 2.71 }.ticks(5);
        assert_eq!(ticks, [1.0, 2.0]);
        let ticks = Scale { log: false, bottom: 0.0, top: 2.0 }.ticks(5);
        assert_eq!(ticks, [0.0, 0.5, 1.0, 1.5, 2.0]);
    }

    #[test]
    fn times_are_named_by_round_seconds_minutes_and_hours() {
        for (value, round) in
            [(0.3, 0.5), (7.0, 10.0), (40.0, 60.0), (2000.0, 3600.0), (1e6, 1_728_000.0)]
        {
            assert_eq!(round_time(value), round, "{value}");
        }
    }
}
