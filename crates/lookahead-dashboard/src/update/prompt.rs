//! Writing in the prompt, and what a line does.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::ask::ask;
use super::cursor::put_cursor;
use super::list::search_from_newest;
use crate::message::Effect;
use crate::model::{List, Model, Overlay};
use crate::prompt::{self, Line, Prompt, Purpose};

/// Lines that were entered and can be recalled, at most.
const RECALLED: usize = 100;

/// A key for the prompt.
pub(super) fn on_key_in_prompt(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let Some(prompt) = &mut model.prompt else { return Vec::new() };
    if key.kind == KeyEventKind::Release {
        return Vec::new();
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Esc => model.prompt = None,
        // Twice Ctrl-C ends the program from here as well.
        KeyCode::Char('c') if control => {
            model.prompt = None;
        }
        KeyCode::Char('z') if control => model.suspend = true,
        KeyCode::Char('u') if control => *prompt = Prompt::new(prompt.purpose),
        KeyCode::Char(_) if control || key.modifiers.contains(KeyModifiers::ALT) => {}
        KeyCode::Char(letter) => prompt.insert(letter),
        KeyCode::Backspace if prompt.text.is_empty() => model.prompt = None,
        KeyCode::Backspace => prompt.delete_before(),
        KeyCode::Delete => prompt.delete_after(),
        KeyCode::Left => prompt.go(-1),
        KeyCode::Right => prompt.go(1),
        KeyCode::Home => prompt.go(isize::MIN + 1),
        KeyCode::End => prompt.go(isize::MAX),
        KeyCode::Up => prompt.recall(true, &model.entered),
        KeyCode::Down => prompt.recall(false, &model.entered),
        KeyCode::Tab if prompt.purpose == Purpose::Command => prompt.complete(),
        KeyCode::Enter => return enter(model),
        _ => {}
    }
    if let Some(prompt) = &mut model.prompt {
        prompt.error = None;
    }
    Vec::new()
}

fn enter(model: &mut Model) -> Vec<Effect> {
    let Some(mut prompt) = model.prompt.take() else { return Vec::new() };
    let text = prompt.text.trim().to_owned();
    if text.is_empty() {
        return Vec::new();
    }
    if prompt.purpose == Purpose::Search {
        let before = match model.overlay.take() {
            Some(Overlay::Messages(list)) => list,
            _ => List::default(),
        };
        model.overlay =
            Some(Overlay::Messages(List { search: Some(text.to_lowercase()), ..before }));
        search_from_newest(model);
        return Vec::new();
    }
    match prompt::read(&text) {
        Err(error) => {
            prompt.error = Some(error);
            model.prompt = Some(prompt);
            Vec::new()
        }
        Ok(line) => {
            if model.entered.last() != Some(&text) {
                model.entered.push(text);
            }
            let surplus = model.entered.len().saturating_sub(RECALLED);
            model.entered.drain(..surplus);
            handle_command(model, line)
        }
    }
}

fn handle_command(model: &mut Model, line: Line) -> Vec<Effect> {
    match line {
        Line::Ask(command) => ask(model, command),
        Line::GoTo(step) => {
            put_cursor(model, step);
            Vec::new()
        }
        Line::Smooth(index) => {
            model.smoothing = index;
            Vec::new()
        }
        Line::Save(file) => vec![Effect::Save(file)],
        Line::Quit => {
            model.quit = true;
            Vec::new()
        }
    }
}

/// A paste is text for the prompt, and never a row of keys: there may be an `s` in it.
pub(super) fn on_paste(model: &mut Model, text: &str) {
    match &mut model.prompt {
        Some(prompt) => {
            prompt.error = None;
            if prompt.paste(text) {
                model.notify("Only the first line of what was pasted is used.".into());
            }
        }
        None => {
            let text =
                "What was pasted is ignored. Press : to write a command, and paste it there.";
            model.notify(text.into());
        }
    }
}
