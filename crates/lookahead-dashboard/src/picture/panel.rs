//! What is drawn between the axes.

use plotters::prelude::DrawingBackend;

use super::heat;
use super::layout::{Frame, Scale};
use super::pen::{Ink, Pen, Spot};
use super::{Line, Marker, Panel, PictureError, Point};

/// The band of extremes next to its line.
const BAND: f64 = 0.2;

/// What a point adds to the range of the y axis. A point that breaks the line adds nothing.
pub(super) fn reach(point: &Point) -> [f64; 3] {
    if !point.y.is_finite() {
        return [f64::NAN; 3];
    }
    if point.low < point.high { [point.low, point.y, point.high] } else { [point.y; 3] }
}

/// The opacity that a line is drawn with; what is no number counts as opaque.
pub(super) fn opacity(line: &Line) -> f64 {
    if line.opacity.is_nan() { 1.0 } else { line.opacity.clamp(0.0, 1.0) }
}

fn ink(line: &Line) -> Ink {
    Ink { color: line.color, opacity: opacity(line) }
}

fn width(line: &Line, scale: Scale) -> f64 {
    f64::from(line.width.clamp(1, 20)) * scale.unit
}

/// A line in pixels.
#[derive(Debug, Default)]
struct Course {
    /// Unbroken parts.
    parts: Vec<Vec<Spot>>,
    /// The band of each part: x, upper and lower edge.
    bands: Vec<Vec<(f64, f64, f64)>>,
    /// Values that have no place, at the edge where they would be.
    crosses: Vec<Spot>,
}

impl Course {
    /// `row` is how many rows of × there are below that of this line.
    fn of(line: &Line, panel: &Panel, row: usize, frame: &Frame, scale: Scale) -> Course {
        let (plot, log) = (&frame.plot, panel.log_y);
        let inset = 6.0 * scale.unit;
        let lost = if panel.lost_below {
            plot.bottom - inset - row as f64 * LOST_ROW * scale.unit
        } else {
            plot.top + inset
        };
        let mut course = Course::default();
        let (mut part, mut band) = (Vec::new(), Vec::new());
        for point in &line.points {
            let placed = point.x.is_finite() && (!panel.log_x || point.x > 0.0);
            let x = if placed { frame.x.part(point.x) } else { None };
            let shown = point.y.is_finite() && (!log || point.y > 0.0);
            if point.gap_before || x.is_none() || !shown {
                course.parts.push(std::mem::take(&mut part));
                course.bands.push(std::mem::take(&mut band));
            }
            let Some(x) = x.map(|x| plot.x(x)) else { continue };
            let Some(y) = frame.y.part(point.y).filter(|_| shown) else {
                // Zero and less of a logarithm are below everything.
                let below = log && point.y <= 0.0 && point.y.is_finite();
                let y = if below { plot.bottom - inset } else { lost };
                course.crosses.push((x, y));
                continue;
            };
            part.push((x, plot.y(y)));
            let edge = |value: f64| {
                if log && value <= 0.0 { Some(0.0) } else { frame.y.part(value) }
            };
            let (low, high) = (edge(point.low), edge(point.high));
            match (low, high) {
                (Some(low), Some(high)) if point.low < point.high => {
                    band.push((x, plot.y(high), plot.y(low)));
                }
                _ => band.push((x, plot.y(y), plot.y(y))),
            }
        }
        course.parts.push(part);
        course.bands.push(band);
        course.parts.retain(|part| !part.is_empty());
        course.bands.retain(|band| band.iter().any(|(_, upper, lower)| upper < lower));
        course.crosses = apart(&course.crosses, 8.0 * scale.unit);
        course
    }
}

/// The height of a row of × in pixels of a picture of 1200 × 700.
pub(super) const LOST_ROW: f64 = 11.0;

/// Whether a line has a value that is marked by an × at the edge.
fn is_lost(line: &Line) -> bool {
    line.points.iter().any(|point| point.x.is_finite() && !point.y.is_finite())
}

/// How many rows of × stand at the bottom edge.
pub(super) fn lost_rows(panel: &Panel) -> usize {
    let lines = panel.lines.iter().filter(|line| panel.lost_below && is_lost(line));
    lines.count()
}

