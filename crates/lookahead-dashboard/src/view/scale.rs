//! The values that a chart covers.

use super::columns::{Column, Columns};
use crate::viewport::round_up;

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
    pub(super) fn ticks(&self, count: usize) -> Vec<f64> {
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

/// A round number of seconds, minutes, hours or days, not below `value` seconds.
pub(super) fn round_time(value: f64) -> f64 {
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
