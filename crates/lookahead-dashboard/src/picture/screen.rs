//! A terminal's screen as SVG.
//!
//! Letters are texts whose width is set, so that columns line up in whatever font a viewer has.
//! Braille dots, lines of boxes and blocks are drawn as shapes: few fonts have all of them, and
//! fewer join them without seams.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use ratatui::text::Span;

/// Red, green and blue.
pub type Rgb = (u8, u8, u8);

/// How a screen looks as a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct ScreenOptions {
    /// The colour of text that has none of its own.
    pub foreground: Rgb,
    /// The colour behind text that has none of its own.
    pub background: Rgb,
    /// Whether a window is drawn around the screen.
    pub window: bool,
    /// What the window's bar says; a screen without a window has no title.
    pub title: Option<String>,
}

impl ScreenOptions {
    /// Light text on a dark ground, in a window without a title.
    pub fn dark() -> Self {
        let (foreground, background) = ((214, 217, 224), (24, 26, 31));
        ScreenOptions { foreground, background, window: true, title: None }
    }

    /// Dark text on a light ground, in a window without a title.
    pub fn light() -> Self {
        let (foreground, background) = ((40, 42, 48), (252, 252, 252));
        ScreenOptions { foreground, background, window: true, title: None }
    }
}

impl Default for ScreenOptions {
    fn default() -> Self {
        ScreenOptions::dark()
    }
}

/// Pixels of one cell. Braille dots, two by four in a cell, then lie on a square grid.
const ACROSS: u32 = 9;
const DOWN: u32 = 18;
/// How far below the top of its cell the baseline of a text is.
const BASELINE: u32 = 14;
/// The em of the font whose letters are about that wide and high.
const EM: u32 = 15;
/// Pixels between the window's edge and the screen, and the height of its bar.
const MARGIN: u32 = 12;
const BAR: u32 = 30;

/// The screen that a buffer holds. The same buffer and options give the same text.
pub fn screen_svg(buffer: &Buffer, options: &ScreenOptions) -> String {
    let (columns, rows) = (u32::from(buffer.area.width), u32::from(buffer.area.height));
    let (width, height) = (columns * ACROSS, rows * DOWN);
    let (left, top) = if options.window { (MARGIN, BAR) } else { (0, 0) };
    let (full_width, full_height) =
        if options.window { (width + 2 * MARGIN, height + BAR + MARGIN) } else { (width, height) };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{full_width}\" \
         height=\"{full_height}\" viewBox=\"0 0 {full_width} {full_height}\" font-family=\"{FONTS}\" \
         font-size=\"{EM}\">\n"
    );
    let ground = hex(options.background);
    if options.window {
        window(&mut svg, options, full_width, full_height);
    } else {
        add(
            &mut svg,
            format_args!("<rect width=\"{width}\" height=\"{height}\" fill=\"{ground}\"/>\n"),
        );
    }
    add(&mut svg, format_args!("<g transform=\"translate({left} {top})\">\n"));
    let screen = Screen::read(buffer, options);
    screen.grounds(&mut svg);
    screen.shapes(&mut svg);
    screen.texts(&mut svg);
    svg.push_str("</g>\n</svg>\n");
    svg
}

const FONTS: &str = "DejaVu Sans Mono, Menlo, Consolas, Liberation Mono, monospace";

fn add(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text).expect("a string takes everything");
}

/// The rounded frame with its title and the three knobs that say that it is a window.
fn window(svg: &mut String, options: &ScreenOptions, width: u32, height: u32) {
    let (ground, edge) = (options.background, options.foreground);
    let border = hex(mixed(edge, ground, 0.3));
    add(
        svg,
        format_args!(
            "<rect x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"{}\" stroke=\"{border}\"/>\n",
            width - 1,
            height - 1,
            hex(ground)
        ),
    );
    for knob in 0..3 {
        let x = 18 + knob * 18;
        add(svg, format_args!("<circle cx=\"{x}\" cy=\"15\" r=\"5\" fill=\"{border}\"/>\n"));
    }
    let title = options.title.as_deref().map(clean).unwrap_or_default();
    // Below the knobs there is no room for one; the widths are those of the font's letters.
    let room = (width.saturating_sub(150) as f64 / (0.602 * 13.0)) as usize;
    if !title.is_empty() && room > 0 {
        let cut = title.chars().count() > room;
        let mut shown: String = title.chars().take(room - usize::from(cut)).collect();
        if cut {
            shown.push('…');
        }
        add(
            svg,
            format_args!(
                "<text x=\"{}\" y=\"19.5\" font-size=\"13\" text-anchor=\"middle\" fill=\"{}\">{}</text>\n",
                width / 2,
                hex(mixed(edge, ground, 0.75)),
                escaped(&shown)
            ),
        );
    }
}

