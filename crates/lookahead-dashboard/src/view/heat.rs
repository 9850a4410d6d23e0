//! The norms of the layers as a heat map: layers from top to bottom, time from left to right.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use super::cells::{cut, put, put_centered, width};
use super::cursor;
use super::layout::{MARGIN, names_margin};
use super::plot::{Plot, area_of_lines};
use super::scale::{Scale, ScaleOptions};
use crate::chart::Chart;
use crate::heat_map::{Colors, norm_of, rows, written};
use crate::model::Model;
use crate::run::layers::Norm;
use crate::theme::{Theme, ThemeName};

/// From the least to the greatest, as indices of the 256 colours of terminals: near viridis, which gets lighter
/// throughout.
const COLORS: [u8; 12] = [53, 54, 61, 24, 30, 36, 72, 77, 113, 148, 184, 220];
/// The same without colours.
const SHADES: [&str; 9] = [".", ":", "-", "=", "+", "*", "#", "%", "@"];

/// How a cell of this place on the scale, from 0 to 1, looks.
fn look(theme: &Theme, part: f64) -> (&'static str, Style) {
    let index = |count: usize| (part * (count - 1) as f64).round() as usize;
    if theme.name == ThemeName::None {
        return (SHADES[index(SHADES.len())], theme.plain);
    }
    (" ", theme.plain.bg(Color::Indexed(COLORS[index(COLORS.len())])))
}

/// Draws the colours, the cells, each layer's name at the right, and at the left its norm at the cursor or the newest.
pub(super) fn draw(model: &Model, chart: Chart, area: Rect, buffer: &mut Buffer) -> Option<Scale> {
    let theme = &model.theme;
    if model.run().layers.is_empty() {
        put_centered(buffer, area, "no probe with probe.layers = true yet", theme.dim);
        return None;
    }
    let first = Rect { height: 1.min(area.height), ..area };
    let below = Rect { y: area.y + first.height, height: area.height - first.height, ..area };
    let mut plot = area_of_lines(below);
    plot.width -= names_margin(model, chart, area.width).min(plot.width);
    let rows = rows(model, norm_of(chart), usize::from(plot.height), usize::from(plot.width));
    let Some(colors) = Colors::new(&rows, model.view.log_y) else {
        put_centered(buffer, area, "no finite value here", theme.dim);
        return None;
    };
    draw_colors(model, chart, &colors, rows.len(), first, buffer);
    let y_of = |row: usize| plot.y + (row * usize::from(plot.height) / rows.len()) as u16;
    for (index, row) in rows.iter().enumerate() {
        let (top, bottom) = (y_of(index), y_of(index + 1));
        for (cell, x) in row.cells.iter().zip(plot.left()..) {
            let Some(value) = cell else { continue };
            let (sign, style) = if value.is_finite() {
                look(theme, colors.part(*value))
            } else {
                ("×", theme.bad)
            };
            for y in top..bottom {
                put(buffer, plot, x, y, sign, style);
            }
        }
        let value = row.value.map(written).unwrap_or_default();
        let x = plot.x.saturating_sub(1 + width(&value)).max(area.x);
        put(buffer, area, x, top, &value, theme.plain);
        let name = cut(&row.name, area.right().saturating_sub(plot.right() + 1));
        put(buffer, area, plot.right() + 1, top, &name, theme.dim);
    }
    let scale = ScaleOptions::default().scale(None);
    let outside = Rect { width: (MARGIN + plot.width).min(below.width), ..below };
    let axes = Plot { theme, outside, area: plot, scale };
    axes.draw_x(buffer, model.view.viewport.axis, model.span());
    if let Some(step) = model.view.cursor {
        cursor::draw_line(model, step, plot, buffer);
    }
    None
}

/// What the norms are of, in a word.
fn quantity(chart: Chart) -> &'static str {
    match norm_of(chart) {
        Norm::Distance => "‖θ − φ‖",
        Norm::Gradient => "gradient",
    }
}

/// Draws what the colours mean, and how many layers share a row.
fn draw_colors(
    model: &Model,
    chart: Chart,
    colors: &Colors,
    rows: usize,
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = &model.theme;
    let mut x = put(buffer, area, area.x + 1, area.y, &written(colors.least), theme.plain) + 1;
    for index in 0..COLORS.len() {
        let (sign, style) = look(theme, index as f64 / (COLORS.len() - 1) as f64);
        x = put(buffer, area, x, area.y, sign, style);
    }
    x = put(buffer, area, x + 1, area.y, &written(colors.greatest), theme.plain) + 2;
    let layers = model.run().layers.names().len();
    let plural = if layers == 1 { "layer" } else { "layers" };
    let mut texts = vec![format!("{layers} {plural}")];
    if layers > rows {
        let full = format!("{layers} {plural} in {rows} rows, means of neighbours");
        let shorter = format!("{layers} {plural} in {rows} rows");
        texts = vec![full, shorter, format!("{layers} in {rows} rows")];
    }
    if model.runs.len() > 1 {
        texts.iter_mut().for_each(|text| *text += &format!(" of {}", model.run().name));
    }
    // Without a frame there is no title.
    if area.width == buffer.area.width {
        let quantity = quantity(chart);
        texts.iter_mut().for_each(|text| *text = format!("{quantity}, {text}"));
        texts.push(quantity.to_owned());
    }
    let room = area.right().saturating_sub(x);
    let text = texts.iter().find(|text| width(text) <= room).or(texts.last());
    put(buffer, area, x, area.y, text.map_or("", String::as_str), theme.dim);
}
