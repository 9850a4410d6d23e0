//! Cells colored by a number, and the bar that explains the colors.

#[cfg(test)]
mod tests;

use crate::axis::Axis;
use crate::figure::{Heatmap, Rgb};
use crate::geometry::{Area, Axes, SMALL, TEXT};
use crate::svg::{Align, Style, Svg};
use crate::text;

/// From the least to the most: viridis (van der Walt and Smith, 2015) at eighths. It gets lighter
/// throughout, so that it has the same order without colors.
const COLORS: [Rgb; 9] = [
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
/// NaN and infinity.
const BLANK: Rgb = (214, 214, 214);
/// Smaller letters are left out.
const SMALLEST: f64 = 7.0;
/// The width of the bar, and the gap between it and its neighbors.
const WIDTH: f64 = 16.0;
const GAP: f64 = 8.0;

/// The color of a value, as a part of the range from the least to the most.
fn color(part: f64) -> Rgb {
    let place = part.clamp(0.0, 1.0) * (COLORS.len() - 1) as f64;
    let (from, to) = (COLORS[place.floor() as usize], COLORS[place.ceil() as usize]);
    let mixed = |from: u8, to: u8| {
        (f64::from(from) + (f64::from(to) - f64::from(from)) * place.fract()).round() as u8
    };
    (mixed(from.0, to.0), mixed(from.1, to.1), mixed(from.2, to.2))
}

/// Relative luminance (WCAG 2).
fn luminance((red, green, blue): Rgb) -> f64 {
    let linear = |part: u8| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

/// Black or white, whichever has the greater contrast.
fn text_on(ground: Rgb) -> Style {
    // (L + 0.05)² = 1.05 · 0.05, where black and white have equal contrast.
    if luminance(ground) > 0.179 { Style::solid((0, 0, 0)) } else { Style::WHITE }
}

/// The numbers beside the bar.
fn axis(heatmap: &Heatmap, height: f64) -> Axis {
    let values = heatmap.rows.iter().flatten().map(|cell| cell.value);
    Axis::new(values, false, 0.0, (height / 48.0) as usize)
}

/// Units at the right of the plot for the bar, its numbers and its label.
pub(crate) fn bar_room(heatmap: &Heatmap, height: f64) -> f64 {
    let numbers = axis(heatmap, height - 60.0).widest_label(SMALL);
    let label = if heatmap.label.is_empty() { 0.0 } else { 1.5 * TEXT };
    WIDTH + 2.0 * GAP + numbers + label
}

/// Draws the cells with their texts, and the bar, whose label ends at `right`.
pub(crate) fn draw(heatmap: &Heatmap, axes: &Axes, right: f64, svg: &mut Svg) {
    let plot = &axes.plot;
    let colors = axis(heatmap, plot.height());
    let edges = |axis: &Axis, index: usize| {
        let edge = |offset: f64| axis.part(index as f64 + offset);
        edge(-0.5).zip(edge(0.5)).filter(|(low, high)| high - low > 1e-9)
    };
    let cells = heatmap.rows.iter().flatten();
    let widest = cells.map(|cell| text::width(&cell.text, 1.0)).fold(1e-9, f64::max);
    for (row, cells) in heatmap.rows.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            let Some((x, y)) = edges(&axes.x, column).zip(edges(&axes.y, row)) else { continue };
            let part = Some(cell.value).filter(|value| value.is_finite());
            let fill = part.and_then(|value| colors.part(value)).map_or(BLANK, color);
            let (left, right) = (plot.x(x.0) + 1.0, plot.x(x.1) - 1.0);
            let (top, bottom) = (plot.y(y.1) + 1.0, plot.y(y.0) - 1.0);
            svg.rect((left, top), (right, bottom), Style::solid(fill));
            let (width, height) = (right - left, bottom - top);
            let em = (1.1 * SMALL).min(0.86 * width / widest).min(0.6 * height);
            if em >= SMALLEST {
                let middle = ((left + right) / 2.0, (top + bottom) / 2.0 + 0.365 * em);
                svg.text(middle, &text::clean(&cell.text), em, text_on(fill), Align::Middle);
            }
        }
    }
    let left = plot.right + GAP * 1.5;
    bar(heatmap, Area { left, right: left + WIDTH, ..*plot }, &colors, right, svg);
}

fn bar(heatmap: &Heatmap, area: Area, colors: &Axis, right: f64, svg: &mut Svg) {
    const STEPS: u32 = 64;
    for step in 0..STEPS {
        let part = |step: u32| f64::from(step) / f64::from(STEPS);
        // Each reaches under the next, or thin white lines would show between them.
        let upper = area.y(part(step + 1)) - if step + 1 < STEPS { 1.0 } else { 0.0 };
        let fill = Style::solid(color(part(step) + 0.5 / f64::from(STEPS)));
        svg.rect((area.left, upper), (area.right, area.y(part(step))), fill);
    }
    for (part, label) in colors.labels() {
        let (y, end) = (area.y(part), area.right + 4.0);
        svg.polyline(&[(area.right, y), (end, y)], 1.0, Style::FRAME);
        svg.text((end + 3.0, y + 0.365 * SMALL), label, SMALL, Style::SOFT, Align::Start);
    }
    let label = text::fit(&heatmap.label, TEXT, area.height());
    svg.upward((right - 0.3 * TEXT, area.y(0.5)), &label, TEXT, Style::TEXT);
}