fn courses(panel: &Panel, frame: &Frame, scale: Scale) -> Vec<Course> {
    let mut rows = lost_rows(panel);
    panel
        .lines
        .iter()
        .map(|line| {
            // From the top, in the order of the legend.
            rows -= usize::from(panel.lost_below && is_lost(line));
            Course::of(line, panel, rows, frame, scale)
        })
        .collect()
}

/// What the points of a line stand for, as bars.
fn bars<B: DrawingBackend>(
    line: &Line,
    course: &Course,
    scale: Scale,
    pen: &mut Pen<'_, B>,
) -> Result<(), PictureError> {
    for spot in course.bands.iter().flatten().filter(|(_, upper, lower)| upper < lower) {
        bar(*spot, line, scale, pen)?;
    }
    Ok(())
}

fn bar<B: DrawingBackend>(
    (x, upper, lower): (f64, f64, f64),
    line: &Line,
    scale: Scale,
    pen: &mut Pen<'_, B>,
) -> Result<(), PictureError> {
    let (arm, width) = (4.0 * scale.unit, 1.5 * scale.unit);
    pen.stroke(&[(x, upper), (x, lower)], width, ink(line))?;
    for y in [upper, lower] {
        pen.stroke(&[(x - arm, y), (x + arm, y)], width, ink(line))?;
    }
    Ok(())
}

/// Spots of which no two neighbours are closer than that from left to right.
fn apart(spots: &[Spot], least: f64) -> Vec<Spot> {
    let mut kept: Vec<Spot> = Vec::new();
    for spot in spots {
        let near = |last: &Spot| (spot.0 - last.0).abs() < least && spot.1 == last.1;
        if !kept.last().is_some_and(near) {
            kept.push(*spot);
        }
    }
    kept
}

/// Spots all over what is drawn of the data, close enough that no legend fits between them.
pub(super) fn outline(panel: &Panel, frame: &Frame, scale: Scale) -> Vec<Spot> {
    let mut spots = Vec::new();
    let courses = courses(panel, frame, scale);
    let visible = panel.lines.iter().zip(courses).filter(|(line, _)| opacity(line) > 0.0);
    for (_, course) in visible {
        for part in &course.parts {
            spots.push(part[0]);
            for pair in part.windows(2) {
                spots.extend(between(pair[0], pair[1], 6.0 * scale.unit));
            }
        }
        for (x, upper, lower) in course.bands.iter().flatten() {
            spots.extend(between((*x, *upper), (*x, *lower), 6.0 * scale.unit));
        }
        spots.extend(course.crosses);
    }
    spots
}

/// Spots from one to the other, the first left out.
fn between(from: Spot, to: Spot, spacing: f64) -> impl Iterator<Item = Spot> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let count = (dx.hypot(dy) / spacing).ceil().max(1.0) as u32;
    (1..=count).map(move |index| {
        let part = f64::from(index) / f64::from(count);
        (from.0 + dx * part, from.1 + dy * part)
    })
}

