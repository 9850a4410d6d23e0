//! The values that a vertical axis should cover, so that a few wild ones don't flatten the rest.

#[cfg(test)]
mod tests;

/// Beyond this the arithmetic of ranges would overflow.
const HUGE: f64 = 1e300;
/// Fewer values than this are all usual: a wild one can't be told from the rest.
const FEW: usize = 10;
/// Of each series the lowest and the highest of this many parts are not usual: the 5th to the 95th
/// percentile remain. If these are all equal, the 1st to the 99th.
const PARTS: [usize; 2] = [20, 100];
/// The part of the height that the usual values must fill if the axis covers all values: on a linear and on a
/// logarithmic axis.
const LINEAR: f64 = 0.4;
const LOG: f64 = 0.1;
/// How far the part must move past that for an axis that has been cut, or has not, to change.
const HYSTERESIS: f64 = 1.25;
/// Values this far beyond the usual ones, in heights of their range, are covered as well.
const MARGIN: f64 = 0.25;

/// What a vertical axis should cover.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UsualRange {
    /// The least and the greatest value of the axis.
    pub ends: (f64, f64),
    /// The least and the greatest of all values.
    pub all: (f64, f64),
}

impl UsualRange {
    /// Whether values lie beyond the ends.
    pub fn is_cut(&self) -> bool {
        self.ends != self.all
    }
}

/// The range for an axis on which `drawn` is drawn: everything if the usual values then fill at least two
/// fifths of the height (a tenth if it is logarithmic), otherwise the usual values and what comes close to
/// them. Each item is the least and the greatest value of a point; what is not finite is ignored, and on a
/// logarithmic axis also what is not above 0. None if nothing is left.
///
/// `measured` has the series that decide what is usual: in each of them the 5th to the 95th percentile.
/// A running mean is not one of them, since it stays near a wild value for long. `was_cut` is whether the
/// range before this one was cut, if there was one: an axis that is redrawn must not change back and forth.
pub fn usual_range(
    measured: &[Vec<(f64, f64)>],
    drawn: &[(f64, f64)],
    log: bool,
    was_cut: Option<bool>,
) -> Option<UsualRange> {
    let place = |value: f64| if log { value.log10() } else { value.clamp(-HUGE, HUGE) };
    let placed = |values: &[(f64, f64)]| -> Vec<(f64, f64)> {
        let seen = |value: f64| value.is_finite() && (!log || value > 0.0);
        let ends = values.iter().map(|(low, high)| [*low, *high]);
        let ends = ends.filter(|ends| ends.iter().any(|value| seen(*value)));
        ends.map(|[low, high]| {
            let (low, high) =
                (if seen(low) { low } else { high }, if seen(high) { high } else { low });
            (place(low), place(high))
        })
        .collect()
    };
    let join = |a: (f64, f64), b: (f64, f64)| (a.0.min(b.0), a.1.max(b.1));
    let drawn = placed(drawn);
    let all = drawn.iter().copied().reduce(join)?;
    let usual = measured.iter().filter_map(|series| percentiles(&placed(series))).reduce(join);
    let usual = usual.unwrap_or(all);
    let height = |range: (f64, f64)| range.1 - range.0;
    let least = if log { LOG } else { LINEAR };
    let least = match was_cut {
        None => least,
        Some(true) => least * HYSTERESIS,
        Some(false) => least / HYSTERESIS,
    };
    let ends = if height(usual) >= least * height(all) {
        all
    } else {
        let margin = height(usual) * MARGIN;
        let (from, to) = (usual.0 - margin, usual.1 + margin);
        let near = drawn.iter().flat_map(|(low, high)| [*low, *high]);
        near.filter(|value| (from..=to).contains(value))
            .fold(usual, |ends, value| join(ends, (value, value)))
    };
    let value = |place: f64| if log { 10_f64.powf(place) } else { place };
    let values = |range: (f64, f64)| (value(range.0), value(range.1));
    Some(UsualRange { ends: values(ends), all: values(all) })
}

/// The range of a series without its lowest and highest points.
fn percentiles(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let (mut low, mut high): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    low.sort_unstable_by(f64::total_cmp);
    high.sort_unstable_by(f64::total_cmp);
    let last = points.len().checked_sub(1)?;
    let without =
        |tail: usize| (low[tail].min(high[last - tail]), low[tail].max(high[last - tail]));
    if points.len() < FEW {
        return Some(without(0));
    }
    let mut ranges = PARTS.map(|parts| without(points.len().div_ceil(parts))).into_iter();
    ranges.find(|range| range.0 < range.1).or(Some(without(points.len().div_ceil(PARTS[0]))))
}
