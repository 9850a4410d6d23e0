//! Cells coloured by a number, and the bar that tells which colour is which.

use plotters::prelude::DrawingBackend;

use super::axis::Axis;
use super::font;
use super::layout::{Area, Frame, Scale};
use super::pen::{Align, Ink, Label, Pen};
use super::{Cell, Heat, PictureError};

/// From the least to the most: viridis (van der Walt and Smith, 2015) at eighths. It gets lighter all
/// the way, so that colour-blind eyes and printers without colours see the same order.
const COLORS: [(u8, u8, u8); 9] = [
    (68, 1, 84),
    (71, 45, 123),
    (59, 82, 139),
    (44, 114, 142),
    (33, 145, 140),
    (40, 174, 128),
    (94, 201, 98),
    (173, 220, 48),
    (253, 231, 37),
];
/// What has no number.
const BLANK: (u8, u8, u8) = (214, 214, 214);

/// Smallest letters, in pixels of a picture of 1200 × 700.
const SMALLEST: f64 = 7.0;
/// The width of the bar, and what lies between it and the cells, its numbers and its label.
const WIDTH: f64 = 16.0;
const GAP: f64 = 8.0;

/// The colour at a part of the way from the least to the most.
fn color(part: f64) -> (u8, u8, u8) {
    let place = part.clamp(0.0, 1.0) * (COLORS.len() - 1) as f64;
    let (from, to) = (COLORS[place.floor() as usize], COLORS[place.ceil() as usize]);
    let mixed = |from: u8, to: u8| {
        (f64::from(from) + (f64::from(to) - f64::from(from)) * place.fract()).round() as u8
    };
    (mixed(from.0, to.0), mixed(from.1, to.1), mixed(from.2, to.2))
}

/// Black or white, whichever has the greater contrast (WCAG 2, relative luminance).
fn text_on((red, green, blue): (u8, u8, u8)) -> Ink {
    let linear = |part: u8| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
    // (L + 0.05)² = 1.05 · 0.05, where black and white have equal contrast.
    if luminance > 0.179 { Ink::solid((0, 0, 0)) } else { Ink::WHITE }
}

fn cells(heat: &Heat) -> impl Iterator<Item = &Cell> + Clone {
    heat.rows.iter().flatten()
}

fn axis(heat: &Heat, height: f64, scale: Scale) -> Axis {
    let values = cells(heat).map(|cell| cell.value);
    Axis::new(values, false, 0.0, (height / (48.0 * scale.unit)) as usize)
}

/// The bar beside the cells.
#[derive(Debug)]
pub(super) struct Bar {
    area: Area,
    axis: Axis,
    label: String,
    /// The right edge of all.
    right: f64,
}

impl Bar {
    /// Pixels at the right that a bar needs for itself, its numbers and its label.
    pub(super) fn room(heat: &Heat, height: f64, scale: Scale) -> f64 {
        let ticks = axis(heat, height - 60.0 * scale.unit, scale).ticks;
        let numbers = ticks.iter().filter_map(|tick| tick.label.as_deref());
        let numbers = numbers.map(|text| font::width(text, scale.small())).fold(0.0, f64::max);
        let label = if heat.label.is_empty() { 0.0 } else { 1.5 * scale.text() };
        (WIDTH + 2.0 * GAP) * scale.unit + numbers + label
    }

    pub(super) fn new(heat: &Heat, plot: &Area, right: f64, scale: Scale) -> Bar {
        let left = plot.right + GAP * 1.5 * scale.unit;
        let area = Area { left, right: left + WIDTH * scale.unit, ..*plot };
        let label = font::fit(&heat.label, scale.text(), plot.height().max(0.0));
        Bar { area, axis: axis(heat, plot.height(), scale), label, right }
    }

