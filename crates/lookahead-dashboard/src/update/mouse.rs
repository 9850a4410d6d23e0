//! The mouse.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::cursor::{pan, put_cursor, zoom};
use super::list::scroll;
use crate::message::Effect;
use crate::model::Model;
use crate::view::layout::{Layout, layout};
use crate::viewport::ZOOM;

pub(super) fn on_mouse(model: &mut Model, mouse: MouseEvent) -> Vec<Effect> {
    if matches!(mouse.kind, MouseEventKind::Down(_)) {
        model.question = None;
    }
    let place = Position { x: mouse.column, y: mouse.row };
    let found: Layout = layout(model);
    let over_list = model.overlay.is_some();
    match mouse.kind {
        MouseEventKind::ScrollUp if over_list => scroll(model, 3),
        MouseEventKind::ScrollDown if over_list => scroll(model, -3),
        _ if over_list || model.prompt.is_some() => {}
        MouseEventKind::Up(_) => model.dragged = None,
        _ if found.plot.contains(place) => {
            let span = model.span();
            let column = usize::from(place.x - found.plot.x);
            let position = span.position(column, usize::from(found.plot.width));
            match mouse.kind {
                MouseEventKind::ScrollUp => zoom(model, ZOOM.sqrt(), Some(position)),
                MouseEventKind::ScrollDown => zoom(model, ZOOM.sqrt().recip(), Some(position)),
                MouseEventKind::Down(MouseButton::Left) => {
                    model.dragged = Some(place.x);
                    let step = model.run().step_at(model.viewport.axis, position);
                    put_cursor(model, step);
                }
                MouseEventKind::Drag(MouseButton::Left) => {
                    if let Some(before) = model.dragged.replace(place.x) {
                        let moved = f64::from(before) - f64::from(place.x);
                        pan(model, moved / f64::from(found.plot.width.max(1)));
                    }
                }
                _ => {}
            }
        }
        MouseEventKind::Down(button) if found.runs.contains(place) => {
            let first = found.first_run;
            let index = first + usize::from(place.y.saturating_sub(found.runs.y));
            if index < model.runs.len() {
                if button == MouseButton::Right || model.selected == index {
                    model.runs[index].shown ^= true;
                }
                model.selected = index;
            }
        }
        MouseEventKind::Down(_) => {
            if let Some((chart, _)) = found.small.iter().find(|(_, area)| area.contains(place)) {
                model.chart = *chart;
            }
        }
        _ => {}
    }
    Vec::new()
}
