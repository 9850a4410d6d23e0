//! Sizes and places. All lengths inside a picture are those of one of 1200 × 700, which the view box scales.

use crate::axis::Axis;

/// Ems of labels, and of numbers and notes.
pub(crate) const TEXT: f64 = 14.0;
pub(crate) const SMALL: f64 = 12.0;

/// Width and height of a picture in pixels, each from [`Size::LEAST`] to [`Size::MOST`]. Letters and lines
/// grow with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

impl Size {
    /// Fewest pixels on either side.
    pub const LEAST: u32 = 200;
    /// Most pixels on either side.
    pub const MOST: u32 = 10_000;
}

impl Default for Size {
    fn default() -> Self {
        Size { width: 1200, height: 700 }
    }
}

/// A place in the picture, from the left and from the top.
pub(crate) type Xy = (f64, f64);

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Area {
    pub(crate) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(crate) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub(crate) fn x(&self, part: f64) -> f64 {
        self.left + part * self.width()
    }

    pub(crate) fn y(&self, part: f64) -> f64 {
        self.bottom - part * self.height()
    }
}

/// The axes of a panel, and the area between them.
pub(crate) struct Axes {
    pub(crate) plot: Area,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
}
