//! A table of texts, for terminals, Markdown and CSV.

#[cfg(test)]
mod tests;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, Width};

/// On which side of its column a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its title.
    pub name: String,
    /// On which side its texts are.
    pub side: Side,
    /// A narrow terminal leaves out the highest first, and 0 never.
    pub rank: u8,
}

/// Columns and rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Printed above it; may be empty.
    pub title: String,
    /// From left to right.
    pub columns: Vec<Column>,
    /// From top to bottom, each with a text for each column.
    pub rows: Vec<Vec<String>>,
}

/// Blanks between columns.
const GAP: usize = 2;
/// The least width of a column of words.
const NARROWEST: usize = 16;

fn width(text: &str) -> usize {
    text.chars().count()
}

impl Table {
    /// An empty table of these columns, none of which a narrow terminal drops.
    pub fn of(columns: &[(&str, Side)]) -> Table {
        let mut table = Table::default();
        for (name, side) in columns {
            table.column(*name, *side, 0);
        }
        table
    }

    pub(crate) fn column(&mut self, name: impl Into<String>, side: Side, rank: u8) {
        self.columns.push(Column { name: name.into(), side, rank });
    }

    fn widths(&self) -> Vec<usize> {
        let widest = |(index, column): (usize, &Column)| {
            let cells = self.rows.iter().filter_map(|row| row.get(index));
            cells.map(|cell| width(cell)).chain([width(&column.name)]).max().unwrap_or(0)
        };
        self.columns.iter().enumerate().map(widest).collect()
    }

    /// Aligned, in lines of at most that many characters: words are wrapped, and, if that
    /// is not enough, columns left out and named below.
    pub fn to_terminal(&self, most: usize) -> String {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let full = self.widths();
        let mut widths = full.clone();
        let total = |shown: &[usize], widths: &[usize]| {
            shown.iter().map(|index| widths[*index]).sum::<usize>()
                + GAP * shown.len().saturating_sub(1)
        };
        let mut left_out = Vec::new();
        loop {
            widths.clone_from(&full);
            for index in &shown {
                let over = total(&shown, &widths).saturating_sub(most);
                if self.columns[*index].side == Side::Left {
                    let least = NARROWEST.min(widths[*index]);
                    widths[*index] = widths[*index].saturating_sub(over).max(least);
                }
            }
            if total(&shown, &widths) <= most {
                break;
            }
            let rank = |index: &usize| self.columns[*index].rank;
            let Some(least) =
                shown.iter().copied().filter(|index| rank(index) > 0).max_by_key(rank)
            else {
                break;
            };
            shown.retain(|index| *index != least);
            left_out.push(least);
        }
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING);
        table.style_mut().header_separator.fill = Some('─');
        let line = |cell: &dyn Fn(usize) -> String| -> Vec<String> {
            shown
                .iter()
                .map(|index| broken(&cell(*index), widths[*index], self.columns[*index].side))
                .collect()
        };
        table.set_header(line(&|index| self.columns[index].name.clone()));
        for row in &self.rows {
            table.add_row(line(&|index| row.get(index).cloned().unwrap_or_default()));
        }
        for (place, index) in shown.iter().enumerate() {
            let Some(column) = table.column_mut(place) else { continue };
            let gap = if place + 1 < shown.len() { GAP } else { 0 };
            let width = u16::try_from(widths[*index] + gap).unwrap_or(u16::MAX);
            column.set_padding((0, gap as u16));
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
            column.set_cell_alignment(match self.columns[*index].side {
                Side::Left => CellAlignment::Left,
                Side::Right => CellAlignment::Right,
            });
        }
        let mut lines = if self.title.is_empty() { vec![] } else { wrapped(&self.title, most) };
        lines.push(table.trim_fmt());
        if !left_out.is_empty() {
            left_out.sort_unstable();
            let names: Vec<&str> =
                left_out.iter().map(|index| self.columns[*index].name.as_str()).collect();
            lines.extend(wrapped(&format!("No room for: {}.", names.join(", ")), most));
        }
        lines.join("\n") + "\n"
    }

    /// As a table of Markdown, with its title in bold.
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        if !self.title.is_empty() {
            text.push_str(&format!("**{}**\n\n", escaped(&self.title)));
        }
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        text.push_str(&line(self.columns.iter().map(|column| escaped(&column.name)).collect()));
        let rule = |column: &Column| match column.side {
            Side::Left => ":--".to_owned(),
            Side::Right => "--:".to_owned(),
        };
        text.push_str(&line(self.columns.iter().map(rule).collect()));
        for row in &self.rows {
            text.push_str(&line(row.iter().map(|cell| escaped(cell)).collect()));
        }
        text
    }

    /// As CSV of RFC 4180, with the names of the columns as its first record and line feeds.
    pub fn to_csv(&self) -> String {
        let names = self.columns.iter().map(|column| column.name.clone()).collect();
        let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        for record in [&names].into_iter().chain(&self.rows) {
            // Writing to memory does not fail.
            let _ = writer.write_record(record);
        }
        String::from_utf8_lossy(&writer.into_inner().unwrap_or_default()).into_owned()
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('\n', " ")
}

/// A cell in lines. A number is never broken: its parts would be other numbers.
fn broken(text: &str, most: usize, side: Side) -> String {
    if side == Side::Right { text.to_owned() } else { wrapped(text, most).join("\n") }
}

/// A text in lines of at most `most` characters, broken between words; a longer word is broken, after `=`
/// if it has one, so that the value of a setting stays whole.
pub(super) fn wrapped(text: &str, most: usize) -> Vec<String> {
    let most = most.max(1);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= most => {
                line.push(' ');
                line.push_str(word);
                continue;
            }
            _ => {}
        }
        let mut rest: Vec<char> = word.chars().collect();
        while rest.len() > most {
            let end = rest[..most].iter().rposition(|c| *c == '=').map_or(most, |at| at + 1);
            lines.push(rest.drain(..end).collect());
        }
        lines.push(rest.into_iter().collect());
    }
    if lines.is_empty() { vec![String::new()] } else { lines }
}