/// How a text is drawn, besides where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Look {
    color: Rgb,
    bold: bool,
    italic: bool,
}

#[derive(Debug)]
struct Run {
    look: Look,
    column: u32,
    row: u32,
    cells: u32,
    /// Whether it is one symbol, which may come from another font, of another width.
    alone: bool,
    text: String,
}

/// Half of the width or height of a cell, from its middle to its edge.
#[derive(Debug, Default)]
struct Strokes {
    /// By row of middles and half columns.
    level: BTreeSet<(u32, u32)>,
    /// By column of middles and half rows.
    upright: BTreeSet<(u32, u32)>,
    /// Corners: the middle, and the way to the right and down of its ends.
    bends: BTreeSet<(u32, u32, i8, i8)>,
}

/// What is on the screen, sorted by how it is drawn.
#[derive(Debug, Default)]
struct Screen {
    /// By row and first column: the end and the colour.
    grounds: BTreeMap<(u32, u32), (u32, Rgb)>,
    /// Rows and columns of braille dots by colour.
    dots: BTreeMap<Rgb, BTreeSet<(u32, u32)>>,
    /// Lines of boxes by colour and whether they are heavy.
    strokes: BTreeMap<(Rgb, bool), Strokes>,
    /// Rectangles in eighths of cells, by colour: top and left, bottom and right.
    blocks: BTreeMap<Rgb, Vec<[u32; 4]>>,
    /// Lines under or through texts: by colour, and twice-row and first column, the end.
    rules: BTreeMap<Rgb, BTreeMap<(u32, u32), u32>>,
    runs: Vec<Run>,
}

impl Screen {
    fn read(buffer: &Buffer, options: &ScreenOptions) -> Screen {
        let mut screen = Screen::default();
        let width = usize::from(buffer.area.width).max(1);
        for (row, cells) in buffer.content.chunks(width).enumerate() {
            let mut column = 0;
            while let Some(cell) = cells.get(column) {
                // What a wide letter covers is a cell of its own in the buffer.
                let wide = Span::raw(cell.symbol()).width().clamp(1, width - column);
                screen.cell(cell, column as u32, row as u32, wide as u32, options);
                column += wide;
            }
        }
        screen
    }

    fn cell(&mut self, cell: &Cell, x: u32, y: u32, wide: u32, options: &ScreenOptions) {
        let modifier = cell.modifier;
        let mut ink = rgb(cell.fg).unwrap_or(options.foreground);
        let mut ground = rgb(cell.bg).unwrap_or(options.background);
        if modifier.contains(Modifier::REVERSED) {
            std::mem::swap(&mut ink, &mut ground);
        }
        if modifier.contains(Modifier::DIM) {
            ink = mixed(ink, ground, 0.55);
        }
        if ground != options.background {
            extend(&mut self.grounds, y, x, x + wide, ground);
        }
        if modifier.contains(Modifier::HIDDEN) {
            return;
        }
        for (set, line) in [(Modifier::UNDERLINED, 2 * y + 1), (Modifier::CROSSED_OUT, 2 * y)] {
            if modifier.contains(set) {
                let rules = self.rules.entry(ink).or_default();
                match rules.range_mut((line, 0)..=(line, x)).next_back() {
                    Some((_, end)) if *end == x => *end = x + wide,
                    _ => drop(rules.insert((line, x), x + wide)),
                }
            }
        }
        let symbol = cell.symbol();
        let mut characters = symbol.chars();
        if let (Some(only), None) = (characters.next(), characters.next())
            && self.shape(only, ink, ground, x, y)
        {
            return;
        }
        let text = clean(symbol);
        if text.is_empty() {
            return;
        }
        let look = Look {
            color: ink,
            bold: modifier.contains(Modifier::BOLD),
            italic: modifier.contains(Modifier::ITALIC),
        };
        let alone = wide > 1 || text.chars().any(symbol_like);
        if let Some(run) = self.runs.last_mut()
            && (run.row, run.look) == (y, look)
            && !(alone || run.alone)
        {
            // One blank between words stays in the text; more would shrink to one.
            let gap = x - (run.column + run.cells);
            if gap <= 1 {
                run.text.push_str(&" ".repeat(gap as usize));
                run.text.push_str(&text);
                run.cells += gap + wide;
                return;
            }
        }
        self.runs.push(Run { look, column: x, row: y, cells: wide, alone, text });
    }

