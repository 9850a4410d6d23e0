//! Where titles, panels, axes and legends go.

use plotters::prelude::DrawingBackend;

use super::axis::Axis;
use super::font;
use super::heat::Bar;
use super::legend::{self, Legend};
use super::panel;
use super::pen::{Align, Ink, Label, Pen, Spot};
use super::{Figure, Mark, Panel, PictureError, Size};

/// Lengths at the size of the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// One pixel of a picture of 1200 × 700.
    pub(super) unit: f64,
}

impl Scale {
    fn of(size: Size) -> Scale {
        let usual = Size::default();
        let (width, height) = (f64::from(size.width), f64::from(size.height));
        let area = width * height / f64::from(usual.width * usual.height);
        // Long and narrow pictures have less room for letters than their area says; and below some
        // size nobody can read them.
        Scale { unit: area.sqrt().min(width / 500.0).min(height / 300.0).max(0.6) }
    }

    pub(super) fn text(self) -> f64 {
        14.0 * self.unit
    }

    pub(super) fn small(self) -> f64 {
        12.0 * self.unit
    }

    fn border(self) -> f64 {
        12.0 * self.unit
    }

    fn title(self) -> f64 {
        19.0 * self.unit
    }

    fn panel_title(self) -> f64 {
        16.0 * self.unit
    }
}

/// A rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub(super) fn x(&self, part: f64) -> f64 {
        self.left + part * self.width()
    }

    pub(super) fn y(&self, part: f64) -> f64 {
        self.bottom - part * self.height()
    }

    pub(super) fn holds(&self, (x, y): Spot) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }
}

/// Lower than this a curve has no course.
const LEAST_PLOT: f64 = 40.0;
/// Rows of names of marks above the axes.
const MARK_ROWS: usize = 3;

/// The title's baseline is that many ems below the top of its row, which is so many ems high.
const BASELINE: f64 = 1.0;
const ROW: f64 = 1.5;

/// Draws the whole picture.
pub(super) fn draw<B: DrawingBackend>(
    figure: &Figure,
    size: Size,
    pen: &mut Pen<'_, B>,
) -> Result<(), PictureError> {
    if figure.panels.is_empty() {
        return Err(PictureError::NoPanels);
    }
    let scale = Scale::of(size);
    let frames = frames(figure, size);
    if missing(&frames, scale) > 0.0 {
        let (panels, height) = (figure.panels.len(), size.height);
        return Err(PictureError::TooLow { panels, height, needed: needed(figure, size) });
    }
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    pen.fill_box((0.0, 0.0), (width, height), Ink::WHITE)?;
    let em = scale.title();
    let text = &title(figure, size);
    let label = Label { text, em, ink: Ink::TEXT, align: Align::Middle, upward: false };
    pen.text((width / 2.0, scale.border() + BASELINE * em), label)?;
    for (panel, frame) in figure.panels.iter().zip(&frames) {
        panel::draw(panel, frame, scale, pen)?;
        frame.write(panel, scale, pen)?;
    }
    Ok(())
}

fn title(figure: &Figure, size: Size) -> String {
    let scale = Scale::of(size);
    font::fit(&figure.title, scale.title(), f64::from(size.width) - 2.0 * scale.border())
}

/// Where everything is, whether there is room for it or not.
fn frames(figure: &Figure, size: Size) -> Vec<Frame> {
    let scale = Scale::of(size);
    let border = scale.border();
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    let titled = !title(figure, size).is_empty();
    let top = border + if titled { ROW * scale.title() } else { 0.0 };
    let share = (height - top - border) / figure.panels.len() as f64;
    let rows: Vec<Area> = (0..figure.panels.len())
        .map(|index| {
            let top = top + share * index as f64;
            // Some air between the panels, beyond what their titles have.
            let air = if index + 1 < figure.panels.len() { border } else { 0.0 };
            Area { left: border, top, right: width - border, bottom: top + share - air }
        })
        .collect();
    // One left edge for all, so that what is below each other belongs to the same step.
    let sides = figure.panels.iter().zip(&rows).map(|(panel, row)| side(panel, row, scale));
    let left = (border + sides.fold(0.0, f64::max)).min(width / 2.0);
    figure.panels.iter().zip(rows).map(|(panel, row)| Frame::new(panel, row, left, scale)).collect()
}

/// By how much the height of the whole picture falls short.
fn missing(frames: &[Frame], scale: Scale) -> f64 {
    let least = LEAST_PLOT * scale.unit;
    let missing = frames.iter().map(|frame| least - frame.plot.height()).fold(0.0, f64::max);
    missing * frames.len() as f64
}

