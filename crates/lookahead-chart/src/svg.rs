//! SVG elements.

use std::fmt::{Display, Write as _};

use crate::figure::Rgb;
use crate::file::Size;
use crate::text::FAMILY;

/// A place in the picture, from the left and from the top.
pub(crate) type Xy = (f64, f64);

/// A color and how much it covers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Style {
    pub(crate) color: Rgb,
    pub(crate) opacity: f64,
}

impl Style {
    pub(crate) const WHITE: Style = Style::solid((255, 255, 255));
    /// Titles and labels.
    pub(crate) const TEXT: Style = Style::solid((38, 38, 38));
    /// Numbers at the axes, and notes.
    pub(crate) const SOFT: Style = Style::solid((85, 85, 85));
    /// The lines of the axes.
    pub(crate) const FRAME: Style = Style::solid((120, 120, 120));
    pub(crate) const GRID: Style = Style::solid((228, 228, 228));
    pub(crate) const FAINT: Style = Style::solid((243, 243, 243));

    pub(crate) const fn solid(color: Rgb) -> Style {
        Style { color, opacity: 1.0 }
    }

    /// As the attribute `fill` or `stroke`.
    fn attribute(self, name: &str) -> String {
        let (red, green, blue) = self.color;
        let opacity = match self.opacity {
            1.0 => String::new(),
            opacity => format!(" {name}-opacity=\"{}\"", short(opacity)),
        };
        format!("{name}=\"#{red:02x}{green:02x}{blue:02x}\"{opacity}")
    }
}

/// On which side of its place a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Start,
    Middle,
    End,
}

/// A picture that is being written.
pub(crate) struct Svg(String);

/// Two decimals are a hundredth of a pixel of the usual size.
fn short(value: f64) -> f64 {
    (value * 100.0).round() / 100.0 + 0.0
}

fn pairs(points: &[Xy]) -> String {
    let mut pairs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (short(*x), short(*y))).collect();
    pairs.dedup();
    pairs.iter().map(|(x, y)| format!("{x},{y}")).collect::<Vec<_>>().join(" ")
}

impl Svg {
    /// An empty picture of that size, in which `width` × `height` units are drawn.
    pub(crate) fn new(size: Size, width: f64, height: f64) -> Svg {
        Svg(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
             viewBox=\"0 0 {} {}\" font-family=\"{FAMILY}\" stroke-linejoin=\"round\" \
             stroke-linecap=\"round\">\n",
            size.width,
            size.height,
            short(width),
            short(height)
        ))
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }

    /// Adds elements as they are.
    pub(crate) fn raw(&mut self, element: impl Display) {
        let _ = writeln!(self.0, "{element}");
    }

    pub(crate) fn polyline(&mut self, points: &[Xy], width: f64, style: Style) {
        self.dashed(points, width, style, "");
    }

    /// A polyline with the lengths of dashes and gaps; solid if there are none.
    pub(crate) fn dashed(&mut self, points: &[Xy], width: f64, style: Style, dashes: &str) {
        let dashes = match dashes {
            "" => String::new(),
            dashes => format!(" stroke-dasharray=\"{dashes}\""),
        };
        self.raw(format_args!(
            "<polyline points=\"{}\" fill=\"none\" {} stroke-width=\"{}\"{dashes}/>",
            pairs(points),
            style.attribute("stroke"),
            short(width)
        ));
    }

    pub(crate) fn polygon(&mut self, points: &[Xy], style: Style) {
        self.raw(format_args!(
            "<polygon points=\"{}\" {}/>",
            pairs(points),
            style.attribute("fill")
        ));
    }

    /// A rectangle from its upper left to its lower right corner.
    pub(crate) fn rect(&mut self, (left, top): Xy, (right, bottom): Xy, style: Style) {
        self.raw(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" {}/>",
            short(left),
            short(top),
            short((right - left).max(0.0)),
            short((bottom - top).max(0.0)),
            style.attribute("fill")
        ));
    }

    pub(crate) fn disc(&mut self, (x, y): Xy, radius: f64, style: Style) {
        let (x, y, radius) = (short(x), short(y), short(radius));
        self.raw(format_args!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" {}/>",
            style.attribute("fill")
        ));
    }

    /// A white disc with an edge.
    pub(crate) fn ring(&mut self, (x, y): Xy, radius: f64, width: f64, style: Style) {
        let (x, y, radius) = (short(x), short(y), short(radius));
        self.raw(format_args!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" {} {} stroke-width=\"{}\"/>",
            Style { opacity: style.opacity, ..Style::WHITE }.attribute("fill"),
            style.attribute("stroke"),
            short(width)
        ));
    }

    /// A text whose baseline goes through the point.
    pub(crate) fn text(&mut self, at: Xy, text: &str, em: f64, style: Style, align: Align) {
        let (x, y) = (short(at.0), short(at.1));
        self.text_with(text, em, style, align, format_args!("x=\"{x}\" y=\"{y}\""));
    }

    /// A text that runs upwards, its middle at the point.
    pub(crate) fn upward(&mut self, at: Xy, text: &str, em: f64, style: Style) {
        let (x, y) = (short(at.0), short(at.1));
        let turn = format_args!("transform=\"translate({x} {y}) rotate(-90)\"");
        self.text_with(text, em, style, Align::Middle, turn);
    }

    fn text_with(&mut self, text: &str, em: f64, style: Style, align: Align, place: impl Display) {
        if text.is_empty() {
            return;
        }
        let anchor = match align {
            Align::Start => "",
            Align::Middle => " text-anchor=\"middle\"",
            Align::End => " text-anchor=\"end\"",
        };
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let (em, fill) = (short(em), style.attribute("fill"));
        self.raw(format_args!("<text {place} font-size=\"{em}\" {fill}{anchor}>{text}</text>"));
    }
}
