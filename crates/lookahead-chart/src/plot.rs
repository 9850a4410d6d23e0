//! What is drawn between the axes.

use crate::clip::clip;
use crate::figure::{Line, Marker, Panel, Point};
use crate::geometry::{Area, Axes, Xy};
use crate::svg::{Style, Svg};

/// The opacity of a band, as a part of its line's.
const BAND: f64 = 0.2;
/// The height of a row of ×.
pub(crate) const LOST_ROW: f64 = 11.0;
/// The distance of × from the edge of the plot.
const INSET: f64 = 6.0;
/// Half the width of a triangle at the edge of the plot.
const BEYOND: f64 = 3.5;
/// Longest dashed line: a longer one goes up and down so much that the gaps would hide its course.
const LONGEST_DASHED: f64 = 20_000.0;

/// The values of a point that the y axis must show; NaN for a point that breaks the line.
pub(crate) fn extent(point: &Point) -> [f64; 3] {
    if !point.y.is_finite() {
        return [f64::NAN; 3];
    }
    if point.low < point.high { [point.low, point.y, point.high] } else { [point.y; 3] }
}

/// Whether an × at the edge marks a value of the line.
fn has_lost(line: &Line) -> bool {
    line.points.iter().any(|point| point.x.is_finite() && !point.y.is_finite())
}

/// The number of rows of × at the bottom edge.
pub(crate) fn lost_rows(panel: &Panel) -> usize {
    panel.lines.iter().filter(|line| panel.lost_below && has_lost(line)).count()
}

fn style(line: &Line) -> Style {
    let opacity = if line.opacity.is_nan() { 1.0 } else { line.opacity.clamp(0.0, 1.0) };
    Style { color: line.color, opacity }
}

/// The style of marks and samples, which are visible even if the line hardly is.
fn strong(line: &Line) -> Style {
    style(line).with_opacity(style(line).opacity.max(0.6))
}

fn width(line: &Line) -> f64 {
    f64::from(line.width.clamp(1, 20))
}

/// A line in the coordinates of the picture.
#[derive(Debug, Default)]
struct Placed {
    /// Unbroken parts.
    parts: Vec<Vec<Xy>>,
    /// The band of each part: x, upper and lower edge.
    bands: Vec<Vec<(f64, f64, f64)>>,
    /// Values without a place, at the edge where they would be.
    crosses: Vec<Xy>,
    /// Places at the edges beyond which there are values.
    beyond: Vec<Xy>,
}

impl Placed {
    /// `row` is the number of rows of × below that of this line.
    fn new(line: &Line, panel: &Panel, row: usize, axes: &Axes) -> Placed {
        let plot = &axes.plot;
        let lost = if panel.lost_below {
            plot.bottom - INSET - row as f64 * LOST_ROW
        } else {
            plot.top + INSET
        };
        let mut found = Placed::default();
        let (mut part, mut band) = (Vec::new(), Vec::new());
        for point in &line.points {
            let x = Some(point.x).filter(|x| x.is_finite() && (!panel.log_x || *x > 0.0));
            let x = x.and_then(|x| axes.x.part(x)).map(|x| plot.x(x));
            let has_place = point.y.is_finite() && (!panel.log_y || point.y > 0.0);
            if point.gap_before || x.is_none() || !has_place {
                found.parts.push(std::mem::take(&mut part));
                found.bands.push(std::mem::take(&mut band));
            }
            let Some(x) = x else { continue };
            let Some(y) = axes.y.part(point.y).filter(|_| has_place) else {
                // On a logarithmic axis zero and less are below everything.
                let below = panel.log_y && point.y <= 0.0 && point.y.is_finite();
                let cross = (x, if below { plot.bottom - INSET } else { lost });
                // Crosses on top of each other would be one blot.
                let close = |last: &Xy| (last.0 - x).abs() < 8.0 && last.1 == cross.1;
                if !found.crosses.last().is_some_and(close) {
                    found.crosses.push(cross);
                }
                continue;
            };
            match axes.y.unbounded_part(point.y).filter(|_| panel.y_ends.is_some()) {
                Some(unbounded) => {
                    part.push((x, plot.y(unbounded)));
                    found.mark_beyond(point, x, axes);
                }
                None => part.push((x, plot.y(y))),
            }
            let edge = |value: f64| {
                if panel.log_y && value <= 0.0 { Some(0.0) } else { axes.y.part(value) }
            };
            let extent = edge(point.low).zip(edge(point.high));
            let (low, high) = extent.filter(|_| point.low < point.high).unwrap_or((y, y));
            band.push((x, plot.y(high), plot.y(low)));
        }
        found.parts.push(part);
        found.bands.push(band);
        if panel.y_ends.is_some() {
            found.parts = found.parts.iter().flat_map(|part| clip(part, plot)).collect();
        }
        found.parts.retain(|part| !part.is_empty());
        found.bands.retain(|band| band.iter().any(|(_, upper, lower)| upper < lower));
        found
    }

