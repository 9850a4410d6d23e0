//! A terminal's screen as SVG.
//!
//! Letters are texts of fixed width, so that columns line up in every font. Braille dots, lines of boxes and
//! blocks are drawn as shapes, because few fonts have all of them and join them without seams.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use ratatui::text::Span;

type Rgb = (u8, u8, u8);

/// Pixels of one cell. Braille dots, two by four in a cell, are then on a square grid.
const WIDTH: usize = 9;
const HEIGHT: usize = 18;
/// How far below the top of its cell the baseline of a text is.
const BASELINE: usize = 14;
/// Pixels between the window's edge and the screen, and the height of its bar.
const MARGIN: usize = 12;
const BAR: usize = 30;
const FONTS: &str = "DejaVu Sans Mono, Menlo, Consolas, Liberation Mono, monospace";

/// The default colors of text and background.
#[derive(Clone, Copy)]
pub(crate) struct Palette {
    text: Rgb,
    ground: Rgb,
}

pub(crate) const DARK: Palette = Palette { text: (214, 217, 224), ground: (24, 26, 31) };
pub(crate) const LIGHT: Palette = Palette { text: (40, 42, 48), ground: (252, 252, 252) };

/// The screen in a window with a title.
pub(crate) fn screen_svg(buffer: &Buffer, palette: Palette, title: &str) -> String {
    let width = usize::from(buffer.area.width) * WIDTH + 2 * MARGIN;
    let height = usize::from(buffer.area.height) * HEIGHT + BAR + MARGIN;
    let [edge, soft] = [0.3, 0.75].map(|part| hex(mixed(palette.text, palette.ground, part)));
    let ground = hex(palette.ground);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{FONTS}\" font-size=\"15\">\n\
         <rect x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"{ground}\" stroke=\"{edge}\"/>\n",
        width - 1,
        height - 1
    );
    for x in [18, 36, 54] {
        svg += &format!("<circle cx=\"{x}\" cy=\"15\" r=\"5\" fill=\"{edge}\"/>\n");
    }
    svg += &format!(
        "<text x=\"{}\" y=\"19.5\" font-size=\"13\" text-anchor=\"middle\" fill=\"{soft}\">{}</text>\n\
         <g transform=\"translate({MARGIN} {BAR})\">\n",
        width / 2,
        escaped(title)
    );
    let mut screen = Screen::default();
    let columns = usize::from(buffer.area.width).max(1);
    for (y, cells) in buffer.content.chunks(columns).enumerate() {
        screen.row(y, cells, palette);
    }
    screen.write(&mut svg);
    svg + "</g>\n</svg>\n"
}

/// The shapes and texts of a screen.
#[derive(Default)]
struct Screen {
    /// Backgrounds, areas and lines as paths by their colors.
    grounds: BTreeMap<Rgb, String>,
    areas: BTreeMap<Rgb, String>,
    lines: BTreeMap<Rgb, String>,
    /// Rows and columns of braille dots.
    dots: BTreeMap<Rgb, BTreeSet<(usize, usize)>>,
    texts: Vec<Text>,
}

#[derive(PartialEq)]
struct Text {
    x: usize,
    y: usize,
    cells: usize,
    color: Rgb,
    bold: bool,
    /// Whether it is a single symbol, which may come from another font, of another width.
    alone: bool,
    text: String,
}

impl Screen {
    fn row(&mut self, y: usize, cells: &[Cell], palette: Palette) {
        let mut x = 0;
        while let Some(cell) = cells.get(x) {
            let wide = Span::raw(cell.symbol()).width().max(1);
            // Equal cells are one shape.
            let equal = cells[x..].iter().take_while(|other| *other == cell).count();
            let (color, ground) = colors(cell, palette);
            let count = if wide > 1 { wide } else { equal };
            if ground != palette.ground {
                let (left, top, width) = (x * WIDTH, y * HEIGHT, count * WIDTH);
                let path = self.grounds.entry(ground).or_default();
                let _ = write!(path, "M{left} {top}h{width}v{HEIGHT}h-{width}z");
            }
            let symbol = cell.symbol().chars().next().unwrap_or(' ');
            if !self.shape(symbol, (x, y), count, (color, ground)) {
                let bold = cell.modifier.contains(Modifier::BOLD);
                let alone =
                    wide > 1 || matches!(symbol, '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{2bff}');
                let cells = if alone { wide } else { count };
                let text = cell.symbol().repeat(if alone { 1 } else { count });
                self.text(Text { x, y, cells, color, bold, alone, text });
                x += cells;
            } else {
                x += count;
            }
        }
    }

    /// Adds a text, to the one before it if both look the same and at most one blank is between them: more
    /// would shrink to one.
    fn text(&mut self, new: Text) {
        if let Some(last) = self.texts.last_mut()
            && (last.y, last.color, last.bold) == (new.y, new.color, new.bold)
            && !(last.alone || new.alone)
            && new.x - (last.x + last.cells) <= 1
        {
            let gap = new.x - (last.x + last.cells);
            last.text += &(" ".repeat(gap) + &new.text);
            last.cells += gap + new.cells;
            return;
        }
        self.texts.push(new);
    }

