//! The actions of the [table of keys](crate::keys).

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use lookahead_run::command::Command;

use super::command::{send, send_to};
use super::cursor::{dots, move_cursor, next_axis, pan, zoom};
use super::list::{page, scroll, search};
use super::prompt::on_key_in_prompt;
use crate::chart::Chart;
use crate::keys::{self, Action, Place};
use crate::message::Effect;
use crate::model::dialogs::{MessageList, Overlay, Question};
use crate::model::{Model, Role};
use crate::prompt::{Prompt, Purpose};
use crate::smoothing::DECAYS;
use crate::theme::Theme;
use crate::viewport::{PAN, Range, ZOOM};

pub(super) fn on_key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    if model.dialogs.prompt.is_some() {
        return on_key_in_prompt(model, key);
    }
    if key.kind != KeyEventKind::Release
        && let Some(question) = model.dialogs.question.take()
    {
        let yes = matches!(key.code, KeyCode::Char('y' | 'Y') | KeyCode::Enter);
        if yes && question.seen && key.modifiers.difference(KeyModifiers::SHIFT).is_empty() {
            return send_to(model, question.run, Command::Stop);
        }
    }
    let place = if model.dialogs.overlay.is_some() { Place::List } else { Place::Charts };
    keys::action(&key, place).map_or_else(Vec::new, |action| act(model, action, key.code))
}

fn act(model: &mut Model, action: Action, code: KeyCode) -> Vec<Effect> {
    match action {
        Action::TogglePause => {
            let would_continue = model.run().would_continue();
            return send(model, if would_continue { Command::Continue } else { Command::Pause });
        }
        Action::Checkpoint => return send(model, Command::Checkpoint),
        // The run may be someone else's, and one wrong key would stop it.
        Action::Stop if model.role == Role::Watcher && model.run().accepts_commands() => {
            model.dialogs.question = Some(Question { run: model.selected, seen: false });
        }
        Action::Stop => return send(model, Command::Stop),
        Action::Quit => model.exit.quit = true,
        Action::Interrupt if model.role == Role::Watcher => model.exit.quit = true,
        Action::Interrupt => {
            model.exit.interrupts += 1;
            return send(model, Command::Stop);
        }
        Action::Suspend => model.exit.suspend = true,
        Action::Prompt => model.dialogs.prompt = Some(Prompt::new(Purpose::Command)),
        Action::Search => model.dialogs.prompt = Some(Prompt::new(Purpose::Search)),
        Action::Close => {
            if model.dialogs.overlay.take().is_none() {
                model.view.cursor = None;
            }
        }
        Action::ToggleHelp => {
            let open = matches!(model.dialogs.overlay, Some(Overlay::Help(_)));
            model.dialogs.overlay = (!open).then_some(Overlay::Help(0));
        }
        Action::ToggleMessages => {
            let open = matches!(model.dialogs.overlay, Some(Overlay::Messages(_)));
            model.dialogs.overlay = (!open).then(|| Overlay::Messages(MessageList::default()));
        }
        Action::Up => scroll(model, 1),
        Action::Down => scroll(model, -1),
        Action::PageUp => scroll(model, page(model)),
        Action::PageDown => scroll(model, -page(model)),
        Action::NextMatch => search(model, 1),
        Action::PreviousMatch => search(model, -1),
        Action::NextTheme => model.theme = Theme::new(model.theme.name.next()),
        Action::Save => return vec![Effect::Save(None)],
        Action::PreviousRun => model.selected = model.selected.saturating_sub(1),
        Action::NextRun => model.selected = (model.selected + 1).min(model.runs.len() - 1),
        Action::ToggleRun => {
            let several = model.runs.len() > 1;
            model.run_mut().hidden ^= several;
        }
        Action::PickChart => {
            let picked = code.as_char().and_then(Chart::of_key);
            model.view.chart = picked.unwrap_or(model.view.chart);
        }
        Action::NextChart => model.view.chart = model.view.chart.step(1),
        Action::PreviousChart => model.view.chart = model.view.chart.step(-1),
        Action::ZoomIn => zoom(model, ZOOM, None),
        Action::ZoomOut => zoom(model, 1.0 / ZOOM, None),
        Action::PanLeft => pan(model, -PAN),
        Action::PanRight => pan(model, PAN),
        Action::Follow => {
            let whole = model.whole();
            model.view.viewport.follow(whole);
        }
        Action::ShowAll => model.view.viewport.range = Range::All,
        Action::ToggleLog => model.view.log_y ^= true,
        Action::NextAxis => next_axis(model),
        Action::LessSmoothing => model.view.smoothing = model.view.smoothing.saturating_sub(1),
        Action::MoreSmoothing => {
            model.view.smoothing = (model.view.smoothing + 1).min(DECAYS.len() - 1);
        }
        Action::ToggleRaw => model.view.raw ^= true,
        Action::CursorLeft => move_cursor(model, -1.0),
        Action::CursorRight => move_cursor(model, 1.0),
        Action::CursorFarLeft => move_cursor(model, -f64::from(dots(model)) / 10.0),
        Action::CursorFarRight => move_cursor(model, f64::from(dots(model)) / 10.0),
    }
    Vec::new()
}