/// A height that has room for everything. Letters grow with the picture, so that it is not enough
/// to add what is missing once.
fn needed(figure: &Figure, size: Size) -> Option<u32> {
    let mut height = f64::from(size.height);
    loop {
        let higher = Size { height: height as u32, ..size };
        let missing = missing(&frames(figure, higher), Scale::of(higher));
        if missing <= 0.0 {
            return Some(higher.height);
        }
        height = (height + missing + 1.0).ceil();
        if height > f64::from(Size::MOST) {
            return None;
        }
    }
}

/// The y axis of a panel for a plot of that height in a row of that width.
fn y_axis(panel: &Panel, height: f64, width: f64, scale: Scale) -> Axis {
    if !panel.y_names.is_empty() {
        let fit = |name: &String| font::fit(name, scale.small(), width * WIDEST_NAME);
        let names: Vec<String> = panel.y_names.iter().map(fit).collect();
        return Axis::named(&names, (height / (1.3 * scale.small())) as usize);
    }
    let values = panel.lines.iter().flat_map(|line| &line.points);
    let values = values
        .filter(|point| point.x.is_finite())
        .flat_map(panel::reach)
        .filter(|value| value.is_finite());
    let labels = (height / (48.0 * scale.unit)) as usize;
    let rows = panel::lost_rows(panel);
    if rows == 0 {
        return Axis::new(values, panel.log_y, 0.05, labels);
    }
    // Below the data there is room for the rows of ×.
    let (lowest, highest) = values
        .clone()
        .filter(|value| !panel.log_y || *value > 0.0)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    let part = (panel::LOST_ROW * scale.unit * (rows as f64 + 0.5) / height.max(1.0)).min(0.4);
    let part = part / (1.0 - part);
    let room = match panel.log_y {
        true => lowest * (lowest / highest).powf(part),
        false => lowest - (highest - lowest) * part,
    };
    Axis::new(values.chain([room]), panel.log_y, 0.02, labels)
}

/// The part of a row that names at its left may take.
const WIDEST_NAME: f64 = 0.4;

fn x_axis(panel: &Panel, width: f64, scale: Scale) -> Axis {
    let values = panel.lines.iter().flat_map(|line| &line.points).map(|point| point.x);
    let values = values.chain(panel.marks.iter().map(|mark| mark.x));
    let values = values.chain(panel.x_ends.into_iter().flat_map(|(low, high)| [low, high]));
    if !panel.x_names.is_empty() {
        return Axis::named(&panel.x_names, panel.x_names.len());
    }
    // A point of a sweep on the frame itself would be half a point.
    let margin = if panel.log_x { 0.03 } else { 0.01 };
    Axis::new(values, panel.log_x, margin, (width / (95.0 * scale.unit)) as usize)
}

/// Pixels at the left of a panel for the numbers and the name of its y axis.
fn side(panel: &Panel, row: &Area, scale: Scale) -> f64 {
    let ticks = y_axis(panel, row.height() - 60.0 * scale.unit, row.width(), scale).ticks;
    let numbers = ticks.iter().filter_map(|tick| tick.label.as_deref());
    let numbers = numbers.map(|text| font::width(text, scale.small())).fold(0.0, f64::max);
    let label = if font::clean(&panel.y_label).is_empty() { 0.0 } else { ROW * scale.text() };
    label + numbers + 10.0 * scale.unit
}

/// Where the parts of one panel are.
pub(super) struct Frame {
    /// All that the panel has.
    row: Area,
    /// What is between the axes.
    pub(super) plot: Area,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) legend: Option<Legend>,
    /// Names of marks: their middle, row from the plot upwards, and text.
    names: Vec<(f64, usize, String)>,
    note: Vec<String>,
    /// What tells the colours of cells.
    pub(super) bar: Option<Bar>,
}

impl Frame {
    fn new(panel: &Panel, row: Area, left: f64, scale: Scale) -> Frame {
        let (text, small) = (scale.text(), scale.small());
        let note = panel.note.as_deref().unwrap_or("");
        let note = font::wrap(note, small, row.right - left, 3);
        let mut below = ROW * small + ROW * small * note.len() as f64;
        if !font::clean(&panel.x_label).is_empty() {
            below += ROW * text;
        }
        // Half of the last number of the x axis stands out to the right.
        let bar = panel.heat.as_ref().map_or(0.0, |heat| Bar::room(heat, row.height(), scale));
        let right = row.right - 16.0 * scale.unit - bar;
        let mut plot = Area { left, top: row.top, right, bottom: row.bottom - below };
        if !font::clean(&panel.title).is_empty() {
            plot.top += ROW * scale.panel_title();
        }
        let x = x_axis(panel, plot.width(), scale);
        let names = mark_names(&panel.marks, &x, &plot, scale);
        let mark_rows = names.iter().map(|(_, row, _)| row + 1).max().unwrap_or(0);
        plot.top += mark_rows as f64 * 1.3 * small;
        let mut frame = Frame {
            row,
            y: y_axis(panel, plot.height(), row.width(), scale),
            bar: panel.heat.as_ref().map(|heat| Bar::new(heat, &plot, row.right, scale)),
            plot,
            x,
            legend: None,
            names,
            note,
        };
        if panel.legend && frame.plot.height() > 0.0 {
            frame.legend = legend::in_corner(panel, &frame, scale);
            if frame.legend.is_none() {
                let top =
                    row.top + if panel.title.is_empty() { 0.0 } else { ROW * scale.panel_title() };
                let most = frame.plot.height() - LEAST_PLOT * scale.unit;
                frame.legend = legend::above(panel, left, right, top, most, scale);
                let height = frame.legend.as_ref().map_or(0.0, |legend| legend.area.height());
                frame.plot.top += height;
                frame.y = y_axis(panel, frame.plot.height(), row.width(), scale);
            }
        }
        frame
    }