    /// Adds marks for the extent of a point that lies beyond the plot.
    fn mark_beyond(&mut self, point: &Point, x: f64, axes: &Axes) {
        const ROUNDING: f64 = 1e-9;
        let Axes { plot, y, .. } = axes;
        let parts = extent(point).map(|value| y.unbounded_part(value));
        let edges = parts.into_iter().flatten().filter_map(|part| match part {
            part if part > 1.0 + ROUNDING => Some(plot.top),
            part if part < -ROUNDING => Some(plot.bottom),
            _ => None,
        });
        for edge in edges {
            let last = self.beyond.iter().rev().find(|last| last.1 == edge);
            // Marks on top of each other would be one bar.
            if last.is_none_or(|last| (last.0 - x).abs() >= 3.0 * BEYOND) {
                self.beyond.push((x, edge));
            }
        }
    }

    /// Draws triangles that point out of the plot.
    fn draw_beyond(&self, line: &Line, plot: &Area, svg: &mut Svg) {
        for (x, edge) in &self.beyond {
            let tip = if *edge == plot.top { plot.top + 1.0 } else { plot.bottom - 1.0 };
            let base = if *edge == plot.top { tip + 1.6 * BEYOND } else { tip - 1.6 * BEYOND };
            svg.polygon(&[(*x, tip), (x + BEYOND, base), (x - BEYOND, base)], strong(line));
        }
    }

    /// Draws the bands or the error bars.
    fn draw_extent(&self, line: &Line, svg: &mut Svg) {
        if line.bars {
            let all = self.bands.iter().flatten().filter(|(_, upper, lower)| upper < lower);
            all.for_each(|bar| error_bar(*bar, line, svg));
            return;
        }
        let style = style(line).with_opacity(style(line).opacity * BAND);
        for band in &self.bands {
            let upper = band.iter().map(|(x, upper, _)| (*x, *upper));
            let lower = band.iter().rev().map(|(x, _, lower)| (*x, *lower));
            let edge: Vec<Xy> = upper.chain(lower).collect();
            match band.len() {
                1 => svg.polyline(&edge, width(line), style),
                _ => svg.polygon(&edge, style),
            }
        }
    }

    /// Draws the line and its markers; `first` is the place of the first marker, as a part of their spacing.
    fn draw(&self, line: &Line, plot_width: f64, first: f64, svg: &mut Svg) {
        for part in self.parts.iter().filter(|_| line.joined) {
            path(line, part, svg);
        }
        let points: Vec<Xy> = self.parts.iter().flatten().copied().collect();
        let points = if line.joined { spaced(&points, plot_width, first) } else { points };
        points.into_iter().for_each(|at| marker(line, at, svg));
    }
}

/// Draws the lines of the grid.
pub(crate) fn draw_grid(axes: &Axes, svg: &mut Svg) {
    let plot = &axes.plot;
    let grid = |is_labeled: bool| if is_labeled { Style::GRID } else { Style::FAINT };
    for tick in &axes.y.ticks {
        let (y, style) = (plot.y(tick.part), grid(tick.label.is_some()));
        svg.polyline(&[(plot.left, y), (plot.right, y)], 1.0, style);
    }
    for tick in &axes.x.ticks {
        let (x, style) = (plot.x(tick.part), grid(tick.label.is_some()));
        svg.polyline(&[(x, plot.top), (x, plot.bottom)], 1.0, style);
        if tick.label.is_some() {
            svg.polyline(&[(x, plot.bottom), (x, plot.bottom + 4.0)], 1.0, Style::FRAME);
        }
    }
}

/// Draws the data and the lines of the axes.
pub(crate) fn draw_lines(panel: &Panel, axes: &Axes, svg: &mut Svg) {
    let plot = &axes.plot;
    let mut rows = lost_rows(panel);
    let placed = |line| {
        // From the top, in the order of the legend.
        rows -= usize::from(panel.lost_below && has_lost(line));
        (line, Placed::new(line, panel, rows, axes))
    };
    let lines: Vec<(&Line, Placed)> = panel.lines.iter().map(placed).collect();
    lines.iter().for_each(|(line, placed)| placed.draw_extent(line, svg));
    for (index, (line, placed)) in lines.iter().enumerate() {
        // Markers of several lines would be on top of each other where the lines meet.
        placed.draw(line, plot.width(), index as f64 / lines.len() as f64, svg);
    }
    let frame = [(plot.left, plot.top), (plot.left, plot.bottom), (plot.right, plot.bottom)];
    svg.polyline(&frame, 1.2, Style::FRAME);
    // Last, so that no line covers them.
    for (line, placed) in &lines {
        placed.crosses.iter().for_each(|at| cross(*at, 3.5, 1.6, strong(line), svg));
        placed.draw_beyond(line, plot, svg);
    }
}

