//! Which part of the x axis is shown, and in which unit.

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

    /// The word for it.
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
            .ok_or_else(|| format!("`{word}` is no axis: say `step`, `epoch` or `time`."))
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

    /// Where in the span a position lies, from 0 at the start to 1 at the end.
    pub(crate) fn part(&self, position: f64) -> f64 {
        (position - self.start) / self.width()
    }

    /// The column of `count` in which a position lies; none outside.
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

/// The part that is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Range {
    /// All of it.
    All,
    /// So much of it, up to its end, wherever that goes.
    Latest(f64),
    /// This part.
    Fixed(Span),
}

/// The part that is asked for, within an axis that grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Viewport {
    pub(crate) axis: Axis,
    pub(crate) range: Range,
}

/// How much closer or further one press of a key goes.
pub(crate) const ZOOM: f64 = 2.0;
/// How far one press of a key pans, in widths of the picture.
pub(crate) const PAN: f64 = 0.25;
/// The closest that one can get, in widths of the whole.
const CLOSEST: f64 = 1e-9;

impl Viewport {
    pub(crate) fn new() -> Self {
        Viewport { axis: Axis::Step, range: Range::All }
    }

    /// What is to be drawn of an axis whose data reaches over `whole`; `limit` is where it will
    /// end, as far as that is known.
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

    /// Zooms by a factor, above 1 to see less: about a position, or about the newest where the
    /// picture follows it.
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

    /// Moves by so many widths to the right. What reaches the end follows it from then on.
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

    /// Follows the newest from now on, as closely as now.
    pub(crate) fn follow(&mut self, whole: Span) {
        if let Range::Fixed(span) = self.range {
            self.range = Range::Latest(span.width().min(whole.width()));
        }
    }

    /// Shows a position: moves only where it lies outside.
    pub(crate) fn reveal(&mut self, position: f64, whole: Span) {
        let span = self.span(whole, None);
        if !(span.start..=span.end).contains(&position) {
            let start = position - span.width() / 2.0;
            self.range = Range::Fixed(Span { start, end: start + span.width() });
        }
    }
}

/// All of it, up to a round number: so the picture moves in jerks now and then, and holds still in
/// between, and never leaves more than a tenth of it empty.
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
mod tests {
    use super::*;

    const WHOLE: Span = Span { start: 0.0, end: 1000.0 };

    #[test]
    fn round_numbers() {
        for (value, round) in [(1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (7.0, 10.0), (0.03, 0.05)] {
            assert!((round_up(value) - round).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn all_of_it_reaches_to_a_round_number_but_not_beyond_the_end() {
        let view = Viewport::new();
        let end = |end, limit| view.span(Span { start: 0.0, end }, limit).end;
        assert_eq!(end(1234.0, None), 1300.0);
        assert_eq!(end(1234.0, Some(1250.0)), 1250.0);
        assert_eq!(end(1234.0, Some(1000.0)), 1300.0);
        assert_eq!(end(0.0, None), 1.0);
    }

    #[test]
    fn zooming_in_follows_the_newest_and_out_again_shows_all() {
        let mut view = Viewport::new();
        view.zoom(ZOOM, None, WHOLE, 4.0);
        assert_eq!(view.range, Range::Latest(500.0));
        let later = Span { start: 0.0, end: 1990.0 };
        assert_eq!(view.span(later, None), Span { start: 1500.0, end: 2000.0 });
        view.zoom(1.0 / ZOOM, None, WHOLE, 4.0);
        assert_eq!(view.range, Range::All);
        for _ in 0..100 {
            view.zoom(ZOOM, None, WHOLE, 4.0);
        }
        assert_eq!(view.range, Range::Latest(4.0));
    }

    #[test]
    fn zooming_about_a_place_keeps_it_where_it_is() {
        let mut view = Viewport::new();
        view.zoom(ZOOM, Some(250.0), WHOLE, 4.0);
        assert_eq!(view.range, Range::Fixed(Span { start: 125.0, end: 625.0 }));
        assert_eq!(view.span(WHOLE, None).part(250.0), 0.25);
    }

    #[test]
    fn panning_stays_inside_and_follows_again_at_the_end() {
        let mut view = Viewport::new();
        view.pan(PAN, WHOLE);
        assert_eq!(view.range, Range::All, "there is nothing to pan to");
        view.range = Range::Latest(200.0);
        view.pan(-PAN, WHOLE);
        assert_eq!(view.range, Range::Fixed(Span { start: 750.0, end: 950.0 }));
        (0..100).for_each(|_| view.pan(-PAN, WHOLE));
        assert_eq!(view.range, Range::Fixed(Span { start: 0.0, end: 200.0 }));
        (0..100).for_each(|_| view.pan(PAN, WHOLE));
        assert_eq!(view.range, Range::Latest(200.0));
    }

    #[test]
    fn a_place_outside_is_revealed() {
        let mut view = Viewport { axis: Axis::Step, range: Range::Latest(100.0) };
        view.reveal(950.0, WHOLE);
        assert_eq!(view.range, Range::Latest(100.0));
        view.reveal(300.0, WHOLE);
        assert_eq!(view.range, Range::Fixed(Span { start: 250.0, end: 350.0 }));
        view.follow(WHOLE);
        assert_eq!(view.range, Range::Latest(100.0));
    }

    #[test]
    fn columns_and_positions_are_each_others_inverse() {
        let span = Span { start: 10.0, end: 20.0 };
        for column in 0..33 {
            assert_eq!(span.column(span.position(column, 33), 33), Some(column));
        }
        assert_eq!(span.column(9.9, 33), None);
        assert_eq!(span.column(15.0, 0), None);
        assert_eq!(span.column(f64::NAN, 33), None);
    }
}
