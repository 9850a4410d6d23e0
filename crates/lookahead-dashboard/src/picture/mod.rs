//! Figures as SVG or PNG, and terminal screens as SVG, without fonts or libraries of the system.
//!
//! [`render`] gives the bytes of a picture, [`save`] puts them into a file. Everything is laid out
//! for [`Size`] 1200 × 700 and grows and shrinks with the size, so that a larger picture is the same
//! one in finer detail. The same figure gives the same bytes.
//!
//! | module | what is in it |
//! |---|---|
//! | `layout`, `panel`, `legend` | where things go, what is drawn of the data, what the lines are called |
//! | `axis` | ranges, ticks, and how these are written |
//! | `heat` | cells coloured by a number, and the bar that tells which colour is which |
//! | `pen`, `smooth`, `font` | strokes and texts on either backend, and the antialiased pixels of one |
//! | [`screen`] | a terminal's screen |
//!
//! ```
//! use lookahead_dashboard::picture::{self, Figure, Format, Line, PALETTE, Panel, Point, Size};
//!
//! let points = (1..100).map(|step| Point::new(f64::from(step), 1.0 / f64::from(step))).collect();
//! let line = Line { name: "loss".into(), color: PALETTE[5], points, ..Line::default() };
//! let panel = Panel { x_label: "step".into(), lines: vec![line], log_y: true, ..Panel::default() };
//! let figure = Figure { title: "A run".into(), panels: vec![panel] };
//! let svg = picture::render(&figure, Format::Svg, Size::default())?;
//! assert!(svg.starts_with(b"<svg"));
//! # Ok::<(), picture::PictureError>(())
//! ```

mod axis;
mod error;
mod file;
mod font;
mod heat;
mod layout;
mod legend;
mod panel;
mod pen;
pub mod screen;
mod smooth;
#[cfg(test)]
mod tests;

pub use error::PictureError;
pub use file::{render, save};

use std::path::Path;

/// Colours that stay apart for colour-blind eyes (Okabe and Ito, 2008): black, orange, sky blue,
/// bluish green, yellow, blue, vermilion, reddish purple.
pub const PALETTE: [(u8, u8, u8); 8] = [
    (0, 0, 0),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
];

/// The colour and the marker of one of several lines, by its place among them: what is seen best comes
/// first.
pub fn series(index: usize) -> ((u8, u8, u8), Marker) {
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
    /// Stands above all panels; none if empty.
    pub title: String,
    /// From top to bottom.
    pub panels: Vec<Panel>,
}

/// One pair of axes, and what is drawn between them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Panel {
    /// Stands above the panel; none if empty.
    pub title: String,
    /// What the horizontal axis shows; nothing if empty.
    pub x_label: String,
    /// What the vertical axis shows; nothing if empty.
    pub y_label: String,
    /// Whether the vertical axis is logarithmic. Values of zero and below then have no place: they
    /// break the line, and a small × at the bottom edge stands for them.
    pub log_y: bool,
    /// Whether the horizontal axis is logarithmic. A point whose `x` is zero or below then has no
    /// place, and only breaks the line.
    pub log_x: bool,
    /// Ends that the horizontal axis has at least, whatever the data: so that panels below each other
    /// show the same steps.
    pub x_ends: Option<(f64, f64)>,
    /// Names at 0, 1, 2 and so on of the horizontal axis, in the place of numbers; numbers if empty.
    pub x_names: Vec<String>,
    /// Names of the vertical axis, in the same way, from the bottom to the top.
    pub y_names: Vec<String>,
    /// Whether the × for values that are not finite stand at the bottom edge, where each line has a
    /// row of its own, rather than at the top: for numbers of which more is better.
    pub lost_below: bool,
    /// Coloured cells below the lines, one for each pair of names.
    pub heat: Option<Heat>,
    /// What is drawn, a later line over an earlier one.
    pub lines: Vec<Line>,
    /// Places on the horizontal axis that have a name.
    pub marks: Vec<Mark>,
    /// Whether lines are named: in a corner that is free of data, or else above the axes.
    pub legend: bool,
    /// Small print below the panel.
    pub note: Option<String>,
}

