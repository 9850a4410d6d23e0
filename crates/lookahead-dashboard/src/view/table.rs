//! The table of runs, over the whole screen.

use lookahead_run::settings::written;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use serde_json::Value;
use std::collections::BTreeSet;

use super::cells::{put, width};
use super::footer;
use crate::format;
use crate::model::Model;
use crate::model::table::{Column, Diff, Progress, Row, RowState, Table, progress};
use crate::theme::Theme;

/// Columns left of the names: the signs of the selected run and of a marked one.
const SIGNS: u16 = 3;
/// Blanks between two columns.
const GAP: usize = 2;
/// Screens that are narrower have less in a cell.
const NARROW: u16 = 100;
/// Lower ones have no line for the filter and the order.
const LOW: u16 = 16;

/// The areas of the table.
struct Areas {
    title: Rect,
    note: Rect,
    heads: Rect,
    rows: Rect,
    footer: Rect,
}

fn areas(area: Rect) -> Areas {
    let line = |y: u16, height: u16| Rect { y: area.y + y, height, ..area };
    let note = u16::from(area.height >= LOW);
    // The rows come first if there is room for nothing else.
    let [title, heads, footer] = [3, 2, 4].map(|least| u16::from(area.height >= least));
    let above = title + note + heads;
    let rows = area.height.saturating_sub(above + footer);
    Areas {
        title: line(0, title),
        note: line(title, note),
        heads: line(title + note, heads),
        rows: line(above, rows),
        footer: line(above + rows, footer),
    }
}

/// The place of the first row that is drawn: the selected one is always on the screen.
fn first_row(table: &Table, rows: u16) -> usize {
    (table.place() + 1).saturating_sub(usize::from(rows))
}

/// The place of the row at this line of a screen.
pub(crate) fn row_at(table: &Table, screen: Rect, y: u16) -> Option<usize> {
    let rows = areas(screen).rows;
    let is_row = (rows.top()..rows.bottom()).contains(&y) && table.diff.is_none();
    is_row.then(|| first_row(table, rows.height) + usize::from(y - rows.y))
}

pub(crate) fn draw(model: &Model, table: &Table, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let Areas { title, note, heads, rows, footer } = areas(area);
    draw_title(theme, table, title, buffer);
    match table.diff {
        Some(diff) => {
            let below = Rect { height: note.height + heads.height + rows.height, ..note };
            draw_diff(theme, table, diff, below, buffer);
        }
        None => {
            put(buffer, note, note.x + 1, note.y, &order_and_filter(table), theme.dim);
            draw_rows(model, table, heads, rows, buffer);
        }
    }
    if !footer.is_empty() {
        footer::draw(model, footer, buffer);
    }
}

/// The name and the progress.
fn draw_title(theme: &Theme, table: &Table, area: Rect, buffer: &mut Buffer) {
    let x = put(buffer, area, area.x + 1, area.y, &table.title, theme.strong);
    let progress = progress(table.rows(), table.planned);
    let short = area.width < 60;
    let mut x = x + if short { 1 } else { 3 };
    for (text, style) in parts(theme, table, &progress, short) {
        // Part of a number or of a word would mislead.
        if x + width(&text) > area.right() {
            put(buffer, area, x, area.y, "…", theme.dim);
            break;
        }
        x = put(buffer, area, x, area.y, &text, style) + if short { 1 } else { 3 };
    }
}

/// The parts of the progress, with their styles.
fn parts(theme: &Theme, table: &Table, progress: &Progress, short: bool) -> Vec<(String, Style)> {
    let total = progress.total as u64;
    let runs = if total == 1 { "run" } else { "runs" };
    let all = match (table.planned, short) {
        (Some(_), false) => {
            let finished = format::count(progress.finished as u64);
            format!("{finished} of {} {runs} finished", format::count(total))
        }
        (Some(_), true) => format!("{}/{}", progress.finished, progress.total),
        (None, _) => format!("{} {runs}", format::count(total)),
    };
    let mut parts = vec![(all, theme.plain)];
    if let (Some(left), false) = (progress.left, table.planned.is_none()) {
        parts.push((format!("about {} left", format::duration(left)), theme.plain));
    }
    let finished = if table.planned.is_none() { progress.finished } else { 0 };
    let counts = [
        (progress.running, "running", theme.good),
        (finished, "finished", theme.plain),
        (progress.stopped, "stopped", theme.warning),
        (progress.failed, "failed", theme.bad),
        (progress.unreadable, "unreadable", theme.bad),
        (progress.waiting, "waiting", theme.dim),
    ];
    let counts = counts.into_iter().filter(|(number, ..)| *number > 0);
    parts.extend(counts.map(|(number, state, style)| {
        (format!("{} {state}", format::count(number as u64)), style)
    }));
    parts
}

