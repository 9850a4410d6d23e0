//! Names of lines, where they hide nothing.

use plotters::prelude::DrawingBackend;

use super::font;
use super::layout::{Area, Frame, Scale};
use super::panel;
use super::pen::{Align, Ink, Label, Pen, Spot};
use super::{Line, Panel, PictureError};

/// The names, and where each one stands.
#[derive(Debug)]
pub(super) struct Legend {
    /// All that it needs.
    pub(super) area: Area,
    /// Whether it stands on the plot, and so has a ground of its own.
    boxed: bool,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// The left end of its line's sample, and the baseline of its text.
    spot: Spot,
    /// Which of the panel's lines it names; none for what had no room.
    line: Option<usize>,
    text: String,
}

/// What an entry has of its line, and what lies between this and the name.
const SAMPLE: f64 = 30.0;
const GAP: f64 = 7.0;
const ROW: f64 = 1.5;

/// The lines that are to be named.
fn named(panel: &Panel, most: f64, scale: Scale) -> Vec<(usize, String)> {
    let room = most - (SAMPLE + GAP) * scale.unit;
    let lines = panel.lines.iter().enumerate().filter(|(_, line)| line.in_legend);
    lines
        .map(|(index, line)| (index, font::fit(&line.name, scale.small(), room)))
        .filter(|(_, text)| !text.is_empty())
        .collect()
}

/// A legend in a corner of the plot, if there is one free of data.
pub(super) fn in_corner(panel: &Panel, frame: &Frame, scale: Scale) -> Option<Legend> {
    let (plot, em) = (&frame.plot, scale.small());
    let names = named(panel, plot.width() * 0.5, scale);
    let widest = names.iter().map(|(_, text)| font::width(text, em)).reduce(f64::max)?;
    let pad = 7.0 * scale.unit;
    // Viewers that lack the font may have a somewhat wider one.
    let width = 1.05 * widest + (SAMPLE + GAP) * scale.unit + 2.0 * pad;
    let height = names.len() as f64 * ROW * em + 1.2 * pad;
    let off = 9.0 * scale.unit;
    if width + 2.0 * off > plot.width() || height + 2.0 * off > plot.height() * 0.8 {
        return None;
    }
    let data = panel::outline(panel, frame, scale);
    // A falling loss leaves the upper right free, a rising accuracy the lower right.
    let corners = [(true, true), (true, false), (false, false), (false, true)];
    let area = corners.into_iter().find_map(|(right, upper)| {
        let left = if right { plot.right - off - width } else { plot.left + off };
        let top = if upper { plot.top + off } else { plot.bottom - off - height };
        let area = Area { left, top, right: left + width, bottom: top + height };
        let around = Area {
            left: left - off,
            top: top - off,
            right: area.right + off,
            bottom: area.bottom + off,
        };
        data.iter().all(|spot| !around.holds(*spot)).then_some(area)
    })?;
    let entries = names
        .into_iter()
        .enumerate()
        .map(|(row, (line, text))| {
            let y = area.top + 0.6 * pad + (row as f64 * ROW + 1.1) * em;
            Entry { spot: (area.left + pad, y), line: Some(line), text }
        })
        .collect();
    Some(Legend { area, boxed: true, entries })
}

/// A legend in rows between the title and the plot, at most that high.
pub(super) fn above(
    panel: &Panel,
    left: f64,
    right: f64,
    top: f64,
    most: f64,
    scale: Scale,
) -> Option<Legend> {
    let em = scale.small();
    let names = named(panel, right - left, scale);
    let rows = (most / (ROW * em)).floor().max(0.0) as usize;
    let sample = (SAMPLE + GAP) * scale.unit;
    let between = 22.0 * scale.unit;
    let (mut x, mut row) = (left, 0);
    let mut entries: Vec<Entry> = Vec::new();
    let count = names.len();
    for (line, text) in names {
        let width = sample + 1.05 * font::width(&text, em);
        if x > left && x + width > right {
            (x, row) = (left, row + 1);
        }
        if row >= rows {
            break;
        }
        let spot = (x, top + (row as f64 * ROW + 1.1) * em);
        entries.push(Entry { spot, line: Some(line), text });
        x += width + between;
    }
    let left_out = count - entries.len();
    if left_out > 0
        && let Some(last) = entries.last_mut()
    {
        // The last one gives way to the word on what is missing.
        last.line = None;
        last.text = format!("… and {} more", left_out + 1);
    }
    let used = entries.last().map(|entry| entry.spot.1)?;
    let area = Area { left, top, right, bottom: used + 0.7 * em };
    Some(Legend { area, boxed: false, entries })
}

impl Legend {
    pub(super) fn draw<B: DrawingBackend>(
        &self,
        panel: &Panel,
        scale: Scale,
        pen: &mut Pen<'_, B>,
    ) -> Result<(), PictureError> {
        let (em, unit) = (scale.small(), scale.unit);
        if self.boxed {
            let Area { left, top, right, bottom } = self.area;
            pen.fill_box((left, top), (right, bottom), Ink::WHITE)?;
            let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
            pen.stroke(&corners, unit, Ink::GRID)?;
        }
        for entry in &self.entries {
            let (x, y) = entry.spot;
            let middle = y - 0.36 * em;
            let mut start = x;
            if let Some(index) = entry.line {
                // Even a line that is hardly visible alone has a sample that is.
                let line = &panel.lines[index];
                let opacity = panel::opacity(line).max(0.6);
                let line = Line { opacity, points: Vec::new(), ..line.clone() };
                panel::sample(&line, (x, middle), SAMPLE * unit, scale, pen)?;
                start += (SAMPLE + GAP) * unit;
            }
            let align = Align::Start;
            let label = Label { text: &entry.text, em, ink: Ink::TEXT, align, upward: false };
            pen.text((start, y), label)?;
        }
        Ok(())
    }
}