    /// Draws a symbol that is a shape, in `count` cells. Returns false for a letter.
    fn shape(
        &mut self,
        symbol: char,
        at: (usize, usize),
        count: usize,
        (color, ground): (Rgb, Rgb),
    ) -> bool {
        let (left, top) = (at.0 * WIDTH, at.1 * HEIGHT);
        let width = count * WIDTH;
        let mut area = |color, top: f64, height: f64| {
            let path = self.areas.entry(color).or_default();
            let _ = write!(path, "M{left} {top}h{width}v{height}h-{width}z");
        };
        match symbol {
            ' ' | '\u{a0}' => {}
            '░' => area(mixed(color, ground, 0.25), top as f64, HEIGHT as f64),
            // From one eighth at the bottom to all of it.
            '▁'..='█' => {
                let height = f64::from(u32::from(symbol) - 0x2580) / 8.0 * HEIGHT as f64;
                area(color, (top + HEIGHT) as f64 - height, height);
            }
            '\u{2800}'..='\u{28ff}' => {
                // The dots of the left column, then of the right one; the lowest two are last.
                const DOTS: [(usize, usize); 8] =
                    [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
                let dots = self.dots.entry(color).or_default();
                for column in at.0..at.0 + count {
                    for (bit, (right, below)) in DOTS.into_iter().enumerate() {
                        if (u32::from(symbol) - 0x2800) >> bit & 1 == 1 {
                            dots.insert((4 * at.1 + below, 2 * column + right));
                        }
                    }
                }
            }
            _ => return self.line(symbol, (left, top), count, color),
        }
        true
    }

    fn line(
        &mut self,
        symbol: char,
        (left, top): (usize, usize),
        count: usize,
        color: Rgb,
    ) -> bool {
        const ARMS: [(&str, &str); 12] = [
            ("─", "lr"),
            ("│", "ud"),
            ("┌╭", "rd"),
            ("┐╮", "ld"),
            ("└╰", "ru"),
            ("┘╯", "lu"),
            ("├", "rud"),
            ("┤", "lud"),
            ("┬", "lrd"),
            ("┴┸", "lru"),
            ("┼", "lrud"),
            ("╵", "u"),
        ];
        let Some((_, arms)) = ARMS.iter().find(|(symbols, _)| symbols.contains(symbol)) else {
            return false;
        };
        let path = self.lines.entry(color).or_default();
        for x in (left..).step_by(WIDTH).take(count).map(|left| left as f64 + WIDTH as f64 / 2.0) {
            let y = (top + HEIGHT / 2) as f64;
            let _ = match *arms {
                // All of them at once.
                "lr" => write!(path, "M{left} {y}h{}", count * WIDTH),
                "ud" => write!(path, "M{x} {top}v{HEIGHT}"),
                arms if "╭╮╰╯".contains(symbol) => {
                    let right = if arms.contains('r') { x + 4.5 } else { x - 4.5 };
                    let (bend, end) = if arms.contains('d') { (4.5, 9.0) } else { (-4.5, -9.0) };
                    write!(path, "M{right} {y}Q{x} {y} {x} {}v{}", y + bend, end - bend)
                }
                arms => arms.chars().try_for_each(|arm| match arm {
                    'l' => write!(path, "M{x} {y}h-4.5"),
                    'r' => write!(path, "M{x} {y}h4.5"),
                    'u' => write!(path, "M{x} {y}v-9"),
                    _ => write!(path, "M{x} {y}v9"),
                }),
            };
            if *arms == "lr" {
                break;
            }
        }
        true
    }

    fn write(&self, svg: &mut String) {
        for (color, path) in self.grounds.iter().chain(&self.areas) {
            let color = hex(*color);
            *svg +=
                &format!("<path fill=\"{color}\" shape-rendering=\"crispEdges\" d=\"{path}\"/>\n");
        }
        for (color, path) in &self.lines {
            *svg += &format!(
                "<path fill=\"none\" stroke=\"{}\" stroke-width=\"1.2\" d=\"{path}\"/>\n",
                hex(*color)
            );
        }
        // In units of dots, whose centres are half a unit from the edge of the cell.
        for (color, dots) in &self.dots {
            *svg += &format!(
                "<path transform=\"scale(4.5) translate(.5 .5)\" stroke=\"{}\" stroke-width=\".62\" \
                 stroke-linecap=\"round\" stroke-dasharray=\"0 1\" d=\"{}\"/>\n",
                hex(*color),
                path_of_dots(dots.clone())
            );
        }
        for Text { x, y, cells, color, bold, alone, text } in &self.texts {
            let (left, width, color) = (x * WIDTH, cells * WIDTH, hex(*color));
            let bold = if *bold { " font-weight=\"bold\"" } else { "" };
            let place = if *alone {
                format!("x=\"{}\" text-anchor=\"middle\"", left as f64 + width as f64 / 2.0)
            } else {
                format!("x=\"{left}\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\"")
            };
            let y = y * HEIGHT + BASELINE;
            *svg += &format!(
                "<text {place} y=\"{y}\" fill=\"{color}\"{bold}>{}</text>\n",
                escaped(text)
            );
        }
    }
}

/// Dots in rows and columns as lines with a dot at each unit, the longer of the two that begin at a dot.
fn path_of_dots(mut dots: BTreeSet<(usize, usize)>) -> String {
    let mut path = String::new();
    while let Some((y, x)) = dots.pop_first() {
        let across = (x + 1..).take_while(|x| dots.contains(&(y, *x))).count();
        let down = (y + 1..).take_while(|y| dots.contains(&(*y, x))).count();
        let (arm, more) = if across >= down { ('h', across) } else { ('v', down) };
        for step in 1..=more {
            dots.remove(&if arm == 'h' { (y, x + step) } else { (y + step, x) });
        }
        // A little more than up to the last dot, so that it is drawn.
        let length = if more == 0 { ".1".to_owned() } else { format!("{more}.1") };
        let _ = write!(path, "M{x} {y}{arm}{length}");
    }
    path
}

/// The colors of a cell's text and background.
fn colors(cell: &Cell, palette: Palette) -> (Rgb, Rgb) {
    let mut colors = (rgb(cell.fg, palette.text), rgb(cell.bg, palette.ground));
    if cell.modifier.contains(Modifier::REVERSED) {
        colors = (colors.1, colors.0);
    }
    if cell.modifier.contains(Modifier::DIM) {
        colors.0 = mixed(colors.0, colors.1, 0.55);
    }
    colors
}

/// A color as RGB. The sixteen named ones suit both dark and light backgrounds.
fn rgb(color: Color, default: Rgb) -> Rgb {
    match color {
        Color::Rgb(red, green, blue) => (red, green, blue),
        Color::Black => (28, 30, 34),
        Color::Red => (200, 60, 54),
        Color::Green => (74, 150, 66),
        Color::Yellow => (184, 134, 28),
        Color::Blue => (58, 116, 200),
        Color::Magenta => (160, 86, 176),
        Color::Cyan => (42, 146, 156),
        Color::Gray => (186, 190, 196),
        Color::DarkGray => (110, 114, 122),
        Color::LightRed => (232, 96, 88),
        Color::LightGreen => (108, 186, 96),
        Color::LightYellow => (222, 176, 66),
        Color::LightBlue => (98, 156, 236),
        Color::LightMagenta => (200, 126, 214),
        Color::LightCyan => (82, 188, 196),
        Color::White => (244, 245, 247),
        // A cube of six levels; the first step is larger than the others.
        Color::Indexed(index @ 16..=231) => {
            let level = |place: u8| match (index - 16) / place % 6 {
                0 => 0,
                level => 55 + 40 * level,
            };
            (level(36), level(6), level(1))
        }
        Color::Indexed(index @ 232..) => [8 + 10 * (index - 232)].map(|grey| (grey, grey, grey))[0],
        Color::Indexed(_) | Color::Reset => default,
    }
}

/// A mixture: `part` of the first color, the rest of the second.
fn mixed(first: Rgb, second: Rgb, part: f64) -> Rgb {
    let mix = |a: u8, b: u8| (f64::from(a) * part + f64::from(b) * (1.0 - part)).round() as u8;
    (mix(first.0, second.0), mix(first.1, second.1), mix(first.2, second.2))
}

fn hex((red, green, blue): Rgb) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Stylize;
    use ratatui::text::Line;
    use ratatui::widgets::Widget;
    use roxmltree::Document;

