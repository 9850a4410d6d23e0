//! The places of titles, panels, axes and legends.

use crate::axis::Axis;
use crate::error::ChartError;
use crate::figure::{Figure, Panel};
use crate::geometry::{Area, Axes, SMALL, Size, TEXT, Xy};
use crate::svg::{Align, Style, Svg};
use crate::{heatmap, plot, text};

/// Ems of titles.
const PANEL_TITLE: f64 = 16.0;
const TITLE: f64 = 19.0;
/// Ems from one baseline to the next.
const ROW: f64 = 1.5;
const BORDER: f64 = 12.0;
/// The least height of a plot that still shows something.
const LEAST_PLOT: f64 = 40.0;
/// The part of a row that names at its left may take.
const WIDEST_NAME: f64 = 0.4;
/// The length of a line's sample in the legend, the gap between it and the name, and that between entries.
const SAMPLE: f64 = 30.0;
const GAP: f64 = 7.0;
const BETWEEN: f64 = 22.0;

/// The places of the parts of one panel.
struct Frame {
    /// All of the panel.
    row: Area,
    axes: Axes,
    legend: Vec<Entry>,
    note: Vec<String>,
}

/// A name in the legend.
struct Entry {
    /// The left end of its line's sample, and the baseline of its text.
    at: Xy,
    /// The index of its line; none for the count of lines for which there is no room.
    line: Option<usize>,
    text: String,
}

/// Draws a picture.
pub(crate) fn draw(figure: &Figure, size: Size) -> Result<String, ChartError> {
    if figure.panels.is_empty() {
        return Err(ChartError::NoPanels);
    }
    let (width, height) = units(size);
    let frames = frames(figure, size);
    if missing(&frames) > 0.0 {
        let (panels, height) = (figure.panels.len(), size.height);
        return Err(ChartError::TooLow { panels, height, needed: needed(figure, size) });
    }
    let mut svg = Svg::new(size, width, height);
    svg.rect((0.0, 0.0), (width, height), Style::WHITE);
    let title = text::fit(&figure.title, TITLE, width - 2.0 * BORDER);
    svg.text((width / 2.0, BORDER + TITLE), &title, TITLE, Style::TEXT, Align::Middle);
    for (panel, frame) in figure.panels.iter().zip(&frames) {
        plot::draw_grid(&frame.axes, &mut svg);
        if let Some(heatmap) = &panel.heatmap {
            heatmap::draw(heatmap, &frame.axes, frame.row.right, &mut svg);
        }
        plot::draw_lines(panel, &frame.axes, &mut svg);
        frame.draw(panel, &mut svg);
    }
    Ok(svg.finish())
}

/// Width and height in units. Letters grow with the picture, but less in a long and narrow one, and stay
/// readable.
fn units(size: Size) -> (f64, f64) {
    let usual = Size::default();
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    let area = width * height / f64::from(usual.width * usual.height);
    let unit = area.sqrt().min(width / 500.0).min(height / 300.0).max(0.6);
    (width / unit, height / unit)
}

/// The places of everything, whether there is room for it or not.
fn frames(figure: &Figure, size: Size) -> Vec<Frame> {
    let (width, height) = units(size);
    let top = BORDER + room(&figure.title, TITLE);
    let share = (height - top - BORDER) / figure.panels.len() as f64;
    let row = |index: usize| {
        let top = top + share * index as f64;
        let gap = if index + 1 < figure.panels.len() { BORDER } else { 0.0 };
        Area { left: BORDER, top, right: width - BORDER, bottom: top + share - gap }
    };
    let rows: Vec<(&Panel, Area)> =
        figure.panels.iter().enumerate().map(|(index, panel)| (panel, row(index))).collect();
    // One left edge for all, so that equal steps are below each other.
    let sides = rows.iter().map(|(panel, row)| side(panel, row)).fold(0.0, f64::max);
    let left = (BORDER + sides).min(width / 2.0);
    rows.into_iter().map(|(panel, row)| Frame::new(panel, row, left)).collect()
}

