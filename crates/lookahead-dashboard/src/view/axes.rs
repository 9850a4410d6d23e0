//! Which part of steps and losses is shown, and the labels that say so.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::columns::Steps;
use super::{put, width};
use crate::format;
use crate::history::Bucket;
use crate::model::Run;
use crate::theme::Theme;

/// The losses from the bottom to the top edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Losses {
    pub(crate) bottom: f64,
    pub(crate) top: f64,
}

impl Losses {
    /// The row of `count`, from the top, that shows a value; one outside lies on the edge.
    pub(crate) fn row(&self, value: f64, count: usize) -> usize {
        let part = (self.top - value) / (self.top - self.bottom);
        (part.clamp(0.0, 1.0) * count.saturating_sub(1) as f64).round() as usize
    }
}

/// 1, 2 or 5 times a power of ten, not below `value`.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|round| *round >= value * 0.999_999)
        .unwrap_or(10.0 * power)
}

/// All steps taken so far, up to a round number: so the picture moves in jerks now and then, and
/// holds still in between, and never leaves more than a tenth of it empty.
pub(crate) fn steps(run: &Run) -> Steps {
    let starts = [&run.raw, &run.probes.fast, &run.probes.slow];
    let start = starts
        .iter()
        .filter_map(|history| history.buckets().first())
        .map(|bucket| bucket.first_step)
        .min()
        .unwrap_or(0);
    // A resumed run that is shown without its past would be squeezed to the right edge.
    let first = if start > run.step / 4 { start.saturating_sub(1) } else { 0 };
    let span = run.step.saturating_sub(first).max(1);
    let unit = round_up(span as f64 / 20.0).max(1.0) as u64;
    let last = first.saturating_add(span.div_ceil(unit).saturating_mul(unit));
    let last = if run.step <= run.total_steps() { last.min(run.total_steps()) } else { last };
    Steps { first, last: last.max(first.saturating_add(1)) }
}

/// Losses that show the course of the run: of each series all columns but the highest and the
/// lowest hundredth. So a few wild batches, or a first loss that is twenty times the second, don't
/// flatten the curve for ever; what lies outside is drawn at the edge with a marker. Probes are
/// shown to their extremes, unless these are wild: further out than three times that range.
pub(crate) fn losses(training: &[Option<Bucket>], probes: &[&[Option<Bucket>]]) -> Losses {
    let ranges = probes.iter().copied().chain([training]).filter_map(usual_range);
    let Some((bottom, top)) = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
        return Losses { bottom: 0.0, top: 1.0 };
    };
    let fence = 3.0 * (top - bottom);
    let tame = bottom - fence..=top + fence;
    let probes = probes.iter().flat_map(|columns| columns.iter().flatten());
    let (bottom, top) = probes
        .flat_map(|bucket| [bucket.min, bucket.max])
        .filter(|value| tame.contains(value))
        .fold((bottom, top), |(bottom, top), value| (bottom.min(value), top.max(value)));
    rounded(bottom, top)
}

/// What the columns reach without the hundredth of them at either end.
fn usual_range(columns: &[Option<Bucket>]) -> Option<(f64, f64)> {
    let (mut low, mut high): (Vec<f64>, Vec<f64>) =
        columns.iter().flatten().map(|bucket| (bucket.min, bucket.max)).unzip();
    low.sort_by(f64::total_cmp);
    high.sort_by(f64::total_cmp);
    // A handful of columns is shown whole: there one wild value can't be told from a course.
    let tail = if low.len() < 10 { 0 } else { low.len().div_ceil(100) };
    let (bottom, top) = (*low.get(tail)?, *high.get(high.len().checked_sub(1 + tail)?)?);
    Some((bottom.min(top), top.max(bottom)))
}

/// Round bounds around a range; a flat one gets some height.
fn rounded(bottom: f64, top: f64) -> Losses {
    // Beyond this the arithmetic below would overflow.
    let (bottom, top) = (bottom.max(-1e300), top.min(1e300));
    let size = bottom.abs().max(top.abs());
    let height = top - bottom;
    if height <= size * 1e-9 {
        let margin = if size > 0.0 { size * 0.1 } else { 1.0 };
        return Losses { bottom: bottom - margin, top: top + margin };
    }
    let unit = round_up(height / 20.0);
    let (low, high) = ((bottom / unit).floor() * unit, (top / unit).ceil() * unit);
    // A curve that ends near zero reads best from zero.
    let low = if bottom >= 0.0 && low < height / 10.0 { 0.0 } else { low };
    Losses { bottom: low, top: high }
}

