//! The data of a picture.

/// Red, green and blue.
pub type Rgb = (u8, u8, u8);

/// Colors that color-blind readers can tell apart (Okabe and Ito, 2008): black, orange, sky blue,
/// bluish green, yellow, blue, vermilion, reddish purple.
pub const PALETTE: [Rgb; 8] = [
    (0, 0, 0),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
];

/// The color and the marker of one of several lines, by its index; the most visible come first.
pub fn series(index: usize) -> (Rgb, Marker) {
    const COLORS: [usize; 7] = [5, 6, 3, 7, 1, 2, 0];
    const MARKERS: [Marker; 6] = [
        Marker::Disc,
        Marker::Triangle,
        Marker::Square,
        Marker::Diamond,
        Marker::Circle,
        Marker::Cross,
    ];
    (PALETTE[COLORS[index % COLORS.len()]], MARKERS[index % MARKERS.len()])
}

/// A picture of one or more panels, one below the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figure {
    /// Printed above all panels; may be empty.
    pub title: String,
    /// From top to bottom.
    pub panels: Vec<Panel>,
}

/// One pair of axes, and what is drawn between them. Empty titles and labels are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Panel {
    /// Printed above the panel.
    pub title: String,
    /// What the horizontal axis shows.
    pub x_label: String,
    /// What the vertical axis shows.
    pub y_label: String,
    /// Whether the vertical axis is logarithmic. A value of zero or below then breaks the line, and an ×
    /// at the bottom edge marks it.
    pub log_y: bool,
    /// Whether the horizontal axis is logarithmic. A point whose `x` is zero or below breaks the line.
    pub log_x: bool,
    /// A range that the horizontal axis covers at least, so that several panels show the same steps.
    pub x_ends: Option<(f64, f64)>,
    /// The range of the vertical axis, for example [`usual_range`](crate::usual_range), or all values if
    /// none. Lines are cut off at its ends, and a small triangle at the edge marks what lies beyond.
    pub y_ends: Option<(f64, f64)>,
    /// Names at 0, 1, 2 … of the horizontal axis instead of numbers; numbers if empty.
    pub x_names: Vec<String>,
    /// The same for the vertical axis, from the bottom to the top.
    pub y_names: Vec<String>,
    /// Whether the × of values that are NaN or infinite are at the bottom edge, in a row for each line, rather
    /// than at the top: for metrics of which more is better.
    pub lost_below: bool,
    /// Colored cells below the lines, one for each pair of names.
    pub heatmap: Option<Heatmap>,
    /// The lines, a later one over an earlier one.
    pub lines: Vec<Line>,
    /// Whether a legend above the axes names the lines.
    pub legend: bool,
    /// Small print below the panel.
    pub note: Option<String>,
}

/// A series of points, joined in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Its color.
    pub color: Rgb,
    /// Its width in pixels of a picture of 1200 × 700, from 1 to 20.
    pub width: u32,
    /// Whether it is dashed. A line so jagged that dashes would hide its course is drawn solid.
    pub dashed: bool,
    /// From 0, invisible, to 1.
    pub opacity: f64,
    /// Drawn at intervals along the line and at its end, so that lines differ without colors; at every
    /// point of a line that is not joined.
    pub marker: Option<Marker>,
    /// Whether the marker is an outline, to tell two lines of one color and one marker apart.
    pub open: bool,
    /// Whether its points are joined.
    pub joined: bool,
    /// Whether the extent of its points is drawn as error bars rather than as a band.
    pub bars: bool,
    /// Its data.
    pub points: Vec<Point>,
    /// Whether the legend includes it.
    pub in_legend: bool,
}

impl Default for Line {
    fn default() -> Self {
        Line {
            name: String::new(),
            color: PALETTE[0],
            width: 2,
            dashed: false,
            opacity: 1.0,
            marker: None,
            open: false,
            joined: true,
            bars: false,
            points: Vec::new(),
            in_legend: true,
        }
    }
}

/// One point of a line. One whose `y` is not finite breaks the line, and an × at the edge marks it; one
/// whose `x` is not finite only breaks the line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Its place on the horizontal axis.
    pub x: f64,
    /// The least value that it summarizes.
    pub low: f64,
    /// The greatest value that it summarizes.
    pub high: f64,
    /// The value through which the line goes.
    pub y: f64,
    /// Whether the line is broken before this point.
    pub gap_before: bool,
}

impl Point {
    /// A point of a single value.
    pub fn new(x: f64, y: f64) -> Self {
        Point { x, low: y, high: y, y, gap_before: false }
    }
}

/// Cells in rows and columns, colored by a number, with a bar that explains the colors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heatmap {
    /// Rows from the bottom to the top, cells from left to right. Missing cells stay blank.
    pub rows: Vec<Vec<Cell>>,
    /// What the number is; printed beside the bar.
    pub label: String,
}

/// One cell of a [`Heatmap`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// Chooses the color; NaN and infinity are grey.
    pub value: f64,
    /// Printed in the cell, if the texts of all cells fit.
    pub text: String,
}

/// Shapes that tell lines apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// A ring.
    Circle,
    /// A filled circle.
    Disc,
    /// A filled square.
    Square,
    /// A filled triangle.
    Triangle,
    /// Two crossing strokes.
    Cross,
    /// A filled square on its corner.
    Diamond,
}