    pub(super) fn write<B: DrawingBackend>(
        &self,
        scale: Scale,
        pen: &mut Pen<'_, B>,
    ) -> Result<(), PictureError> {
        let (area, small, unit) = (&self.area, scale.small(), scale.unit);
        const STEPS: u32 = 64;
        for step in 0..STEPS {
            let part = |step: u32| f64::from(step) / f64::from(STEPS);
            // Each reaches under the next, lest hairs of white show between them.
            let upper = area.y(part(step + 1)) - if step + 1 < STEPS { unit } else { 0.0 };
            let ink = Ink::solid(color(part(step) + 0.5 / f64::from(STEPS)));
            pen.fill_box((area.left, upper), (area.right, area.y(part(step))), ink)?;
        }
        for tick in &self.axis.ticks {
            let Some(text) = &tick.label else { continue };
            let y = area.y(tick.part);
            let end = area.right + 4.0 * unit;
            pen.stroke(&[(area.right, y), (end, y)], unit, Ink::FRAME)?;
            let (em, ink, align) = (small, Ink::SOFT, Align::Start);
            let label = Label { text, em, ink, align, upward: false };
            pen.text((end + 3.0 * unit, y + 0.365 * small), label)?;
        }
        let (em, ink, align) = (scale.text(), Ink::TEXT, Align::Middle);
        let label = Label { text: &self.label, em, ink, align, upward: true };
        pen.text((self.right - 0.3 * em, area.y(0.5)), label)
    }
}

/// Draws the cells with their texts.
pub(super) fn draw<B: DrawingBackend>(
    heat: &Heat,
    frame: &Frame,
    scale: Scale,
    pen: &mut Pen<'_, B>,
) -> Result<(), PictureError> {
    let Some(bar) = &frame.bar else { return Ok(()) };
    let (plot, unit) = (&frame.plot, scale.unit);
    let edges = |axis: &Axis, place: usize| {
        let edge = |offset: f64| axis.part(place as f64 + offset);
        edge(-0.5).zip(edge(0.5)).filter(|(low, high)| high - low > 1e-9)
    };
    let columns = heat.rows.iter().map(Vec::len).max().unwrap_or(0);
    let (Some(width), Some(height)) = (edges(&frame.x, 0), edges(&frame.y, 0)) else {
        return Ok(());
    };
    let width = (width.1 - width.0) * plot.width() - 2.0 * unit;
    let height = (height.1 - height.0) * plot.height() - 2.0 * unit;
    let widest = cells(heat).map(|cell| font::width(&cell.text, 1.0)).fold(0.0, f64::max);
    let em = (1.1 * scale.small()).min(0.86 * width / widest.max(1e-9)).min(0.6 * height);
    for (row, line) in heat.rows.iter().enumerate() {
        for (column, cell) in line.iter().enumerate().take(columns) {
            let Some((x, y)) = edges(&frame.x, column).zip(edges(&frame.y, row)) else { continue };
            let part = Some(cell.value).filter(|value| value.is_finite());
            let fill = part.and_then(|value| bar.axis.part(value)).map_or(BLANK, color);
            let (left, right) = (plot.x(x.0) + unit, plot.x(x.1) - unit);
            let (top, bottom) = (plot.y(y.1) + unit, plot.y(y.0) - unit);
            pen.fill_box((left, top), (right, bottom), Ink::solid(fill))?;
            if em >= SMALLEST * unit {
                let text = &font::clean(&cell.text);
                let ink = text_on(fill);
                let label = Label { text, em, ink, align: Align::Middle, upward: false };
                pen.text(((left + right) / 2.0, (top + bottom) / 2.0 + 0.365 * em), label)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance((red, green, blue): (u8, u8, u8)) -> f64 {
        0.2126 * f64::from(red) + 0.7152 * f64::from(green) + 0.0722 * f64::from(blue)
    }

    #[test]
    fn colours_get_lighter_all_the_way() {
        let all: Vec<f64> =
            (0..=100).map(|part| luminance(color(f64::from(part) / 100.0))).collect();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
        assert_eq!([color(-3.0), color(1.0), color(0.5)], [COLORS[0], COLORS[8], COLORS[4]]);
    }

    #[test]
    fn a_text_can_be_read_on_every_colour() {
        let channel = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let light = |rgb: (u8, u8, u8)| {
            0.2126 * channel(rgb.0) + 0.7152 * channel(rgb.1) + 0.0722 * channel(rgb.2)
        };
        for ground in (0..=100).map(|part| color(f64::from(part) / 100.0)).chain([BLANK]) {
            let (a, b) = (light(ground), light(text_on(ground).color));
            let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
            assert!(contrast >= 4.5, "{ground:?} {contrast}");
        }
    }
}