    /// Takes a character that is a picture rather than a letter.
    fn shape(&mut self, character: char, ink: Rgb, ground: Rgb, x: u32, y: u32) -> bool {
        let code = u32::from(character);
        let mut block = |color, [top, left, bottom, right]: [u32; 4]| {
            let area = [8 * y + top, 8 * x + left, 8 * y + bottom, 8 * x + right];
            let blocks: &mut Vec<[u32; 4]> = self.blocks.entry(color).or_default();
            match blocks.last_mut() {
                Some(last) if last[0] == area[0] && last[2] == area[2] && last[3] == area[1] => {
                    last[3] = area[3];
                }
                _ => blocks.push(area),
            }
        };
        match character {
            ' ' | '\u{a0}' => {}
            '\u{2800}'..='\u{28ff}' => {
                let dots = self.dots.entry(ink).or_default();
                // Unicode counts the dots of the left column, then of the right one, and the lowest
                // two last.
                for (bit, (right, below)) in
                    [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
                        .into_iter()
                        .enumerate()
                {
                    if (code - 0x2800) >> bit & 1 == 1 {
                        dots.insert((4 * y + below, 2 * x + right));
                    }
                }
            }
            '▀' => block(ink, [0, 0, 4, 8]),
            // From one eighth at the bottom to all of it.
            '▁'..='█' => block(ink, [8 - (code - 0x2580), 0, 8, 8]),
            // From seven eighths at the left to one.
            '▉'..='▏' => block(ink, [0, 0, 8, 8 - (code - 0x2588)]),
            '▐' => block(ink, [0, 4, 8, 8]),
            '░' => block(mixed(ink, ground, 0.25), [0, 0, 8, 8]),
            '▒' => block(mixed(ink, ground, 0.5), [0, 0, 8, 8]),
            '▓' => block(mixed(ink, ground, 0.75), [0, 0, 8, 8]),
            '▔' => block(ink, [0, 0, 1, 8]),
            '▕' => block(ink, [0, 7, 8, 8]),
            _ => return self.line(character, ink, x, y),
        }
        true
    }

    fn line(&mut self, character: char, ink: Rgb, x: u32, y: u32) -> bool {
        let Some((heavy, arms)) = arms(character) else { return false };
        let strokes = self.strokes.entry((ink, heavy)).or_default();
        if let Arms::Bend(right, down) = arms {
            strokes.bends.insert((x, y, right, down));
            return true;
        }
        let Arms::Straight([left, right, up, down]) = arms else { return true };
        for (set, half) in [(left, 2 * x), (right, 2 * x + 1)] {
            if set {
                strokes.level.insert((y, half));
            }
        }
        for (set, half) in [(up, 2 * y), (down, 2 * y + 1)] {
            if set {
                strokes.upright.insert((x, half));
            }
        }
        true
    }

    fn grounds(&self, svg: &mut String) {
        for ((row, from), (to, color)) in &self.grounds {
            add(
                svg,
                format_args!(
                    "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{DOWN}\" fill=\"{}\" \
                 shape-rendering=\"crispEdges\"/>\n",
                    from * ACROSS,
                    row * DOWN,
                    (to - from) * ACROSS,
                    hex(*color)
                ),
            );
        }
    }

    fn shapes(&self, svg: &mut String) {
        for (color, blocks) in &self.blocks {
            let mut path = String::new();
            for [top, left, bottom, right] in blocks {
                let place = |eighths: u32, size: u32| f64::from(eighths * size) / 8.0;
                let (x, y) = (place(*left, ACROSS), place(*top, DOWN));
                let (width, height) = (place(right - left, ACROSS), place(bottom - top, DOWN));
                add(&mut path, format_args!("M{x} {y}h{width}v{height}h-{width}z"));
            }
            add(
                svg,
                format_args!(
                    "<path fill=\"{}\" shape-rendering=\"crispEdges\" d=\"{path}\"/>\n",
                    hex(*color)
                ),
            );
        }
        for ((color, heavy), strokes) in &self.strokes {
            let width = if *heavy { "2.4" } else { "1.2" };
            add(
                svg,
                format_args!(
                    "<path fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" d=\"{}\"/>\n",
                    hex(*color),
                    strokes.path()
                ),
            );
        }
        for (color, dots) in &self.dots {
            let mut path = String::new();
            for (row, first, count) in spans(dots) {
                // Dashes with round ends make the dots of a whole row one short line.
                add(&mut path, format_args!("M{first} {row}h{}.1", count - 1));
            }
            // In units of dots, whose middle is half a unit off the edge of the cell.
            let unit = f64::from(ACROSS) / 2.0;
            add(
                svg,
                format_args!(
                    "<path transform=\"translate({middle} {middle}) scale({unit})\" fill=\"none\" \
                 stroke=\"{}\" stroke-width=\".62\" stroke-linecap=\"round\" \
                 stroke-dasharray=\".05 .95\" d=\"{path}\"/>\n",
                    hex(*color),
                    middle = unit / 2.0
                ),
            );
        }
        for (color, rules) in &self.rules {
            let mut path = String::new();
            for ((line, from), to) in rules {
                let below = if line % 2 == 1 { BASELINE + 2 } else { DOWN / 2 };
                let (x, y) = (from * ACROSS, line / 2 * DOWN + below);
                add(&mut path, format_args!("M{x} {y}h{}", (to - from) * ACROSS));
            }
            add(svg, format_args!("<path stroke=\"{}\" d=\"{path}\"/>\n", hex(*color)));
        }
    }

    fn texts(&self, svg: &mut String) {
        for run in &self.runs {
            let (left, y) = (run.column * ACROSS, run.row * DOWN + BASELINE);
            let width = run.cells * ACROSS;
            let x = f64::from(left) + if run.alone { f64::from(width) / 2.0 } else { 0.0 };
            add(svg, format_args!("<text x=\"{x}\" y=\"{y}\" fill=\"{}\"", hex(run.look.color)));
            if run.look.bold {
                svg.push_str(" font-weight=\"bold\"");
            }
            if run.look.italic {
                svg.push_str(" font-style=\"italic\"");
            }
            if run.alone {
                svg.push_str(" text-anchor=\"middle\"");
            } else {
                let adjust = "lengthAdjust=\"spacingAndGlyphs\"";
                add(svg, format_args!(" textLength=\"{width}\" {adjust}"));
            }
            add(svg, format_args!(">{}</text>\n", escaped(&run.text)));
        }
    }
}

impl Strokes {
    fn path(&self) -> String {
        let (half, high) = (f64::from(ACROSS) / 2.0, f64::from(DOWN / 2));
        let mut path = String::new();
        for (row, first, count) in spans(&self.level) {
            let (x, y) = (f64::from(first) * half, f64::from(row * DOWN) + high);
            add(&mut path, format_args!("M{x} {y}h{}", f64::from(count) * half));
        }
        for (column, first, count) in spans(&self.upright) {
            let (x, y) = (f64::from(column * ACROSS) + half, f64::from(first) * high);
            add(&mut path, format_args!("M{x} {y}v{}", f64::from(count) * high));
        }
        for (column, row, right, down) in &self.bends {
            let (x, y) = (f64::from(column * ACROSS) + half, f64::from(row * DOWN) + high);
            let (right, down) = (f64::from(*right) * half, f64::from(*down) * high);
            let (start_x, bend) = (x + right, down / 2.0);
            // A quarter of a curve, then straight on to the edge of the cell.
            add(&mut path, format_args!("M{start_x} {y}Q{x} {y} {x} {}V{}", y + bend, y + down));
        }
        path
    }
}

/// Neighbours in a set of rows and columns: the row, the first column, and how many there are.
fn spans(set: &BTreeSet<(u32, u32)>) -> Vec<(u32, u32, u32)> {
    let mut spans: Vec<(u32, u32, u32)> = Vec::new();
    for (row, column) in set {
        match spans.last_mut() {
            Some((last, first, count)) if last == row && *first + *count == *column => *count += 1,
            _ => spans.push((*row, *column, 1)),
        }
    }
    spans
}

/// Joins a span of a row to the one before it if the colour is the same.
fn extend(spans: &mut BTreeMap<(u32, u32), (u32, Rgb)>, row: u32, from: u32, to: u32, color: Rgb) {
    match spans.range_mut((row, 0)..=(row, from)).next_back() {
        Some((_, (end, last))) if *end == from && *last == color => *end = to,
        _ => drop(spans.insert((row, from), (to, color))),
    }
}

enum Arms {
    /// Whether there is an arm to the left, to the right, up and down.
    Straight([bool; 4]),
    /// A rounded corner: −1 or 1 to the right and down.
    Bend(i8, i8),
}

/// Which ways the lines of a box character go, and whether they are heavy.
fn arms(character: char) -> Option<(bool, Arms)> {
    const SHAPES: [(char, char, &str); 11] = [
        ('─', '━', "lr"),
        ('│', '┃', "ud"),
        ('┌', '┏', "rd"),
        ('┐', '┓', "ld"),
        ('└', '┗', "ru"),
        ('┘', '┛', "lu"),
        ('├', '┣', "rud"),
        ('┤', '┫', "lud"),
        ('┬', '┳', "lrd"),
        ('┴', '┻', "lru"),
        ('┼', '╋', "lrud"),
    ];
    let bend = match character {
        '╭' => Some((1, 1)),
        '╮' => Some((-1, 1)),
        '╯' => Some((-1, -1)),
        '╰' => Some((1, -1)),
        _ => None,
    };
    if let Some((right, down)) = bend {
        return Some((false, Arms::Bend(right, down)));
    }
    let (_, heavy, ways) =
        SHAPES.iter().find(|(light, heavy, _)| [light, heavy].contains(&&character))?;
    let straight = ['l', 'r', 'u', 'd'].map(|way| ways.contains(way));
    Some((*heavy == character, Arms::Straight(straight)))
}

/// The sixteen colours that terminals name, of a strength between those for dark and light grounds.
const NAMED: [Rgb; 16] = [
    (28, 30, 34),
    (200, 60, 54),
    (74, 150, 66),
    (184, 134, 28),
    (58, 116, 200),
    (160, 86, 176),
    (42, 146, 156),
    (186, 190, 196),
    (110, 114, 122),
    (232, 96, 88),
    (108, 186, 96),
    (222, 176, 66),
    (98, 156, 236),
    (200, 126, 214),
    (82, 188, 196),
    (244, 245, 247),
];

/// What a colour is, unless it is the default.
fn rgb(color: Color) -> Option<Rgb> {
    let index = match color {
        Color::Reset => return None,
        Color::Rgb(red, green, blue) => return Some((red, green, blue)),
        Color::Indexed(index) => index,
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
    };
    Some(match index {
        0..=15 => NAMED[usize::from(index)],
        // A cube of six levels, of which the first step is larger than the others.
        16..=231 => {
            let level = |place: u8| match (index - 16) / place % 6 {
                0 => 0,
                level => 55 + 40 * level,
            };
            (level(36), level(6), level(1))
        }
        // Greys without black and white.
        232..=255 => {
            let grey = 8 + 10 * (index - 232);
            (grey, grey, grey)
        }
    })
}

/// So much of the first colour, and the rest of the second.
fn mixed(first: Rgb, second: Rgb, part: f64) -> Rgb {
    let mix = |a: u8, b: u8| (f64::from(a) * part + f64::from(b) * (1.0 - part)).round() as u8;
    (mix(first.0, second.0), mix(first.1, second.1), mix(first.2, second.2))
}

fn hex((red, green, blue): Rgb) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Arrows, technical signs, shapes and ticks: what fonts for terminals often lack.
fn symbol_like(character: char) -> bool {
    matches!(character, '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{2bff}')
}

/// The text without what XML can't hold.
fn clean(text: &str) -> String {
    super::font::clean(text)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::{Style, Stylize};
    use ratatui::text::Line;
    use ratatui::widgets::{Block, BorderType, Paragraph, Widget};
    use roxmltree::{Document, Node};

    use super::*;

    fn plain() -> ScreenOptions {
        ScreenOptions { window: false, ..ScreenOptions::dark() }
    }

    fn drawn<'a>(lines: impl IntoIterator<Item = Line<'a>>) -> String {
        let lines: Vec<Line<'_>> = lines.into_iter().collect();
        let area = Rect::new(0, 0, 30, lines.len() as u16);
        let mut buffer = Buffer::empty(area);
        Paragraph::new(lines).render(area, &mut buffer);
        screen_svg(&buffer, &plain())
    }