    use super::*;

    #[test]
    fn texts_and_shapes_are_where_their_cells_are() {
        let area = Rect::new(0, 0, 30, 1);
        let mut buffer = Buffer::empty(area);
        let red = Color::Rgb(1, 2, 3);
        let parts = ["a<b  d e".into(), "bold".bold(), "→──┤".fg(red), "⠁⣿".fg(red), "██".fg(red)];
        Line::from(parts.to_vec()).render(area, &mut buffer);
        let svg = screen_svg(&buffer, DARK, "a <title>");
        let document = Document::parse(&svg).unwrap();
        let texts: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name("text"))
            .map(|node| (node.attribute("x").unwrap(), node.text().unwrap()))
            .collect();
        let expected = [("0", "a<b"), ("45", "d e"), ("72", "bold"), ("112.5", "→")];
        assert_eq!(texts[1..], expected);
        assert_eq!(texts[0].1, "a <title>");
        let paths: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name("path"))
            .map(|node| node.attribute("d").unwrap())
            .collect();
        assert_eq!(paths[0], "M162 0h18v18h-18z");
        assert_eq!(paths[1], "M117 9h18M139.5 9h-4.5M139.5 9v-9M139.5 9v9");
        assert_eq!(paths[2], "M32 0h.1M34 0v3.1M35 0v3.1");
    }
}