/// How much higher the picture must be.
fn missing(frames: &[Frame]) -> f64 {
    let missing = frames.iter().map(|frame| LEAST_PLOT - frame.axes.plot.height());
    missing.fold(0.0, f64::max) * frames.len() as f64
}

/// A height that has room for everything. Letters grow with the picture, so adding what is missing once is
/// not enough.
fn needed(figure: &Figure, size: Size) -> Option<u32> {
    let mut higher = size;
    while higher.height <= Size::MOST {
        let missing = missing(&frames(figure, higher));
        if missing <= 0.0 {
            return Some(higher.height);
        }
        let unit = f64::from(higher.width) / units(higher).0;
        higher.height += (missing * unit + 1.0).ceil() as u32;
    }
    None
}

/// The y axis of a panel for a plot of that height in a row of that width.
fn y_axis(panel: &Panel, height: f64, width: f64) -> Axis {
    if !panel.y_names.is_empty() {
        let fit = |name: &String| text::fit(name, SMALL, width * WIDEST_NAME);
        let names: Vec<String> = panel.y_names.iter().map(fit).collect();
        return Axis::named(&names, (height / (1.3 * SMALL)) as usize);
    }
    let points = panel.lines.iter().flat_map(|line| &line.points);
    let values = points
        .filter(|point| point.x.is_finite())
        .flat_map(plot::extent)
        .filter(|value| value.is_finite());
    let labels = (height / 48.0) as usize;
    if let Some((low, high)) = panel.y_ends {
        return Axis::new([low, high].into_iter(), panel.log_y, 0.05, labels);
    }
    let rows = plot::lost_rows(panel);
    if rows == 0 {
        return Axis::new(values, panel.log_y, 0.05, labels);
    }
    // Room for the rows of × below the data.
    let (lowest, highest) = values
        .clone()
        .filter(|value| !panel.log_y || *value > 0.0)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    let part = (plot::LOST_ROW * (rows as f64 + 0.5) / height.max(1.0)).min(0.4);
    let part = part / (1.0 - part);
    let room = if panel.log_y {
        lowest * (lowest / highest).powf(part)
    } else {
        lowest - (highest - lowest) * part
    };
    Axis::new(values.chain([room]), panel.log_y, 0.02, labels)
}

fn x_axis(panel: &Panel, width: f64) -> Axis {
    if !panel.x_names.is_empty() {
        return Axis::named(&panel.x_names, panel.x_names.len());
    }
    let values = panel.lines.iter().flat_map(|line| &line.points).map(|point| point.x);
    let values = values.chain(panel.x_ends.into_iter().flat_map(|(low, high)| [low, high]));
    // A point on the edge of the plot would be half a point.
    let margin = if panel.log_x { 0.03 } else { 0.01 };
    Axis::new(values, panel.log_x, margin, (width / 95.0) as usize)
}

/// Units at the left of a panel for the numbers and the label of its y axis.
fn side(panel: &Panel, row: &Area) -> f64 {
    let axis = y_axis(panel, row.height() - 60.0, row.width());
    room(&panel.y_label, TEXT) + axis.widest_label(SMALL) + 10.0
}

/// The height of a row for a text, 0 if it is empty.
fn room(label: &str, em: f64) -> f64 {
    if text::clean(label).is_empty() { 0.0 } else { ROW * em }
}

impl Frame {
    fn new(panel: &Panel, row: Area, left: f64) -> Frame {
        let note = panel.note.as_deref().unwrap_or("");
        let note = text::wrap(note, SMALL, row.right - left, 3);
        let below = ROW * SMALL * (1.0 + note.len() as f64) + room(&panel.x_label, TEXT);
        let bar = panel.heatmap.as_ref().map_or(0.0, |map| heatmap::bar_room(map, row.height()));
        // Half of the last number of the x axis is to the right of the plot.
        let right = row.right - 16.0 - bar;
        let top = row.top + room(&panel.title, PANEL_TITLE);
        let bottom = row.bottom - below;
        let most = bottom - top - LEAST_PLOT;
        let legend = if panel.legend { legend(panel, (left, top), right, most) } else { vec![] };
        let used = legend.last().map_or(0.0, |entry| entry.at.1 + 0.7 * SMALL - top);
        let plot = Area { left, top: top + used, right, bottom };
        let (x, y) = (x_axis(panel, plot.width()), y_axis(panel, plot.height(), row.width()));
        Frame { row, axes: Axes { plot, x, y }, legend, note }
    }

