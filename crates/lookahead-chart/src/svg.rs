//! SVG elements.

use std::fmt::{Display, Write as _};

use crate::figure::Rgb;
use crate::geometry::{Size, Xy};
use crate::text::FAMILY;

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

    pub(crate) fn with_opacity(self, opacity: f64) -> Style {
        Style { opacity, ..self }
    }

    fn fill(self) -> String {
        self.attribute("fill")
    }

    fn stroke(self, width: f64) -> String {
        format!("{} stroke-width=\"{}\"", self.attribute("stroke"), short(width))
    }

    fn attribute(self, name: &str) -> String {
        let (red, green, blue) = self.color;
        let color = format!("{name}=\"#{red:02x}{green:02x}{blue:02x}\"");
        if self.opacity == 1.0 {
            return color;
        }
        format!("{color} {name}-opacity=\"{}\"", short(self.opacity))
    }
}

/// On which side of its place a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Start,
    Middle,
    End,
}

/// Two decimals are a hundredth of a pixel of the usual size.
fn short(value: f64) -> f64 {
    (value * 100.0).round() / 100.0 + 0.0
}

/// The attribute `points`.
fn points(points: &[Xy]) -> String {
    let mut pairs: Vec<Xy> = points.iter().map(|(x, y)| (short(*x), short(*y))).collect();
    pairs.dedup();
    let pairs: Vec<String> = pairs.iter().map(|(x, y)| format!("{x},{y}")).collect();
    format!("points=\"{}\"", pairs.join(" "))
}

/// A picture that is being written.
pub(crate) struct Svg(String);

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

    pub(crate) fn finish(self) -> String {
        self.0 + "</svg>\n"
    }

    fn element(&mut self, name: &str, attributes: impl Display) {
        let _ = writeln!(self.0, "<{name} {attributes}/>");
    }

    pub(crate) fn polyline(&mut self, points: &[Xy], width: f64, style: Style) {
        self.dashed(points, width, style, "");
    }

    /// A polyline with the lengths of dashes and gaps; solid if there are none.
    pub(crate) fn dashed(&mut self, at: &[Xy], width: f64, style: Style, dashes: &str) {
        let dashes = match dashes {
            "" => String::new(),
            dashes => format!(" stroke-dasharray=\"{dashes}\""),
        };
        let stroke = style.stroke(width);
        self.element("polyline", format_args!("{} fill=\"none\" {stroke}{dashes}", points(at)));
    }

    pub(crate) fn polygon(&mut self, at: &[Xy], style: Style) {
        self.element("polygon", format_args!("{} {}", points(at), style.fill()));
    }

    /// A rectangle from its upper left to its lower right corner.
    pub(crate) fn rect(&mut self, (left, top): Xy, (right, bottom): Xy, style: Style) {
        let [x, y] = [left, top].map(short);
        let [width, height] = [right - left, bottom - top].map(|side| short(side.max(0.0)));
        let place = format!("x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"");
        self.element("rect", format_args!("{place} {}", style.fill()));
    }

    pub(crate) fn disc(&mut self, at: Xy, radius: f64, style: Style) {
        self.circle(at, radius, style.fill());
    }

    /// A white disc with an edge.
    pub(crate) fn ring(&mut self, at: Xy, radius: f64, width: f64, style: Style) {
        let white = Style::WHITE.with_opacity(style.opacity);
        self.circle(at, radius, format!("{} {}", white.fill(), style.stroke(width)));
    }

    fn circle(&mut self, at: Xy, radius: f64, style: String) {
        let [x, y, radius] = [at.0, at.1, radius].map(short);
        self.element("circle", format_args!("cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" {style}"));
    }

    /// A text whose baseline goes through the point.
    pub(crate) fn text(&mut self, at: Xy, text: &str, em: f64, style: Style, align: Align) {
        let [x, y] = [at.0, at.1].map(short);
        self.text_at(format!("x=\"{x}\" y=\"{y}\""), text, em, style, align);
    }

    /// A text that runs upwards, its middle at the point.
    pub(crate) fn upward(&mut self, at: Xy, text: &str, em: f64, style: Style) {
        let [x, y] = [at.0, at.1].map(short);
        let place = format!("transform=\"translate({x} {y}) rotate(-90)\"");
        self.text_at(place, text, em, style, Align::Middle);
    }

    fn text_at(&mut self, place: String, text: &str, em: f64, style: Style, align: Align) {
        if text.is_empty() {
            return;
        }
        let anchor = match align {
            Align::Start => "",
            Align::Middle => " text-anchor=\"middle\"",
            Align::End => " text-anchor=\"end\"",
        };
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let (em, fill) = (short(em), style.fill());
        let _ = writeln!(self.0, "<text {place} font-size=\"{em}\" {fill}{anchor}>{text}</text>");
    }
}