    /// Numbers, names and notes around the plot.
    fn write<B: DrawingBackend>(
        &self,
        panel: &Panel,
        scale: Scale,
        pen: &mut Pen<'_, B>,
    ) -> Result<(), PictureError> {
        let (text, small, plot) = (scale.text(), scale.small(), &self.plot);
        let soft = |text, align| Label { text, em: small, ink: Ink::SOFT, align, upward: false };
        let strong =
            |text, em| Label { text, em, ink: Ink::TEXT, align: Align::Middle, upward: false };
        let em = scale.panel_title();
        let title = font::fit(&panel.title, em, self.row.width());
        let middle = plot.x(0.5);
        pen.text((middle, self.row.top + BASELINE * em), strong(&title, em))?;
        for tick in &self.y.ticks {
            let Some(label) = &tick.label else { continue };
            // Digits are 0.73 em high.
            let spot = (plot.left - 7.0 * scale.unit, plot.y(tick.part) + 0.365 * small);
            pen.text(spot, soft(label, Align::End))?;
        }
        let mut baseline = plot.bottom + 5.0 * scale.unit + BASELINE * small;
        let mut end = f64::NEG_INFINITY;
        for tick in &self.x.ticks {
            let Some(label) = &tick.label else { continue };
            let half = font::width(label, small) / 2.0;
            let at = plot.x(tick.part);
            // Long numbers may be wider than their spacing.
            if at - half > end && at + half <= self.row.right + 2.0 * scale.unit {
                pen.text((at, baseline), soft(label, Align::Middle))?;
                end = at + half + small / 2.0;
            }
        }
        let label = font::fit(&panel.x_label, text, plot.width());
        if !label.is_empty() {
            baseline += ROW * text;
            pen.text((middle, baseline), strong(&label, text))?;
        }
        for line in &self.note {
            baseline += ROW * small;
            pen.text((plot.left, baseline), soft(line, Align::Start))?;
        }
        let label = font::fit(&panel.y_label, text, plot.height().max(self.row.height() * 0.8));
        let spot = (self.row.left + BASELINE * text * 0.8, (plot.top + plot.bottom) / 2.0);
        pen.text(spot, Label { upward: true, ..strong(&label, text) })?;
        if let Some(bar) = &self.bar {
            bar.write(scale, pen)?;
        }
        for (middle, row, text) in &self.names {
            let baseline = plot.top - (*row as f64 * 1.3 + 0.4) * small;
            pen.text((*middle, baseline), soft(text, Align::Middle))?;
        }
        Ok(())
    }
}

/// Names of marks, each in the lowest row where it lies on no other.
fn mark_names(marks: &[Mark], x: &Axis, plot: &Area, scale: Scale) -> Vec<(f64, usize, String)> {
    let small = scale.small();
    let mut names: Vec<(f64, usize, String)> = Vec::new();
    let mut taken: [Vec<(f64, f64)>; MARK_ROWS] = Default::default();
    for mark in marks {
        let text = font::fit(&mark.text, small, plot.width() / 3.0);
        let Some(part) = Some(mark.x).filter(|x| x.is_finite()).and_then(|at| x.part(at)) else {
            continue;
        };
        if text.is_empty() {
            continue;
        }
        let half = font::width(&text, small) / 2.0;
        let middle =
            plot.x(part).clamp(plot.left + half, (plot.right - half).max(plot.left + half));
        let (start, end) = (middle - half - small / 3.0, middle + half + small / 3.0);
        let free = |row: &Vec<(f64, f64)>| row.iter().all(|other| end < other.0 || start > other.1);
        if let Some(row) = taken.iter().position(free) {
            taken[row].push((start, end));
            names.push((middle, row, text));
        }
    }
    names
}