fn path(line: &Line, points: &[Xy], svg: &mut Svg) {
    if let [only] = points {
        // A dot as wide as the line would hardly be seen.
        return svg.disc(*only, width(line).max(1.5), style(line));
    }
    let length = |pair: &[Xy]| (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1);
    let dashed = line.dashed && points.windows(2).map(length).sum::<f64>() <= LONGEST_DASHED;
    // Round ends make a dash longer by the width of the line.
    let dashes = if dashed { format!("7 {}", 4.0 + width(line)) } else { String::new() };
    svg.dashed(points, width(line), style(line), &dashes);
}

/// The places of markers: every point if there are few, otherwise about ten along the line and its end.
fn spaced(points: &[Xy], width: f64, first: f64) -> Vec<Xy> {
    let Some(end) = points.last() else { return Vec::new() };
    if points.len() <= 24 && width / points.len() as f64 > 12.0 {
        return points.to_vec();
    }
    let spacing = (width / 10.0).max(30.0);
    let mut next = points[0].0 + spacing * first;
    let mut kept: Vec<Xy> = Vec::new();
    for point in points {
        if point.0 >= next && (end.0 - point.0).abs() >= spacing / 4.0 {
            kept.push(*point);
            next += spacing * ((point.0 - next) / spacing + 1.0).floor();
        }
    }
    kept.push(*end);
    kept
}

/// Draws the sample of a line in the legend.
pub(crate) fn draw_sample(line: &Line, (x, y): Xy, length: f64, svg: &mut Svg) {
    let line = Line { opacity: strong(line).opacity, points: Vec::new(), ..line.clone() };
    let middle = x + length / 2.0;
    if line.joined {
        path(&line, &[(x, y), (x + length, y)], svg);
    }
    if line.bars {
        error_bar((middle, y - 0.22 * length, y + 0.22 * length), &line, svg);
    }
    marker(&line, (middle, y), svg);
}

fn error_bar((x, upper, lower): (f64, f64, f64), line: &Line, svg: &mut Svg) {
    const HALF: f64 = 4.0;
    let (width, style) = (width(line).min(1.5), style(line));
    svg.polyline(&[(x, upper), (x, lower)], width, style);
    for y in [upper, lower] {
        svg.polyline(&[(x - HALF, y), (x + HALF, y)], width, style);
    }
}

fn cross((x, y): Xy, arm: f64, width: f64, style: Style, svg: &mut Svg) {
    svg.polyline(&[(x - arm, y - arm), (x + arm, y + arm)], width, style);
    svg.polyline(&[(x - arm, y + arm), (x + arm, y - arm)], width, style);
}

fn marker(line: &Line, (x, y): Xy, svg: &mut Svg) {
    const EDGE: f64 = 1.5;
    let Some(shape) = line.marker else { return };
    let style = style(line);
    let radius = 3.2 + 0.6 * width(line).min(6.0);
    let mut polygon = |corners: &[Xy]| {
        if line.open {
            svg.polygon(corners, Style::WHITE.with_opacity(style.opacity));
            svg.polyline(&[corners, &corners[..1]].concat(), EDGE, style);
        } else {
            svg.polygon(corners, style);
        }
    };
    match shape {
        Marker::Disc if !line.open => svg.disc((x, y), radius, style),
        Marker::Disc | Marker::Circle => svg.ring((x, y), radius, EDGE, style),
        Marker::Square => {
            // About the area of the disc.
            let half = radius * 0.88;
            let (left, right, top, bottom) = (x - half, x + half, y - half, y + half);
            polygon(&[(left, top), (right, top), (right, bottom), (left, bottom)]);
        }
        Marker::Triangle => {
            let (half, up, down) = (radius * 1.15, radius * 1.25, radius * 0.75);
            polygon(&[(x, y - up), (x + half, y + down), (x - half, y + down)]);
        }
        Marker::Diamond => {
            let half = radius * 1.2;
            polygon(&[(x, y - half), (x + half, y), (x, y + half), (x - half, y)]);
        }
        Marker::Cross => cross((x, y), radius * 0.9, EDGE * 1.2, style, svg),
    }
}