/// A series of points, joined in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What the legend calls it.
    pub name: String,
    /// Red, green and blue.
    pub color: (u8, u8, u8),
    /// In pixels of a picture of 1200 × 700, from 1 to 20.
    pub width: u32,
    /// Whether it is dashed; a line so jagged that dashes would hide its course is drawn solid.
    pub dashed: bool,
    /// From 0, which is invisible, to 1.
    pub opacity: f64,
    /// What is drawn every so often along the line and at its end, so that lines can be told apart
    /// without colours; on every point of a line that is not joined.
    pub marker: Option<Marker>,
    /// Whether its points are joined.
    pub joined: bool,
    /// Whether what its points stand for is drawn as bars with ends rather than as a band.
    pub bars: bool,
    /// Its data.
    pub points: Vec<Point>,
    /// Whether the legend of the panel has it.
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
            joined: true,
            bars: false,
            points: Vec::new(),
            in_legend: true,
        }
    }
}

/// One point of a line. One whose `y` is not finite breaks the line, and a small × at the top edge
/// stands for it; one whose `x` is not finite only breaks the line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Where it lies from left to right.
    pub x: f64,
    /// The least of what the point stands for.
    pub low: f64,
    /// The most of what the point stands for; where it is above `low`, a pale band covers both.
    pub high: f64,
    /// Where the line runs.
    pub y: f64,
    /// Whether the line is broken before this point.
    pub gap_before: bool,
}

impl Point {
    /// A point that stands for one value alone.
    pub fn new(x: f64, y: f64) -> Self {
        Point { x, low: y, high: y, y, gap_before: false }
    }
}

/// Cells in rows and columns, coloured by a number, with a bar that tells which colour is which.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heat {
    /// Rows from the bottom to the top, as the names of the vertical axis; in each of them cells from
    /// the left to the right. Missing ones stay blank.
    pub rows: Vec<Vec<Cell>>,
    /// What the number is; stands beside the bar.
    pub label: String,
}

/// One cell of a [`Heat`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// What colours it; one that is not finite makes it grey.
    pub value: f64,
    /// Stands in it, where there is room for those of all cells.
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
    /// The outline of a square on its corner.
    Diamond,
}

/// A vertical hairline with a name above the panel, such as a checkpoint. Where names would lie on
/// each other in three rows, the later ones are left out; the hairlines stay.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Where it stands; one that is not finite is left out.
    pub x: f64,
    /// Its name; may be empty.
    pub text: String,
}

/// What kind of file a picture becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines and texts, sharp at any size.
    Svg,
    /// Pixels.
    Png,
}

impl Format {
    /// The format that the extension of a file name asks for, in lower or upper case.
    ///
    /// # Errors
    ///
    /// If the extension is missing or is neither `svg` nor `png`.
    pub fn of(path: &Path) -> Result<Format, PictureError> {
        let extension = path.extension().map(|text| text.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("svg") => Ok(Format::Svg),
            Some("png") => Ok(Format::Png),
            _ => Err(PictureError::Extension { path: path.to_owned(), found: extension }),
        }
    }
}

/// Width and height of a picture in pixels, each from [`Size::LEAST`] to [`Size::MOST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

impl Size {
    /// Least pixels on either side.
    pub const LEAST: u32 = 200;
    /// Most pixels on either side.
    pub const MOST: u32 = 10_000;

    /// A size that is known to be allowed.
    ///
    /// # Errors
    ///
    /// If a side is outside of [`Size::LEAST`] to [`Size::MOST`].
    pub fn new(width: u32, height: u32) -> Result<Size, PictureError> {
        Size { width, height }.checked()
    }

    /// The size, if it is allowed; its fields can be set to anything.
    fn checked(self) -> Result<Size, PictureError> {
        for (side, pixels) in [("width", self.width), ("height", self.height)] {
            if !(Size::LEAST..=Size::MOST).contains(&pixels) {
                return Err(PictureError::Size { side, pixels });
            }
        }
        Ok(self)
    }
}

impl Default for Size {
    fn default() -> Self {
        Size { width: 1200, height: 700 }
    }
}