/// Draws both axes around the plot, which is what they leave of `area`.
pub(crate) fn draw(
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
    steps: Steps,
    losses: Losses,
) -> Rect {
    let labels = format::axis([losses.bottom, (losses.bottom + losses.top) / 2.0, losses.top]);
    let margin = labels.iter().map(|label| width(label)).max().unwrap_or(0) + 2;
    let plot = Rect {
        x: area.x + margin.min(area.width),
        y: area.y,
        width: area.width.saturating_sub(margin),
        height: area.height.saturating_sub(2),
    };
    if plot.is_empty() {
        return Rect::default();
    }
    let rows = [plot.bottom() - 1, plot.y + plot.height / 2, plot.y];
    let line = plot.x - 1;
    for y in plot.top()..plot.bottom() {
        let symbol = if rows.contains(&y) { "┤" } else { "│" };
        put(buffer, area, line, y, symbol, theme.frame);
    }
    for (label, y) in labels.iter().zip(rows) {
        put(buffer, area, line.saturating_sub(width(label)).max(area.x), y, label, theme.dim);
    }
    bottom(theme, area, plot, buffer, steps);
    plot
}

/// The line below the plot with at most three steps named.
fn bottom(theme: &Theme, area: Rect, plot: Rect, buffer: &mut Buffer, steps: Steps) {
    let (y, last) = (plot.bottom(), plot.width - 1);
    put(buffer, area, plot.x - 1, y, "└", theme.frame);
    let middle = steps.first + (steps.last - steps.first) / 2;
    let ticks = [(steps.first, 0), (middle, last / 2), (steps.last, last)];
    for x in 0..plot.width {
        let symbol = if ticks.iter().any(|(_, tick)| *tick == x) { "┬" } else { "─" };
        put(buffer, area, plot.x + x, y, symbol, theme.frame);
    }
    let [first, middle, end] = ticks.map(|(step, _)| format::count(step));
    let end = format!("step {end}");
    let start = put(buffer, area, plot.x, y + 1, &first, theme.dim);
    let right = plot.right().saturating_sub(width(&end));
    if right <= start {
        return;
    }
    put(buffer, area, right, y + 1, &end, theme.dim);
    let x = (plot.x + last / 2).saturating_sub(width(&middle) / 2);
    if x > start + 1 && x + width(&middle) + 1 < right {
        put(buffer, area, x, y + 1, &middle, theme.dim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(values: &[f64]) -> Vec<Option<Bucket>> {
        let bucket = |value: &f64| Bucket {
            first_step: 0,
            last_step: 0,
            first: *value,
            last: *value,
            min: *value,
            max: *value,
            gap_before: false,
        };
        values.iter().map(|value| Some(bucket(value))).collect()
    }

    #[test]
    fn a_huge_first_loss_does_not_flatten_the_curve() {
        let mut values = vec![1.0; 200];
        values[0] = 1e6;
        values[50] = 0.5;
        values[51] = 0.5;
        values[52] = 0.5;
        let bounds = losses(&columns(&values), &[]);
        assert!(bounds.top < 2.0, "{bounds:?}");
        assert!(bounds.bottom <= 0.5);
    }

    #[test]
    fn probes_are_always_inside_unless_they_are_wild() {
        let training = columns(&[1.0, 2.0, 1.5]);
        let bounds = losses(&training, &[&columns(&[3.5])]);
        assert!(bounds.top >= 3.5, "{bounds:?}");
        let bounds = losses(&training, &[&columns(&[vec![3.5; 99], vec![1e9]].concat())]);
        assert!((3.5..10.0).contains(&bounds.top), "{bounds:?}");
        // With dropout the probes may all lie far below the training loss.
        let bounds = losses(&training, &[&columns(&[0.01; 50])]);
        assert!(bounds.bottom <= 0.01 && bounds.top >= 2.0, "{bounds:?}");
    }

    #[test]
    fn flat_and_empty_data_have_some_height() {
        for values in [&[][..], &[0.0], &[0.7], &[-3.0, -3.0], &[1e300], &[-1e308, 1e308]] {
            let bounds = losses(&columns(values), &[]);
            assert!(bounds.top > bounds.bottom, "{values:?} {bounds:?}");
            assert!(bounds.top.is_finite() && bounds.bottom.is_finite());
            for value in values {
                assert!(bounds.row(*value, 40) < 40);
            }
        }
    }

    #[test]
    fn round_numbers() {
        for (value, round) in [(1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (7.0, 10.0), (0.03, 0.05)] {
            assert!((round_up(value) - round).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn steps_reach_to_a_round_number_but_not_beyond_the_end() {
        let mut run = Run::new();
        assert_eq!(steps(&run), Steps { first: 0, last: 1 });
        run.step = 1234;
        assert_eq!(steps(&run), Steps { first: 0, last: 1300 });
        run.raw.push(1200, 1.0);
        assert_eq!(steps(&run), Steps { first: 1199, last: 1235 });
    }
}
