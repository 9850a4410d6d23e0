//! Figures of formulas and measurements.

use lookahead_chart::{Figure, Line, Panel, Point, series};

/// A line of the `index`th name.
fn look(index: usize, name: &str) -> Line {
    let (color, marker) = series(index);
    Line { name: name.into(), color, marker: Some(marker), ..Line::default() }
}

/// A curve computed from a formula.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Curve {
    /// Its name in the legend; curves and measurements of one name have one colour.
    pub(crate) name: String,
    /// x and y.
    pub(crate) points: Vec<(f64, f64)>,
    /// Whether it is dashed.
    pub(crate) dashed: bool,
}

/// Points that were measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Measured {
    /// Their name in the legend.
    pub(crate) name: String,
    /// x, least, mean and greatest; the bar reaches from the least to the greatest.
    pub(crate) points: Vec<(f64, f64, f64, f64)>,
}

/// The axes of a figure of curves and measurements.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Axes {
    /// The title.
    pub(crate) title: String,
    /// What the horizontal axis shows.
    pub(crate) x_label: String,
    /// What the vertical axis shows.
    pub(crate) y_label: String,
    /// Whether the horizontal axis is logarithmic.
    pub(crate) log_x: bool,
    /// Whether the vertical axis is logarithmic.
    pub(crate) log_y: bool,
    /// Small print below.
    pub(crate) note: Option<String>,
}

/// Predictions as lines, measurements as points with error bars.
pub(crate) fn curves_and_points(axes: Axes, curves: &[Curve], measured: &[Measured]) -> Figure {
    let mut names: Vec<&str> = Vec::new();
    for name in curves.iter().map(|curve| &curve.name).chain(measured.iter().map(|of| &of.name)) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let place = |name: &str| names.iter().position(|known| *known == name).unwrap_or(0);
    let mut lines: Vec<Line> = curves
        .iter()
        .map(|curve| Line {
            points: curve.points.iter().map(|(x, y)| Point::new(*x, *y)).collect(),
            dashed: curve.dashed,
            marker: None,
            // The points of that name are in the legend.
            in_legend: !measured.iter().any(|of| of.name == curve.name),
            ..look(place(&curve.name), curve.name.as_str())
        })
        .collect();
    lines.extend(measured.iter().map(|of| {
        Line {
            points: of
                .points
                .iter()
                .map(|(x, low, y, high)| Point {
                    x: *x,
                    low: *low,
                    high: *high,
                    y: *y,
                    gap_before: false,
                })
                .collect(),
            joined: false,
            bars: true,
            ..look(place(&of.name), of.name.as_str())
        }
    }));
    let Axes { title, x_label, y_label, log_x, log_y, note } = axes;
    let panel =
        Panel { x_label, y_label, log_x, log_y, lines, legend: true, note, ..Panel::default() };
    Figure { title, panels: vec![panel] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_and_points_of_one_name_share_color_and_legend_entry() {
        let names = ["k = 5", "k = 20"];
        let curve = |name: &str| Curve { name: name.into(), ..Curve::default() };
        let points = |name: &str| Measured { name: name.into(), ..Measured::default() };
        let figure = curves_and_points(Axes::default(), &names.map(curve), &names.map(points));
        let lines = &figure.panels[0].lines;
        let in_legend = lines.iter().filter(|line| line.in_legend).map(|line| line.name.as_str());
        assert_eq!(in_legend.collect::<Vec<_>>(), names);
        assert_eq!(lines[0].color, lines[2].color);
        assert_ne!(lines[0].color, lines[1].color);
        assert!(lines[0].joined && !lines[2].joined && lines[2].bars);
    }
}