fn order_and_filter(table: &Table) -> String {
    let reversed = if table.is_reversed { ", reversed" } else { "" };
    let mut text = format!("by {}{reversed}", table.head(&table.sort));
    if !table.filter.is_empty() {
        let shown = format::count(table.order.len() as u64);
        text = format!("filter: {}   {shown} shown   {text}", table.filter);
    }
    if !table.marked.is_empty() {
        text += &format!("   {} marked", format::count(table.marked.len() as u64));
    }
    if let Some(unread @ 1..) = table.unread {
        text += &format!("   reading {} more", format::count(unread as u64));
    }
    text
}

/// The columns that fit, each with its width, and how many do not.
fn fitting(table: &Table, area: Rect) -> (Vec<(&Column, usize)>, usize) {
    let narrow = area.width < NARROW;
    let all: Vec<(&Column, usize)> = table
        .widths()
        .map(|(column, width)| match column {
            Column::Name => (column, width.min(usize::from(area.width / 3).max(12))),
            Column::Step if narrow => (column, "step ▲".chars().count()),
            _ => (column, width),
        })
        .collect();
    let Some((name, rest)) = all.split_first() else { return (Vec::new(), 0) };
    let room = usize::from(area.width.saturating_sub(SIGNS)).saturating_sub(name.1);
    let from = |start: usize| {
        let mut used = 0;
        let fit = rest[start..].iter().take_while(move |(_, width)| {
            used += width + GAP;
            used <= room
        });
        fit.copied().collect::<Vec<_>>()
    };
    // The column of the order is always on the screen, except for that of the usual order.
    let has_order = |columns: &Vec<(&Column, usize)>| {
        matches!(table.sort, Column::Name | Column::LastEvent)
            || columns.iter().any(|(column, _)| **column == table.sort)
    };
    let usual = from(0);
    let fit = if has_order(&usual) || !rest.iter().any(|(column, _)| **column == table.sort) {
        usual
    } else {
        (1..rest.len()).map(from).find(has_order).unwrap_or_default()
    };
    let hidden = rest.len() - fit.len();
    (std::iter::once(*name).chain(fit).collect(), hidden)
}

fn is_number(column: &Column) -> bool {
    matches!(column, Column::Step | Column::Loss | Column::Best)
}

fn draw_rows(model: &Model, table: &Table, heads: Rect, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let (columns, hidden) = fitting(table, area);
    let mut x = heads.x + SIGNS;
    for (column, room) in &columns {
        let arrow = match (**column == table.sort, table.is_reversed) {
            (true, false) => " ▼",
            (true, true) => " ▲",
            (false, _) => "",
        };
        let text = cell(&(table.head(column) + arrow), *room, is_number(column));
        x = put(buffer, heads, x, heads.y, &text, theme.title) + GAP as u16;
    }
    if hidden > 0 {
        let more = format!("+{hidden}");
        let at = heads.right().saturating_sub(width(&more));
        if at >= x.saturating_sub(GAP as u16) {
            put(buffer, heads, at, heads.y, &more, theme.dim);
        }
    }
    if table.order.is_empty() {
        put(buffer, area, area.x + SIGNS, area.y, nothing(table), theme.dim);
    }
    let selected = table.selected();
    let first = first_row(table, area.height);
    let metric = table.metric();
    let text = |row: &Row, column: &Column| table.text(row, column, metric, model.now);
    for (number, y) in table.order.iter().skip(first).zip(area.top()..area.bottom()) {
        let Some(row) = table.row(*number) else { continue };
        let is_selected = selected == Some(*number);
        let is_marked = table.marked.contains(number);
        let style = if is_selected { theme.strong } else { theme.plain };
        put(buffer, area, area.x, y, if is_selected { "▶" } else { " " }, theme.strong);
        put(buffer, area, area.x + 1, y, if is_marked { "◆" } else { " " }, theme.fast);
        draw_row(theme, &text, row, &columns, Rect { y, height: 1, ..area }, style, buffer);
    }
}