/// Draws grid, data, frame and legend.
pub(super) fn draw<B: DrawingBackend>(
    panel: &Panel,
    frame: &Frame,
    scale: Scale,
    pen: &mut Pen<'_, B>,
) -> Result<(), PictureError> {
    let (plot, unit) = (&frame.plot, scale.unit);
    for tick in &frame.y.ticks {
        let y = plot.y(tick.part);
        let ink = if tick.label.is_some() { Ink::GRID } else { Ink::FAINT };
        pen.stroke(&[(plot.left, y), (plot.right, y)], unit, ink)?;
    }
    for tick in &frame.x.ticks {
        let x = plot.x(tick.part);
        if tick.label.is_none() {
            pen.stroke(&[(x, plot.top), (x, plot.bottom)], unit, Ink::FAINT)?;
            continue;
        }
        pen.stroke(&[(x, plot.top), (x, plot.bottom)], unit, Ink::GRID)?;
        pen.stroke(&[(x, plot.bottom), (x, plot.bottom + 4.0 * unit)], unit, Ink::FRAME)?;
    }
    if let Some(heat) = &panel.heat {
        heat::draw(heat, frame, scale, pen)?;
    }
    for mark in panel.marks.iter().filter(|mark| mark.x.is_finite()) {
        if let Some(part) = frame.x.part(mark.x) {
            let x = plot.x(part);
            let hairline = [(x, plot.top), (x, plot.bottom)];
            for dash in dashes(&hairline, 2.0 * unit, 3.0 * unit) {
                pen.stroke(&dash, unit, Ink::MARK)?;
            }
        }
    }
    let courses = courses(panel, frame, scale);
    for (line, course) in panel.lines.iter().zip(&courses) {
        if line.bars {
            bars(line, course, scale, pen)?;
            continue;
        }
        for band in &course.bands {
            let upper = band.iter().map(|(x, upper, _)| (*x, *upper));
            let lower = band.iter().rev().map(|(x, _, lower)| (*x, *lower));
            let edge: Vec<Spot> = upper.chain(lower).collect();
            let ink = Ink { color: line.color, opacity: opacity(line) * BAND };
            if band.len() == 1 {
                pen.stroke(&edge, width(line, scale), ink)?;
            } else {
                pen.fill(&edge, ink)?;
            }
        }
    }
    for (index, (line, course)) in panel.lines.iter().zip(&courses).enumerate() {
        for part in course.parts.iter().filter(|_| line.joined) {
            path(line, part, scale, pen)?;
        }
        // Markers of several lines would lie on each other where the lines meet.
        let first = index as f64 / panel.lines.len() as f64;
        let spots = match line.joined {
            true => marker_spots(&course.parts, plot.width(), first, scale),
            false => course.parts.iter().flatten().copied().collect(),
        };
        for spot in spots {
            marker(line, spot, scale, pen)?;
        }
    }
    let frame_line = [(plot.left, plot.top), (plot.left, plot.bottom), (plot.right, plot.bottom)];
    pen.stroke(&frame_line, 1.2 * unit, Ink::FRAME)?;
    // Last, so that no line covers them.
    for (line, course) in panel.lines.iter().zip(&courses) {
        let ink = Ink { opacity: opacity(line).max(0.6), ..ink(line) };
        for spot in &course.crosses {
            cross(*spot, 3.5 * unit, 1.6 * unit, ink, pen)?;
        }
    }
    if let Some(legend) = &frame.legend {
        legend.draw(panel, scale, pen)?;
    }
    Ok(())
}

/// Longest dashed line in pixels of a picture of 1200 × 700. A longer one goes up and down so much
/// that what falls between dashes would be missed.
const LONGEST_DASHED: f64 = 20_000.0;

fn path<B: DrawingBackend>(
    line: &Line,
    spots: &[Spot],
    scale: Scale,
    pen: &mut Pen<'_, B>,
) -> Result<(), PictureError> {
    let (width, ink) = (width(line, scale), ink(line));
    let length: f64 = spots.windows(2).map(|pair| distance(pair[0], pair[1])).sum();
    if !line.dashed || spots.len() < 2 || length > LONGEST_DASHED * scale.unit {
        // A dot as wide as the line would be lost.
        return if let [only] = spots {
            pen.disc(*only, width.max(1.5 * scale.unit), ink)
        } else {
            pen.stroke(spots, width, ink)
        };
    }
    // Round ends make a dash longer by the width of the line.
    for dash in dashes(spots, 7.0 * scale.unit, 4.0 * scale.unit + width) {
        pen.stroke(&dash, width, ink)?;
    }
    Ok(())
}

fn distance(from: Spot, to: Spot) -> f64 {
    (to.0 - from.0).hypot(to.1 - from.1)
}

/// The parts of a path that its dashes cover.
fn dashes(spots: &[Spot], on: f64, off: f64) -> Vec<Vec<Spot>> {
    let mut dashes = Vec::new();
    let mut dash: Vec<Spot> = spots.first().copied().into_iter().collect();
    let (mut drawn, mut left) = (true, on);
    for pair in spots.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        let mut length = distance(from, to);
        while length > left {
            let part = left / length;
            from = (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
            length -= left;
            if drawn {
                dash.push(from);
                dashes.push(std::mem::take(&mut dash));
            } else {
                dash.push(from);
            }
            drawn = !drawn;
            left = if drawn { on } else { off };
        }
        left -= length;
        if drawn {
            dash.push(to);
        }
    }
    if dash.len() > 1 {
        dashes.push(dash);
    }
    dashes
}

