//! Line charts and heatmaps as SVG or PNG, without fonts or libraries of the system.
//!
//! [`render`] returns the bytes of a picture, [`save`] writes them to a file. The same figure gives the
//! same bytes.
//!
//! | module | what is in it |
//! |---|---|
//! | `figure` | the data of a picture |
//! | `file`, `error` | formats, sizes, writing a file, and what can go wrong |
//! | `layout` | the places of titles, axes, legends and notes |
//! | `geometry` | sizes and places |
//! | `range` | what a vertical axis should cover |
//! | `axis` | ranges, ticks, and their labels |
//! | `plot`, `heatmap`, `clip` | what is drawn between the axes |
//! | `svg`, `text` | SVG elements, and the widths of texts |
//!
//! ```
//! use lookahead_chart::{Figure, Format, Line, PALETTE, Panel, Point, Size, render};
//!
//! let points = (1..100).map(|step| Point::new(f64::from(step), 1.0 / f64::from(step))).collect();
//! let line = Line { name: "loss".into(), color: PALETTE[5], points, ..Line::default() };
//! let panel = Panel { x_label: "step".into(), lines: vec![line], log_y: true, ..Panel::default() };
//! let figure = Figure { title: "A run".into(), panels: vec![panel] };
//! let svg = render(&figure, Format::Svg, Size::default())?;
//! assert!(svg.starts_with(b"<svg"));
//! # Ok::<(), lookahead_chart::ChartError>(())
//! ```

mod axis;
mod clip;
mod error;
mod figure;
mod file;
mod geometry;
mod heatmap;
mod layout;
mod plot;
mod range;
mod svg;
#[cfg(test)]
mod tests;
mod text;

pub use error::ChartError;
pub use figure::{Cell, Figure, Heatmap, Line, Marker, PALETTE, Panel, Point, Rgb, series};
pub use file::{Format, render, save};
pub use geometry::Size;
pub use range::{UsualRange, usual_range};