    fn all<'a>(document: &'a Document<'a>, tag: &'a str) -> Vec<Node<'a, 'a>> {
        document.descendants().filter(|node| node.has_tag_name(tag)).collect()
    }

    fn shape(line: &str, color: &str) -> String {
        let svg = drawn([Line::from(line.to_owned()).fg(Color::Rgb(1, 2, 3))]);
        let document = Document::parse(&svg).unwrap();
        assert!(all(&document, "text").is_empty(), "{svg}");
        let paths = all(&document, "path");
        let of_color = |path: &&Node<'_, '_>| {
            [path.attribute("fill"), path.attribute("stroke")].contains(&Some(color))
        };
        paths.iter().find(of_color).and_then(|path| path.attribute("d")).unwrap_or("").to_owned()
    }

    #[test]
    fn every_text_shows_up_where_it_is() {
        let svg = drawn([Line::from(vec!["a<b>&\"c\"  d e".into(), "bold".bold(), " θ".into()])]);
        let document = Document::parse(&svg).unwrap();
        let texts: Vec<_> = all(&document, "text")
            .iter()
            .map(|node| (node.attribute("x"), node.attribute("textLength"), node.text()))
            .collect();
        let text = |x, length, text| (Some(x), Some(length), Some(text));
        assert_eq!(
            texts,
            [
                text("0", "72", "a<b>&\"c\""),
                text("90", "27", "d e"),
                text("117", "36", "bold"),
                text("162", "9", "θ")
            ]
        );
        assert_eq!(all(&document, "text")[2].attribute("font-weight"), Some("bold"));
    }

    #[test]
    fn colours_are_those_of_the_cells() {
        let svg = drawn([
            Line::from("default"),
            Line::from("indexed").fg(Color::Indexed(208)).bg(Color::Indexed(242)),
            Line::from("true").fg(Color::Rgb(1, 2, 3)),
            Line::from("reversed").fg(Color::Rgb(9, 9, 9)).reversed(),
            Line::from("dim").dim(),
            Line::from("cyan").cyan().underlined(),
        ]);
        let document = Document::parse(&svg).unwrap();
        let fills: Vec<_> =
            all(&document, "text").iter().map(|node| node.attribute("fill").unwrap()).collect();
        assert_eq!(fills, ["#d6d9e0", "#ff8700", "#010203", "#181a1f", "#818389", "#2a929c"]);
        let grounds: Vec<_> = all(&document, "rect")[1..]
            .iter()
            .map(|node| ["y", "width", "fill"].map(|name| node.attribute(name).unwrap()))
            .collect();
        assert_eq!(grounds, [["18", "63", "#6c6c6c"], ["54", "72", "#090909"]]);
        let rule = all(&document, "path")[0];
        assert_eq!(rule.attribute("d"), Some("M0 106h36"));
        assert_eq!(rule.attribute("stroke"), Some("#2a929c"));
    }

    #[test]
    fn braille_is_dots() {
        assert_eq!(shape("⠁⣿", "#010203"), "M0 0h0.1M2 0h1.1M2 1h1.1M2 2h1.1M2 3h1.1");
        assert_eq!(shape("⠉⠉", "#010203"), "M0 0h3.1");
        assert_eq!(shape("⢀⡈", "#010203"), "M3 0h0.1M1 3h1.1");
    }

    #[test]
    fn boxes_are_lines_that_meet() {
        assert_eq!(shape("──┤", "#010203"), "M0 9h22.5M22.5 0v18");
        assert_eq!(shape("┌┐", "#010203"), "M4.5 9h9M4.5 9v9M13.5 9v9");
        assert_eq!(shape("╭", "#010203"), "M9 9Q4.5 9 4.5 13.5V18");
        for corner in "└┘├┬┴┼╮╰╯━┃┏┓┗┛┣┫┳┻╋".chars() {
            assert!(shape(&corner.to_string(), "#010203").starts_with('M'), "{corner}");
        }
    }

    #[test]
    fn blocks_are_areas() {
        assert_eq!(shape("██▌", "#010203"), "M0 0h22.5v18h-22.5z");
        assert_eq!(shape("▏", "#010203"), "M0 0h1.125v18h-1.125z");
        assert_eq!(shape("▉", "#010203"), "M0 0h7.875v18h-7.875z");
        assert_eq!(shape("▂", "#010203"), "M0 13.5h9v4.5h-9z");
        // A quarter of the way from the ground to the ink.
        assert_eq!(shape("░", "#121418"), "M0 0h9v18h-9z");
    }

    #[test]
    fn wide_and_odd_symbols_keep_their_place() {
        let svg = drawn([Line::from("漢x\u{301}y→z")]);
        let document = Document::parse(&svg).unwrap();
        let texts: Vec<_> = all(&document, "text")
            .iter()
            .map(|node| {
                (node.attribute("x"), node.attribute("textLength"), node.text().unwrap_or(""))
            })
            .collect();
        let expected = [
            (Some("9"), None, "漢"),
            (Some("18"), Some("18"), "x\u{301}y"),
            (Some("40.5"), None, "→"),
            (Some("45"), Some("9"), "z"),
        ];
        assert_eq!(texts, expected);
        let mut buffer = Buffer::empty(Rect::new(0, 0, 3, 1));
        buffer[(0, 0)].set_symbol("\u{1b}");
        buffer[(2, 0)].set_symbol("漢");
        assert!(Document::parse(&screen_svg(&buffer, &plain())).is_ok());
        for (width, height) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let buffer = Buffer::empty(Rect::new(0, 0, width, height));
            for options in [plain(), ScreenOptions::dark()] {
                assert!(Document::parse(&screen_svg(&buffer, &options)).is_ok());
            }
        }
    }

    #[test]
    fn a_window_has_its_title_and_every_light_or_dark_ground() {
        let area = Rect::new(0, 0, 40, 3);
        let mut buffer = Buffer::empty(area);
        Block::bordered().border_type(BorderType::Rounded).render(area, &mut buffer);
        for options in [ScreenOptions::dark(), ScreenOptions::light()] {
            let options = ScreenOptions { title: Some("a <run>".into()), ..options };
            let svg = screen_svg(&buffer, &options);
            let document = Document::parse(&svg).unwrap();
            assert_eq!(all(&document, "text")[0].text(), Some("a <run>"));
            let ground = all(&document, "rect")[0].attribute("fill").map(str::to_owned);
            assert_eq!(ground, Some(hex(options.background)));
            assert_eq!(document.root_element().attribute("width"), Some("384"));
        }
    }

    #[test]
    fn a_full_screen_stays_small() {
        let area = Rect::new(0, 0, 200, 60);
        let mut buffer = Buffer::empty(area);
        let mut state = 1_u32;
        for y in 0..60 {
            for x in 0..200 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Half of it random dots, half of it short words in many colours.
                let style = Style::new().fg(Color::Indexed((state >> 27) as u8));
                if x < 100 {
                    let dots = char::from_u32(0x2800 + (state >> 16 & 0xff)).unwrap();
                    buffer[(x, y)].set_char(dots);
                } else {
                    let style = if x % 7 == 0 { style } else { buffer[(x - 1, y)].style() };
                    buffer[(x, y)].set_char(if x % 7 == 6 { ' ' } else { 'w' }).set_style(style);
                }
            }
        }
        let svg = screen_svg(&buffer, &ScreenOptions::dark());
        assert!(svg.len() < 400_000, "{}", svg.len());
        assert_eq!(svg, screen_svg(&buffer, &ScreenOptions::dark()));
        assert!(Document::parse(&svg).is_ok());
    }
}
