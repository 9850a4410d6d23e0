//! The visible part of the x axis, and its unit.

use std::str::FromStr;

/// What the x axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Inner steps.
    Step,
    /// Passes over the training set, in fractions.
    Epoch,
    /// Seconds of training.
    Time,
}

impl Axis {
    pub(crate) fn next(self) -> Axis {
        match self {
            Axis::Step => Axis::Epoch,
            Axis::Epoch => Axis::Time,
            Axis::Time => Axis::Step,
        }
    }

    /// The name of the axis.
    pub fn name(self) -> &'static str {
        match self {
            Axis::Step => "step",
            Axis::Epoch => "epoch",
            Axis::Time => "time",
        }
    }
}

impl FromStr for Axis {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = [Axis::Step, Axis::Epoch, Axis::Time];
        all.into_iter()
            .find(|axis| axis.name() == word)
            .ok_or_else(|| format!("`{word}` is not an axis. Use `step`, `epoch` or `time`."))
    }
}

/// A part of an axis, in its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Span {
    pub(crate) start: f64,
    pub(crate) end: f64,
}

impl Span {
    pub(crate) fn width(&self) -> f64 {
        self.end - self.start
    }

    /// Where in the span a position is, from 0 at the start to 1 at the end.
    pub(crate) fn part(&self, position: f64) -> f64 {
        (position - self.start) / self.width()
    }

    /// The column of `count` that holds a position; none outside.
    pub(crate) fn column(&self, position: f64, count: usize) -> Option<usize> {
        let part = self.part(position);
        if count == 0 || !(0.0..=1.0).contains(&part) {
            return None;
        }
        Some(((part * (count - 1) as f64).round() as usize).min(count - 1))
    }

    /// The position in the middle of a column of `count`.
    pub(crate) fn position(&self, column: usize, count: usize) -> f64 {
        self.start + self.width() * column as f64 / count.saturating_sub(1).max(1) as f64
    }
}

/// The requested part of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Range {
    All,
    /// The last part of this width, which follows the newest step.
    Latest(f64),
    Fixed(Span),
}

/// The requested part of an axis that grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Viewport {
    pub(crate) axis: Axis,
    pub(crate) range: Range,
}

/// The factor of one zoom.
pub(crate) const ZOOM: f64 = 2.0;
/// How far a key pans, in widths of the chart.
pub(crate) const PAN: f64 = 0.25;
/// The smallest width, in widths of the whole.
const CLOSEST: f64 = 1e-9;

impl Viewport {
    /// The part to draw of an axis whose data covers `whole`; `limit` is where it will end, if known.
    pub(crate) fn span(&self, whole: Span, limit: Option<f64>) -> Span {
        match self.range {
            Range::All => roomy(whole, limit, 20.0),
            Range::Latest(width) if width >= whole.width() => roomy(whole, limit, 20.0),
            Range::Latest(width) => {
                let unit = round_up(width / 20.0);
                let end = (whole.end / unit).ceil() * unit;
                let end = limit.map_or(end, |limit| end.min(limit)).max(whole.end);
                Span { start: end - width, end }
            }
            Range::Fixed(span) => span,
        }
    }

    /// Zooms in by a factor above 1, out by one below it: about a position, or about the newest step
    /// if the chart follows it.
    pub(crate) fn zoom(&mut self, factor: f64, about: Option<f64>, whole: Span, least: f64) {
        let span = self.span(whole, None);
        let width = (span.width() / factor).max(least).max(whole.width() * CLOSEST);
        if !width.is_finite() {
            return;
        }
        if width >= whole.width() {
            self.range = Range::All;
            return;
        }
        let follows = !matches!(self.range, Range::Fixed(_));
        self.range = match about {
            None if follows => Range::Latest(width),
            about => {
                let about = about.unwrap_or((span.start + span.end) / 2.0);
                let start = about - span.part(about).clamp(0.0, 1.0) * width;
                Range::Fixed(Span { start, end: start + width })
            }
        };
    }

    /// Pans to the right by that many widths. A chart that reaches the end follows it from then on.
    pub(crate) fn pan(&mut self, widths: f64, whole: Span) {
        if self.range == Range::All {
            return;
        }
        let span = self.span(whole, None);
        let width = span.width();
        let start = span.start + widths * width;
        self.range = if start + width >= whole.end && widths > 0.0 {
            Range::Latest(width)
        } else {
            let start = start.clamp(whole.start.min(whole.end - width), whole.end - width / 2.0);
            Range::Fixed(Span { start, end: start + width })
        };
    }

    /// Follows the newest step at the current width.
    pub(crate) fn follow(&mut self, whole: Span) {
        if let Range::Fixed(span) = self.range {
            self.range = Range::Latest(span.width().min(whole.width()));
        }
    }

    /// Pans to a position if that is outside.
    pub(crate) fn reveal(&mut self, position: f64, whole: Span) {
        let span = self.span(whole, None);
        if !(span.start..=span.end).contains(&position) {
            let start = position - span.width() / 2.0;
            self.range = Range::Fixed(Span { start, end: start + span.width() });
        }
    }
}

/// The whole axis, up to a round number: so the chart moves only now and then, and at most a tenth of
/// it is empty.
fn roomy(whole: Span, limit: Option<f64>, parts: f64) -> Span {
    let width = whole.width();
    if width <= 0.0 {
        return Span { start: whole.start, end: whole.start + 1.0 };
    }
    let unit = round_up(width / parts);
    let end = whole.start + (width / unit).ceil() * unit;
    let end = match limit {
        Some(limit) if limit >= whole.end => end.min(limit),
        _ => end,
    };
    Span { start: whole.start, end }
}

/// 1, 2 or 5 times a power of ten, not below `value`.
pub(crate) fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|round| *round >= value * 0.999_999)
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests;