/// Where markers go: on every point if there are few, else about ten times along the line, and in
/// any case at its end. `first` says where the first one is, as a part of their spacing.
fn marker_spots(parts: &[Vec<Spot>], width: f64, first: f64, scale: Scale) -> Vec<Spot> {
    let spots: Vec<Spot> = parts.iter().flatten().copied().collect();
    let Some(end) = spots.last() else { return Vec::new() };
    let spacing = (width / 10.0).max(30.0 * scale.unit);
    let mut kept: Vec<Spot> = if spots.len() <= 24 && width / spots.len() as f64 > 12.0 * scale.unit
    {
        spots.clone()
    } else {
        let mut next = spots[0].0 + spacing * first;
        let mut kept = Vec::new();
        for spot in &spots {
            if spot.0 >= next {
                kept.push(*spot);
                next += spacing * ((spot.0 - next) / spacing + 1.0).floor();
            }
        }
        // Two on top of each other are no marker.
        while kept.last().is_some_and(|last: &Spot| (last.0 - end.0).abs() < spacing / 4.0) {
            kept.pop();
        }
        kept
    };
    if kept.last() != Some(end) {
        kept.push(*end);
    }
    kept
}

/// What a legend shows of a line.
pub(super) fn sample<B: DrawingBackend>(
    line: &Line,
    (x, y): Spot,
    length: f64,
    scale: Scale,
    pen: &mut Pen<'_, B>,
) -> Result<(), PictureError> {
    if line.joined {
        path(line, &[(x, y), (x + length, y)], scale, pen)?;
    }
    if line.bars {
        bar((x + length / 2.0, y - 0.22 * length, y + 0.22 * length), line, scale, pen)?;
    }
    marker(line, (x + length / 2.0, y), scale, pen)
}

fn cross<B: DrawingBackend>(
    (x, y): Spot,
    arm: f64,
    width: f64,
    ink: Ink,
    pen: &mut Pen<'_, B>,
) -> Result<(), PictureError> {
    pen.stroke(&[(x - arm, y - arm), (x + arm, y + arm)], width, ink)?;
    pen.stroke(&[(x - arm, y + arm), (x + arm, y - arm)], width, ink)
}

fn marker<B: DrawingBackend>(
    line: &Line,
    (x, y): Spot,
    scale: Scale,
    pen: &mut Pen<'_, B>,
) -> Result<(), PictureError> {
    let Some(shape) = line.marker else { return Ok(()) };
    let ink = ink(line);
    let radius = (3.2 + 0.6 * f64::from(line.width.clamp(1, 6))) * scale.unit;
    let stroke = 1.5 * scale.unit;
    let white = Ink { opacity: ink.opacity, ..Ink::WHITE };
    match shape {
        Marker::Disc => pen.disc((x, y), radius, ink),
        Marker::Circle => {
            pen.disc((x, y), radius, white)?;
            pen.ring((x, y), radius, stroke, ink)
        }
        Marker::Square => {
            // Of about the area of the disc.
            let half = radius * 0.88;
            pen.fill_box((x - half, y - half), (x + half, y + half), ink)
        }
        Marker::Triangle => {
            let (half, up, down) = (radius * 1.15, radius * 1.25, radius * 0.75);
            pen.fill(&[(x, y - up), (x + half, y + down), (x - half, y + down)], ink)
        }
        Marker::Cross => cross((x, y), radius * 0.9, stroke * 1.2, ink, pen),
        Marker::Diamond => {
            let half = radius * 1.2;
            let corners = [(x, y - half), (x + half, y), (x, y + half), (x - half, y)];
            pen.fill(&corners, white)?;
            pen.stroke(&[&corners[..], &corners[..1]].concat(), stroke, ink)
        }
    }
}