fn nothing(table: &Table) -> &'static str {
    match table.unread {
        None => "Looking for runs…",
        Some(_) if table.rows().next().is_some() => "No run passes the filter. Esc removes it.",
        Some(0) => "There is no run yet. Those that begin appear here.",
        Some(_) => "Reading the runs…",
    }
}

fn draw_row(
    theme: &Theme,
    text: &dyn Fn(&Row, &Column) -> String,
    row: &Row,
    columns: &[(&Column, usize)],
    area: Rect,
    style: Style,
    buffer: &mut Buffer,
) {
    let mut x = area.x + SIGNS;
    for (column, room) in columns {
        let style = match column {
            Column::State => state_style(theme, row.state),
            _ => style,
        };
        let text = match (column, row.part()) {
            (Column::Step, Some(part)) if area.width < NARROW => format::percent(part, 0),
            _ => text(row, column),
        };
        x = put(buffer, area, x, area.y, &cell(&text, *room, is_number(column)), style);
        x += GAP as u16;
        if let (Column::State, Some(fault)) = (column, &row.fault) {
            put(buffer, area, x, area.y, fault, theme.bad);
            return;
        }
    }
}

fn state_style(theme: &Theme, state: RowState) -> Style {
    match state {
        RowState::Waiting => theme.dim,
        RowState::Running => theme.good,
        RowState::Finished => theme.plain,
        RowState::Stopped => theme.warning,
        RowState::Failed | RowState::Unreadable => theme.bad,
    }
}

/// A text in a cell of that many columns, cut with an ellipsis; numbers are at the right.
fn cell(text: &str, room: usize, right: bool) -> String {
    let length = usize::from(width(text));
    if length > room {
        let mut cut = String::new();
        for letter in text.chars() {
            if usize::from(width(&cut)) + 2 > room {
                break;
            }
            cut.push(letter);
        }
        let used = usize::from(width(&cut)) + 1;
        return cut + "…" + &" ".repeat(room.saturating_sub(used));
    }
    let blank = " ".repeat(room - length);
    if right { blank + text } else { text.to_owned() + &blank }
}

/// The keys of two configs that differ, with both values.
fn draw_diff(theme: &Theme, table: &Table, diff: Diff, area: Rect, buffer: &mut Buffer) {
    let [Some(one), Some(other)] = diff.runs.map(|number| table.row(number)) else { return };
    let all: BTreeSet<&String> = one.settings.keys().chain(other.settings.keys()).collect();
    let (same, differ): (Vec<&String>, Vec<&String>) =
        all.into_iter().partition(|key| one.setting(key) == other.setting(key));
    let text = |value: Option<&Value>| value.map_or("–".to_owned(), written);
    let lines: Vec<[String; 3]> = differ
        .iter()
        .map(|key| [(*key).clone(), text(one.setting(key)), text(other.setting(key))])
        .collect();
    let summary = match (lines.len(), same.len()) {
        (0, 0) => "No config of the two is known yet.".to_owned(),
        (0, same) => format!("The configs are the same in all {same} keys."),
        (1, same) => format!("1 key differs, {same} are the same."),
        (count, same) => format!("{count} keys differ, {same} are the same."),
    };
    put(buffer, area, area.x + 1, area.y, &summary, theme.dim);
    let key = lines.iter().map(|line| usize::from(width(&line[0]))).max().unwrap_or(0).max(3);
    let key = key.min(usize::from(area.width / 2));
    let room = usize::from(area.width.saturating_sub(2)).saturating_sub(key + 2 * GAP) / 2;
    let widths = [key, room, room];
    let head = ["key".to_owned(), one.name.clone(), other.name.clone()];
    let rows = area.height.saturating_sub(2);
    let from = diff.from.min(lines.len().saturating_sub(usize::from(rows.max(1))));
    let below = lines.iter().skip(from).map(|line| (line, theme.plain));
    let shown = std::iter::once((&head, theme.title)).chain(below);
    for ((line, style), y) in shown.zip(area.y + 1..area.bottom()) {
        let mut x = area.x + 1;
        for (text, room) in line.iter().zip(widths) {
            x = put(buffer, area, x, y, &cell(text, room, false), style) + GAP as u16;
        }
    }
}
