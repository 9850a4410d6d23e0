//! Strokes, areas and texts in fractions of pixels, on any backend.

use plotters::prelude::{DrawingBackend, RGBColor};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color, FontDesc, FontFamily, FontStyle, FontTransform, ShapeStyle, TextStyle,
};

use super::PictureError;
use super::font;

/// Backends count in whole numbers; so many of them make one pixel.
pub(super) const FINE: f64 = 10.0;
/// plotters writes an SVG's text with an em of the font's size divided by this.
pub(super) const SIZE_OF_EM: f64 = 1.24;
/// plotters puts the baseline of a text that hangs from a point so many ems below the point.
pub(super) const HANG: f64 = 0.76;

/// Pixels from the left and from the top.
pub(super) type Spot = (f64, f64);

/// How something is coloured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ink {
    pub(super) color: (u8, u8, u8),
    pub(super) opacity: f64,
}

impl Ink {
    pub(super) const WHITE: Ink = Ink::solid((255, 255, 255));
    /// Titles and labels.
    pub(super) const TEXT: Ink = Ink::solid((38, 38, 38));
    /// Numbers at the axes and notes.
    pub(super) const SOFT: Ink = Ink::solid((85, 85, 85));
    /// The lines of the axes.
    pub(super) const FRAME: Ink = Ink::solid((120, 120, 120));
    pub(super) const MARK: Ink = Ink::solid((140, 140, 140));
    pub(super) const GRID: Ink = Ink::solid((228, 228, 228));
    pub(super) const FAINT: Ink = Ink::solid((243, 243, 243));

    pub(super) const fn solid(color: (u8, u8, u8)) -> Ink {
        Ink { color, opacity: 1.0 }
    }

    fn style(self) -> ShapeStyle {
        let (red, green, blue) = self.color;
        ShapeStyle::from(RGBColor(red, green, blue).mix(self.opacity)).filled()
    }
}

/// On which side of its place a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Start,
    Middle,
    End,
}

/// A text and how it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label<'a> {
    pub(super) text: &'a str,
    pub(super) em: f64,
    pub(super) ink: Ink,
    pub(super) align: Align,
    /// Whether it runs from the bottom to the top.
    pub(super) upward: bool,
}

/// What draws.
pub(super) struct Pen<'a, B: DrawingBackend> {
    pub(super) backend: &'a mut B,
}

fn fine((x, y): Spot) -> (i32, i32) {
    ((x * FINE).round() as i32, (y * FINE).round() as i32)
}

fn refused(cause: impl std::fmt::Display) -> PictureError {
    PictureError::Draw { cause: cause.to_string() }
}

impl<B: DrawingBackend> Pen<'_, B> {
    /// A line through all spots; a single one becomes a dot.
    pub(super) fn stroke(
        &mut self,
        spots: &[Spot],
        width: f64,
        ink: Ink,
    ) -> Result<(), PictureError> {
        let mut path: Vec<_> = spots.iter().copied().map(fine).collect();
        path.dedup();
        if let [only] = path[..] {
            let radius = ((width / 2.0) * FINE).round().max(1.0) as u32;
            return self.backend.draw_circle(only, radius, &ink.style(), true).map_err(refused);
        }
        let style = ink.style().stroke_width((width * FINE).round().max(1.0) as u32);
        self.backend.draw_path(path, &style).map_err(refused)
    }

    /// The area within the spots.
    pub(super) fn fill(&mut self, spots: &[Spot], ink: Ink) -> Result<(), PictureError> {
        let mut path: Vec<_> = spots.iter().copied().map(fine).collect();
        path.dedup();
        self.backend.fill_polygon(path, &ink.style()).map_err(refused)
    }

    /// A rectangle from its upper left to its lower right corner.
    pub(super) fn fill_box(&mut self, from: Spot, to: Spot, ink: Ink) -> Result<(), PictureError> {
        self.backend.draw_rect(fine(from), fine(to), &ink.style(), true).map_err(refused)
    }

    pub(super) fn disc(&mut self, center: Spot, radius: f64, ink: Ink) -> Result<(), PictureError> {
        let radius = (radius * FINE).round() as u32;
        self.backend.draw_circle(fine(center), radius, &ink.style(), true).map_err(refused)
    }

    pub(super) fn ring(
        &mut self,
        center: Spot,
        radius: f64,
        width: f64,
        ink: Ink,
    ) -> Result<(), PictureError> {
        let style = ink.style().stroke_width((width * FINE).round().max(1.0) as u32);
        let radius = (radius * FINE).round() as u32;
        self.backend.draw_circle(fine(center), radius, &style, false).map_err(refused)
    }

    /// A text whose baseline goes through the spot.
    pub(super) fn text(&mut self, spot: Spot, label: Label<'_>) -> Result<(), PictureError> {
        if label.text.is_empty() {
            return Ok(());
        }
        let size = label.em * FINE * SIZE_OF_EM;
        let turn = if label.upward { FontTransform::Rotate270 } else { FontTransform::None };
        let family = FontFamily::Name(font::FAMILY);
        let side = match label.align {
            Align::Start => HPos::Left,
            Align::Middle => HPos::Center,
            Align::End => HPos::Right,
        };
        let (red, green, blue) = label.ink.color;
        let color = RGBColor(red, green, blue).mix(label.ink.opacity);
        let style = TextStyle::from(FontDesc::new(family, size, FontStyle::Normal).transform(turn))
            .color(&color)
            .pos(Pos::new(side, VPos::Top));
        let hang = HANG * label.em;
        let spot = if label.upward { (spot.0 - hang, spot.1) } else { (spot.0, spot.1 - hang) };
        self.backend.draw_text(label.text, &style, fine(spot)).map_err(refused)
    }
}
