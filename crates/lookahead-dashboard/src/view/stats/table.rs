//! Rows of numbers under headings: which fit, and how they are drawn.
//!
//! A row belongs to a group, and a group is drawn with its heading or not at all, so no row is ever without
//! the words that explain it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::format;
use crate::theme::Theme;
use crate::view::cells::{put, width};

/// Columns between the first and the second of two values.
const GAP: u16 = 2;
/// Most ticks of the steps since the sync.
const TICKS: u64 = 10;

/// Rows with what they have in common.
pub(super) struct Group<'a> {
    heading: Heading,
    rows: Vec<Row<'a>>,
}

/// What explains the rows of a group.
enum Heading {
    /// The title of the pane.
    Pane,
    /// A line across.
    Line(Title),
}

/// The line above a group.
struct Title {
    /// The longest first; the first that fits is drawn.
    texts: Vec<String>,
    /// The names of the two columns, if the rows have two values.
    columns: Option<[Span<'static>; 2]>,
}

struct Row<'a> {
    /// If the pane is too low, rows of higher ranks are left out first.
    rank: u8,
    /// The longest first; the first that fits beside the value is drawn.
    names: Vec<String>,
    value: Value<'a>,
}

enum Value<'a> {
    /// The fraction of steps taken, and what follows it.
    Gauge(f64, &'static str),
    One(Line<'a>),
    /// Those of the two columns, with their styles.
    Two([String; 2], [Style; 2]),
    /// Steps since the sync, of k.
    Ticks(u64, u64),
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl<'a> Group<'a> {
    fn new(heading: Heading) -> Self {
        Group { heading, rows: Vec::new() }
    }

    /// A group below the title of the pane.
    pub(super) fn of_pane() -> Self {
        Group::new(Heading::Pane)
    }

    /// A group below a line; of its texts, the longest first, the first that fits is drawn.
    pub(super) fn headed(texts: &[&str]) -> Self {
        Group::new(Heading::Line(Title { texts: owned(texts), columns: None }))
    }

    /// A group of rows with two values, below a line that names both.
    pub(super) fn of_two(texts: &[&str], columns: [Span<'static>; 2]) -> Self {
        Group::new(Heading::Line(Title { texts: owned(texts), columns: Some(columns) }))
    }

    fn row(&mut self, rank: u8, names: &[&str], value: Value<'a>) {
        self.rows.push(Row { rank, names: owned(names), value });
    }

    /// Adds the bar of progress.
    pub(super) fn gauge(&mut self, rank: u8, done: f64, note: &'static str) {
        self.row(rank, &[], Value::Gauge(done, note));
    }

    /// Adds a name and a value.
    pub(super) fn one(&mut self, rank: u8, names: &[&str], value: impl Into<Line<'a>>) {
        self.row(rank, names, Value::One(value.into()));
    }

    /// Adds a name and the values of the two columns.
    pub(super) fn two(
        &mut self,
        rank: u8,
        names: &[&str],
        values: [String; 2],
        styles: [Style; 2],
    ) {
        self.row(rank, names, Value::Two(values, styles));
    }

    /// Adds the steps since the sync, of k.
    pub(super) fn ticks(&mut self, rank: u8, names: &[&str], steps: u64, k: u64) {
        self.row(rank, names, Value::Ticks(steps, k));
    }
}

/// The groups that fit into this many lines, with as many of their rows.
pub(super) fn fitting(groups: Vec<Group<'_>>, height: usize) -> Vec<Group<'_>> {
    let mut order: Vec<(u8, usize, usize)> = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        order.extend(group.rows.iter().zip(0..).map(|(row, place)| (row.rank, index, place)));
    }
    order.sort_unstable();
    let mut kept: Vec<Vec<usize>> = groups.iter().map(|_| Vec::new()).collect();
    let mut used = 0;
    for (_, index, place) in order {
        let has_line = matches!(groups[index].heading, Heading::Line(_));
        let lines = 1 + usize::from(has_line && kept[index].is_empty());
        if used + lines <= height {
            used += lines;
            kept[index].push(place);
        }
    }
    let chosen = groups.into_iter().zip(kept).filter(|(_, kept)| !kept.is_empty());
    let chosen = chosen.map(|(group, kept)| {
        let rows = group.rows.into_iter().zip(0..).filter(|(_, place)| kept.contains(place));
        Group { heading: group.heading, rows: rows.map(|(row, _)| row).collect() }
    });
    chosen.collect()
}

/// Where the rows are drawn: inside a frame.
pub(super) struct Place<'a> {
    pub(super) theme: &'a Theme,
    pub(super) frame: Rect,
    pub(super) inner: Rect,
}

impl Place<'_> {
    /// The columns of texts: one cell of air at either side.
    fn inside(&self) -> Rect {
        Rect { x: self.inner.x + 1, width: self.inner.width.saturating_sub(2), ..self.inner }
    }

    /// Draws groups from the top on.
    pub(super) fn draw(&self, groups: &[Group], buffer: &mut Buffer) {
        let mut y = self.inner.top();
        for group in groups {
            let widths = column_widths(group);
            if let Heading::Line(title) = &group.heading {
                self.draw_heading(title, widths, y, buffer);
                y += 1;
            }
            for row in &group.rows {
                self.draw_row(row, widths, y, buffer);
                y += 1;
            }
        }
    }

    fn draw_heading(&self, title: &Title, widths: [u16; 2], y: u16, buffer: &mut Buffer) {
        let Place { theme, frame, inner } = *self;
        let line = "─".repeat(usize::from(inner.width));
        put(buffer, frame, frame.x, y, "├", theme.frame);
        put(buffer, frame, inner.x, y, &line, theme.frame);
        put(buffer, frame, inner.right(), y, "┤", theme.frame);
        let mut end = inner.right();
        if let Some(columns) = &title.columns {
            let ends = self.column_ends(widths);
            for (name, last) in columns.iter().zip(ends).rev() {
                let text = format!(" {} ", name.content);
                end = (last + 1).saturating_sub(width(&text)).max(inner.x);
                put(buffer, inner, end, y, &text, name.style);
            }
        }
        let room = Rect { width: end - inner.x, ..inner };
        let text = fitting_text(&title.texts, room.width.saturating_sub(2));
        put(buffer, room, inner.x, y, &format!(" {text} "), theme.title);
    }

    /// Where the two columns end.
    fn column_ends(&self, widths: [u16; 2]) -> [u16; 2] {
        let inside = self.inside();
        [inside.right().saturating_sub(widths[1] + GAP).max(inside.x), inside.right()]
    }

    /// Writes a name and, at the right edge, what comes after it.
    fn draw_pair(&self, names: &[String], value: &Line, y: u16, buffer: &mut Buffer) {
        let inside = self.inside();
        let across = value.width() as u16;
        let name = fitting_text(names, inside.width.saturating_sub(across + 1));
        let start = put(buffer, inside, inside.x, y, name, self.theme.dim) + 1;
        let x = inside.right().saturating_sub(across).max(start);
        if x < inside.right() {
            buffer.set_line(x, y, value, inside.right() - x);
        }
    }

    fn draw_row(&self, row: &Row, widths: [u16; 2], y: u16, buffer: &mut Buffer) {
        let (theme, inside) = (self.theme, self.inside());
        let right = |text: &str, end: u16| end.saturating_sub(width(text)).max(inside.x);
        match &row.value {
            Value::One(value) => self.draw_pair(&row.names, value, y, buffer),
            Value::Two([left, last], styles) => {
                let [end, _] = self.column_ends(widths);
                let room = end.saturating_sub(inside.x + widths[0] + 1);
                let name = Rect { width: room, ..inside };
                put(buffer, name, inside.x, y, fitting_text(&row.names, room), theme.dim);
                put(buffer, inside, right(left, end), y, left, styles[0]);
                put(buffer, inside, right(last, inside.right()), y, last, styles[1]);
            }
            Value::Ticks(steps, k) => {
                let numbers = format!(" {steps}/{k}");
                // As many as fit beside the shortest name.
                let name = row.names.last().map_or(0, |name| width(name));
                let room = inside.width.saturating_sub(name + 1 + width(&numbers));
                let ticks = u64::from(room).min(*k).min(TICKS);
                let full = (*steps as f64 / (*k).max(1) as f64 * ticks as f64).round() as usize;
                let value = Line::from(vec![
                    Span::styled("■".repeat(full), theme.plain),
                    Span::styled("□".repeat((ticks as usize).saturating_sub(full)), theme.dim),
                    Span::raw(numbers),
                ]);
                self.draw_pair(&row.names, &value, y, buffer);
            }
            Value::Gauge(done, note) => {
                let percent = format::percent(*done, 1);
                let label = match *note {
                    "" => format!(" {percent:>7}"),
                    note => format!(" {percent}, {note}"),
                };
                let bar = inside.width.saturating_sub(width(&label));
                put(buffer, inside, inside.x, y, &gauge(*done, bar), theme.gauge);
                put(buffer, inside, right(&label, inside.right()), y, &label, theme.strong);
            }
        }
    }
}

/// The columns that the two values of a group's rows take.
fn column_widths(group: &Group) -> [u16; 2] {
    let mut widths = match &group.heading {
        Heading::Line(Title { columns: Some(names), .. }) => {
            [0, 1].map(|index| names[index].width() as u16)
        }
        _ => [0, 0],
    };
    for row in &group.rows {
        if let Value::Two(values, _) = &row.value {
            for (widest, value) in widths.iter_mut().zip(values) {
                *widest = width(value).max(*widest);
            }
        }
    }
    widths
}

/// The first of the texts, the longest first, that is no wider than the room; else the last.
fn fitting_text(texts: &[String], room: u16) -> &str {
    let fits = texts.iter().find(|text| width(text) <= room);
    fits.or(texts.last()).map_or("", |text| text.as_str())
}

/// A bar of that many cells, exact to an eighth of one.
fn gauge(done: f64, cells: u16) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let cells = usize::from(cells);
    let eighths = (done.clamp(0.0, 1.0) * (cells * 8) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    bar.push_str(EIGHTHS[eighths % 8]);
    let used = eighths.div_ceil(8);
    bar.push_str(&"░".repeat(cells - used.min(cells)));
    bar
}

#[cfg(test)]
mod tests;
