//! What each action of the [table of keys](crate::keys) does.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use lookahead_run::command::Command;

use super::ask::{ask, ask_run};
use super::cursor::{dots, move_cursor, next_axis, pan, zoom};
use super::list::{page, scroll, search};
use super::prompt::on_key_in_prompt;
use crate::charts::Chart;
use crate::keys::{self, Action, Place};
use crate::message::Effect;
use crate::model::{List, Model, Overlay, Question, Role};
use crate::prompt::{Prompt, Purpose};
use crate::smoothing::DECAYS;
use crate::theme::Theme;
use crate::viewport::{PAN, Range, ZOOM};

pub(super) fn on_key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    if model.prompt.is_some() {
        return on_key_in_prompt(model, key);
    }
    if key.kind != KeyEventKind::Release
        && let Some(question) = model.question.take()
    {
        let yes = matches!(key.code, KeyCode::Char('y' | 'Y') | KeyCode::Enter);
        if yes && question.seen && key.modifiers.difference(KeyModifiers::SHIFT).is_empty() {
            return ask_run(model, question.run, Command::Stop);
        }
    }
    let place = if model.overlay.is_some() { Place::List } else { Place::Charts };
    keys::action(&key, place).map_or_else(Vec::new, |action| act(model, action, key.code))
}

fn act(model: &mut Model, action: Action, code: KeyCode) -> Vec<Effect> {
    match action {
        Action::TogglePause => {
            let go_on = model.run().would_continue();
            return ask(model, if go_on { Command::Continue } else { Command::Pause });
        }
        Action::Checkpoint => return ask(model, Command::Checkpoint),
        // It may be someone else's, and is lost to them with a slip of the finger.
        Action::Stop if model.role == Role::Watcher && model.run().takes_commands() => {
            model.question = Some(Question { run: model.selected, seen: false });
        }
        Action::Stop => return ask(model, Command::Stop),
        Action::Quit => model.quit = true,
        Action::Interrupt if model.role == Role::Watcher => model.quit = true,
        Action::Interrupt => {
            model.interrupts += 1;
            model.abort = model.interrupts > 1;
            return ask(model, Command::Stop);
        }
        Action::Suspend => model.suspend = true,
        Action::Prompt => model.prompt = Some(Prompt::new(Purpose::Command)),
        Action::Search => model.prompt = Some(Prompt::new(Purpose::Search)),
        Action::Close => {
            if model.overlay.take().is_none() {
                model.cursor = None;
            }
        }
        Action::ToggleHelp => {
            let open = matches!(model.overlay, Some(Overlay::Help(_)));
            model.overlay = (!open).then_some(Overlay::Help(0));
        }
        Action::ToggleMessages => {
            let open = matches!(model.overlay, Some(Overlay::Messages(_)));
            model.overlay = (!open).then(|| Overlay::Messages(List::default()));
        }
        Action::Up => scroll(model, 1),
        Action::Down => scroll(model, -1),
        Action::PageUp => scroll(model, page(model)),
        Action::PageDown => scroll(model, -page(model)),
        Action::NextMatch => search(model, 1),
        Action::PreviousMatch => search(model, -1),
        Action::NextTheme => model.theme = Theme::new(model.theme.name.next()),
        Action::Save => return vec![Effect::Save(None)],
        Action::PreviousRun => select(model, -1),
        Action::NextRun => select(model, 1),
        Action::ToggleRun => {
            if model.runs.len() > 1 {
                model.run_mut().shown ^= true;
            }
        }
        action => look(model, action, code),
    }
    Vec::new()
}

/// What changes the picture and nothing else.
fn look(model: &mut Model, action: Action, code: KeyCode) {
    match action {
        Action::PickChart => {
            if let KeyCode::Char(digit) = code
                && let Some(chart) = Chart::of_digit(digit)
            {
                model.chart = chart;
            }
        }
        Action::NextChart => model.chart = model.chart.next(),
        Action::PreviousChart => model.chart = model.chart.previous(),
        Action::ZoomIn => zoom(model, ZOOM, None),
        Action::ZoomOut => zoom(model, 1.0 / ZOOM, None),
        Action::PanLeft => pan(model, -PAN),
        Action::PanRight => pan(model, PAN),
        Action::Follow => {
            let whole = model.whole();
            model.viewport.follow(whole);
        }
        Action::ShowAll => model.viewport.range = Range::All,
        Action::ToggleLog => model.log_y ^= true,
        Action::NextAxis => next_axis(model),
        Action::LessSmoothing => model.smoothing = model.smoothing.saturating_sub(1),
        Action::MoreSmoothing => model.smoothing = (model.smoothing + 1).min(DECAYS.len() - 1),
        Action::ToggleRaw => model.raw ^= true,
        Action::CursorLeft => move_cursor(model, -1.0),
        Action::CursorRight => move_cursor(model, 1.0),
        Action::CursorFarLeft => move_cursor(model, -f64::from(dots(model)) / 10.0),
        Action::CursorFarRight => move_cursor(model, f64::from(dots(model)) / 10.0),
        _ => {}
    }
}

fn select(model: &mut Model, by: isize) {
    let last = model.runs.len() - 1;
    model.selected = model.selected.saturating_add_signed(by).min(last);
}
