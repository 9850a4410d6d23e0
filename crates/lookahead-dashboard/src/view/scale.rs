//! The values that a chart covers.

use lookahead_chart::{UsualRange, usual_range};

use super::columns::Columns;
use crate::chart::Chart;
use crate::viewport::round_up;

/// The part of the height that the values must fill for an axis to stay as it is.
const FILLED: f64 = 0.7;

/// The values from the bottom to the top edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    pub(crate) log: bool,
    pub(crate) bottom: f64,
    pub(crate) top: f64,
    /// The least and the greatest value in view, which may be beyond the edges.
    pub(crate) all: (f64, f64),
}

/// The scales of a frame.
pub(crate) type Scales = Vec<(Chart, Scale)>;

/// What the scale of a chart depends on, besides its values.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ScaleOptions {
    pub(super) log: bool,
    /// Whether it covers all values, not just the usual ones.
    pub(super) all: bool,
    /// The scale of the frame before, which is kept if it still fits: an axis must not move with each value.
    pub(super) before: Option<Scale>,
}

impl Scale {
    fn of(log: bool, bottom: f64, top: f64) -> Scale {
        Scale { log, bottom, top, all: (bottom, top) }
    }

    fn position(&self, value: f64) -> f64 {
        if self.log { value.max(f64::MIN_POSITIVE).log10() } else { value }
    }

    /// The row of a value, of `count` from the top; a value outside is at the edge.
    pub(crate) fn row(&self, value: f64, count: usize) -> usize {
        let (bottom, top) = (self.position(self.bottom), self.position(self.top));
        let part = (top - self.position(value)) / (top - bottom);
        (part.clamp(0.0, 1.0) * count.saturating_sub(1) as f64).round() as usize
    }

    /// Whether values are beyond an edge.
    fn is_cut(&self) -> bool {
        self.all.0 < self.bottom || self.all.1 > self.top
    }

    /// Whether a range is inside and fills most of the height.
    fn fits(&self, (low, high): (f64, f64)) -> bool {
        let height = self.position(self.top) - self.position(self.bottom);
        let filled = self.position(high) - self.position(low);
        self.bottom <= low && high <= self.top && filled >= FILLED * height
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

/// The range for the lines `drawn`, of which `measured` decide what is usual.
pub(crate) fn usual(
    measured: &[&Columns],
    drawn: &[&Columns],
    log: bool,
    was_cut: Option<bool>,
) -> Option<UsualRange> {
    let extents = |columns: &&Columns| -> Vec<(f64, f64)> {
        columns.iter().flatten().map(|column| (column.min, column.max)).collect()
    };
    let measured: Vec<Vec<(f64, f64)>> = measured.iter().map(extents).collect();
    let drawn: Vec<(f64, f64)> = drawn.iter().flat_map(extents).collect();
    usual_range(&measured, &drawn, log, was_cut)
}

impl ScaleOptions {
    /// The scale of the frame before, if it is of the same kind.
    fn before(&self) -> Option<Scale> {
        self.before.filter(|before| before.log == self.log)
    }

    /// Whether values were beyond its edges.
    pub(super) fn was_cut(&self) -> Option<bool> {
        self.before().map(|before| before.is_cut())
    }

    /// The scale for a range. Values outside are drawn at the edge with a marker.
    pub(super) fn scale(&self, range: Option<UsualRange>) -> Scale {
        let Some(range) = range else { return rounded_of(0.0, 1.0, self.log) };
        let ends = if self.all { range.all } else { range.ends };
        let kept = self.before().filter(|before| before.fits(ends));
        let scale = kept.unwrap_or_else(|| rounded_of(ends.0, ends.1, self.log));
        Scale { all: range.all, ..scale }
    }
}

fn rounded_of(bottom: f64, top: f64, log: bool) -> Scale {
    if log {
        rounded_log(if bottom > 0.0 { bottom } else { 0.1 }, top)
    } else {
        rounded(bottom, top)
    }
}

/// Round bounds around a range; a flat one gets some height.
fn rounded(bottom: f64, top: f64) -> Scale {
    // The arithmetic below would overflow for larger ones.
    let (bottom, top) = (bottom.max(-1e300), top.min(1e300));
    let size = bottom.abs().max(top.abs());
    let height = top - bottom;
    if height <= size * 1e-9 {
        let margin = if size > 0.0 { size * 0.1 } else { 1.0 };
        return Scale::of(false, bottom - margin, top + margin);
    }
    let unit = round_up(height / 20.0);
    let (low, high) = ((bottom / unit).floor() * unit, (top / unit).ceil() * unit);
    // A curve that ends near zero is easiest to read from zero.
    let low = if bottom >= 0.0 && low < height / 10.0 { 0.0 } else { low };
    Scale::of(false, low, high)
}

/// The same on a logarithmic scale: the bounds are 1, 2 or 5 times a power of ten.
fn rounded_log(bottom: f64, top: f64) -> Scale {
    let (bottom, top) = (bottom.clamp(1e-300, 1e300), top.clamp(1e-300, 1e300));
    let down = |value: f64| 1.0 / round_up(1.0 / value);
    let (mut low, mut high) = (down(bottom), round_up(top));
    if high <= low * 1.01 {
        (low, high) = (down(bottom / 2.0), round_up(top * 2.0));
    }
    Scale::of(true, low, high)
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
