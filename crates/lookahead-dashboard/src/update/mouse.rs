//! The mouse.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::cursor::{pan, put_cursor, zoom};
use super::list::scroll;
use super::table;
use crate::message::Effect;
use crate::model::Model;
use crate::view::layout::{Layout, layout};
use crate::view::table::row_at;
use crate::viewport::ZOOM;

pub(super) fn on_mouse(model: &mut Model, mouse: MouseEvent) -> Vec<Effect> {
    if matches!(mouse.kind, MouseEventKind::Down(_)) {
        model.dialogs.question = None;
    }
    if model.is_table_open() && model.dialogs.overlay.is_none() {
        on_table(model, mouse);
        return Vec::new();
    }
    let position = Position { x: mouse.column, y: mouse.row };
    let found: Layout = layout(model);
    let over_list = model.dialogs.overlay.is_some();
    match mouse.kind {
        MouseEventKind::ScrollUp if over_list => scroll(model, 3),
        MouseEventKind::ScrollDown if over_list => scroll(model, -3),
        _ if over_list || model.dialogs.prompt.is_some() => {}
        MouseEventKind::Up(_) => model.view.dragged = None,
        _ if found.plot.contains(position) => {
            let span = model.span();
            let column = usize::from(mouse.column - found.plot.x);
            let at = span.position(column, usize::from(found.plot.width));
            match mouse.kind {
                MouseEventKind::ScrollUp => zoom(model, ZOOM.sqrt(), Some(at)),
                MouseEventKind::ScrollDown => zoom(model, ZOOM.sqrt().recip(), Some(at)),
                MouseEventKind::Down(MouseButton::Left) => {
                    model.view.dragged = Some(mouse.column);
                    let step = model.run().step_at(model.view.viewport.axis, at);
                    put_cursor(model, step);
                }
                MouseEventKind::Drag(MouseButton::Left) => {
                    if let Some(before) = model.view.dragged.replace(mouse.column) {
                        let moved = f64::from(before) - f64::from(mouse.column);
                        pan(model, moved / f64::from(found.plot.width.max(1)));
                    }
                }
                _ => {}
            }
        }
        MouseEventKind::Down(button) if found.runs.contains(position) => {
            let first = found.first_run;
            let index = first + usize::from(mouse.row.saturating_sub(found.runs.y));
            if index < model.runs.len() {
                if button == MouseButton::Right || model.selected == index {
                    model.runs[index].hidden ^= true;
                }
                model.selected = index;
            }
        }
        MouseEventKind::Down(_) => {
            let mut others = found.small.iter().chain(&found.grid.cells);
            if let Some((chart, _)) = others.find(|(_, area)| area.contains(position)) {
                model.view.chart = *chart;
            }
        }
        _ => {}
    }
    Vec::new()
}

/// The wheel and a click select a run of the table.
fn on_table(model: &mut Model, mouse: MouseEvent) {
    let screen = Rect { x: 0, y: 0, width: model.size.0, height: model.size.1 };
    match mouse.kind {
        MouseEventKind::ScrollUp => table::select(model, -3),
        MouseEventKind::ScrollDown => table::select(model, 3),
        MouseEventKind::Down(_) => {
            if let Some(table) = &mut model.table
                && let Some(place) = row_at(table, screen, mouse.row)
            {
                table.select(place);
            }
        }
        _ => {}
    }
}
