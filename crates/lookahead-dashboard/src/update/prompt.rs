//! Editing in the prompt, and what a line does.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use lookahead_run::settings;

use super::command::send;
use super::cursor::put_cursor;
use super::list::search;
use super::{grid, table};
use crate::message::Effect;
use crate::model::Model;
use crate::model::dialogs::{MessageList, Overlay};
use crate::prompt::{self, Prompt, PromptCommand, Purpose};

/// Most lines that can be recalled.
const RECALLED: usize = 100;

pub(crate) fn on_key_in_prompt(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let effects = edit(model, key);
    // The rows of the table follow each letter.
    if let Some(prompt) = &model.dialogs.prompt
        && prompt.purpose == Purpose::Filter
        && model.is_table_open()
    {
        table::filter(model, &prompt.text.clone());
    }
    effects
}

fn edit(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let dialogs = &mut model.dialogs;
    let Some(prompt) = &mut dialogs.prompt else { return Vec::new() };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Esc => {
            let is_filter = prompt.purpose == Purpose::Filter;
            dialogs.prompt = None;
            if is_filter && model.is_table_open() {
                table::filter(model, "");
            }
        }
        // A second Ctrl-C ends the program, from here as well.
        KeyCode::Char('c') if control => dialogs.prompt = None,
        KeyCode::Char('z') if control => model.exit.suspend = true,
        KeyCode::Char('u') if control => *prompt = Prompt::new(prompt.purpose),
        KeyCode::Char(_) if control || key.modifiers.contains(KeyModifiers::ALT) => {}
        KeyCode::Char(letter) => prompt.insert(letter),
        KeyCode::Backspace if prompt.text.is_empty() => dialogs.prompt = None,
        KeyCode::Backspace => prompt.delete_before(),
        KeyCode::Delete => prompt.delete_after(),
        KeyCode::Left => prompt.move_by(-1),
        KeyCode::Right => prompt.move_by(1),
        KeyCode::Home => prompt.move_by(isize::MIN + 1),
        KeyCode::End => prompt.move_by(isize::MAX),
        KeyCode::Up | KeyCode::Down if prompt.purpose == Purpose::Filter => {
            dialogs.prompt = None;
        }
        KeyCode::Up => prompt.recall(true, &dialogs.entered),
        KeyCode::Down => prompt.recall(false, &dialogs.entered),
        KeyCode::Tab if prompt.purpose == Purpose::Command => {
            let run = &model.runs[model.selected];
            match run.info().filter(|_| run.is_recorded()) {
                // It declares its settings, which are in its configuration.
                Some(info) => {
                    let known = settings::all(&info.config);
                    prompt.complete(&known.keys().map(String::as_str).collect::<Vec<_>>());
                }
                None => prompt.complete(&prompt::KEYS),
            }
        }
        KeyCode::Enter => return enter(model),
        _ => {}
    }
    Vec::new()
}

fn enter(model: &mut Model) -> Vec<Effect> {
    let Some(prompt) = model.dialogs.prompt.take() else { return Vec::new() };
    let text = prompt.text.trim().to_owned();
    if prompt.purpose == Purpose::Filter {
        if model.is_table_open() {
            table::filter(model, &text);
            return Vec::new();
        }
        return grid::filter(model, &text);
    }
    if text.is_empty() {
        return Vec::new();
    }
    if prompt.purpose == Purpose::Search {
        let list = MessageList { bottom: 0, search: Some(text.to_lowercase()) };
        model.dialogs.overlay = Some(Overlay::Messages(list));
        search(model, 0);
        return Vec::new();
    }
    // What the line before had as an answer.
    model.dialogs.notice = None;
    // A mistaken one as well, so that it can be corrected.
    let entered = &mut model.dialogs.entered;
    if entered.last() != Some(&text) {
        entered.push(text.clone());
    }
    let surplus = entered.len().saturating_sub(RECALLED);
    entered.drain(..surplus);
    match prompt::parse(&text) {
        // The prompt closes, as otherwise the next key, meant for the charts, would go into the line.
        Err(error) => {
            model.notify(format!("{error} Press : and ↑ to correct the line."));
            Vec::new()
        }
        Ok(command) => handle_command(model, command),
    }
}

fn handle_command(model: &mut Model, command: PromptCommand) -> Vec<Effect> {
    match command {
        PromptCommand::Run(command) => return send(model, command),
        PromptCommand::GoTo(step) => put_cursor(model, step),
        PromptCommand::Smooth(index) => model.view.smoothing = index,
        PromptCommand::Save(file) => return vec![Effect::Save(file)],
        PromptCommand::Quit => model.exit.quit = true,
    }
    Vec::new()
}

/// Pasted text goes to the prompt, and never acts as keys: it may contain an `s`.
pub(crate) fn on_paste(model: &mut Model, text: &str) {
    match &mut model.dialogs.prompt {
        Some(prompt) => {
            if prompt.paste(text) {
                model.notify("Only the first line of the pasted text is used.");
            }
        }
        None => model
            .notify("The pasted text is ignored. Press : to enter a command, and paste it there."),
    }
}