    /// Draws numbers, names and notes around the plot.
    fn draw(&self, panel: &Panel, svg: &mut Svg) {
        let Axes { plot, x, y } = &self.axes;
        let middle = plot.x(0.5);
        let title = text::fit(&panel.title, PANEL_TITLE, self.row.width());
        let at = (middle, self.row.top + PANEL_TITLE);
        svg.text(at, &title, PANEL_TITLE, Style::TEXT, Align::Middle);
        for (part, label) in y.labels() {
            // Digits are 0.73 em high.
            let at = (plot.left - 7.0, plot.y(part) + 0.365 * SMALL);
            svg.text(at, label, SMALL, Style::SOFT, Align::End);
        }
        let mut baseline = plot.bottom + 5.0 + SMALL;
        let mut end = f64::NEG_INFINITY;
        for (part, label) in x.labels() {
            let (at, half) = (plot.x(part), text::width(label, SMALL) / 2.0);
            // Long numbers may be wider than their spacing.
            if at - half > end && at + half <= self.row.right + 2.0 {
                svg.text((at, baseline), label, SMALL, Style::SOFT, Align::Middle);
                end = at + half + SMALL / 2.0;
            }
        }
        let label = text::fit(&panel.x_label, TEXT, plot.width());
        if !label.is_empty() {
            baseline += ROW * TEXT;
            svg.text((middle, baseline), &label, TEXT, Style::TEXT, Align::Middle);
        }
        for line in &self.note {
            baseline += ROW * SMALL;
            svg.text((plot.left, baseline), line, SMALL, Style::SOFT, Align::Start);
        }
        let label = text::fit(&panel.y_label, TEXT, plot.height().max(self.row.height() * 0.8));
        svg.upward((self.row.left + TEXT * 0.8, plot.y(0.5)), &label, TEXT, Style::TEXT);
        for entry in &self.legend {
            let (mut x, y) = entry.at;
            if let Some(index) = entry.line {
                plot::draw_sample(&panel.lines[index], (x, y - 0.36 * SMALL), SAMPLE, svg);
                x += SAMPLE + GAP;
            }
            svg.text((x, y), &entry.text, SMALL, Style::TEXT, Align::Start);
        }
    }
}

/// The legend in rows above the plot, at most `most` high.
fn legend(panel: &Panel, (left, top): Xy, right: f64, most: f64) -> Vec<Entry> {
    let names = panel.lines.iter().enumerate().filter(|(_, line)| line.in_legend);
    let names: Vec<(usize, String)> = names
        .map(|(index, line)| (index, text::fit(&line.name, SMALL, right - left - SAMPLE - GAP)))
        .filter(|(_, name)| !name.is_empty())
        .collect();
    let rows = (most / (ROW * SMALL)).floor().max(0.0) as usize;
    let (mut x, mut row) = (left, 0);
    let mut entries: Vec<Entry> = Vec::new();
    let count = names.len();
    for (line, text) in names {
        // Viewers that lack the font may have a somewhat wider one.
        let width = SAMPLE + GAP + 1.05 * text::width(&text, SMALL);
        if x > left && x + width > right {
            (x, row) = (left, row + 1);
        }
        if row >= rows {
            break;
        }
        let at = (x, top + (row as f64 * ROW + 1.1) * SMALL);
        entries.push(Entry { at, line: Some(line), text });
        x += width + BETWEEN;
    }
    let left_out = count - entries.len();
    if left_out > 0
        && let Some(last) = entries.last_mut()
    {
        (last.line, last.text) = (None, format!("… and {} more", left_out + 1));
    }
    entries
}
