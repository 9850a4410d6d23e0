//! The keys: one table has their actions, the footer, the help and the documentation.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use lookahead_run::command::Command;

use crate::chart::Chart;
use crate::message::Effect;
use crate::model::dialogs::{Asked, MessageList, Overlay, Question};
use crate::model::{Model, Role};
use crate::prompt::{Prompt, Purpose};
use crate::smoothing::DECAYS;
use crate::theme::Theme;
use crate::update::command::{send, send_to};
use crate::update::cursor::{far, move_cursor, next_axis, pan, zoom};
use crate::update::grid::{
    filter, move_pinned, open_chart, step_page, step_row, toggle_grid, toggle_pin,
};
use crate::update::list::{page, scroll, search};
use crate::update::prompt::on_key_in_prompt;
use crate::update::table;
use crate::viewport::{PAN, Range, ZOOM};

/// A row of the table.
pub(crate) struct Binding {
    place: Place,
    /// The keys; the footer names the first.
    pub(crate) keys: &'static [Key],
    action: Action,
    /// A sentence for the help.
    pub(crate) help: &'static str,
    /// A word for the footer; empty if the footer leaves the key out.
    pub(crate) short: &'static str,
    /// Whether it needs a run that accepts commands.
    pub(crate) is_command: bool,
}

/// Where a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Everywhere but in the prompt.
    Anywhere,
    /// In the charts and the lists that cover them.
    Opened,
    Charts,
    /// In the list of messages and in the help.
    List,
    /// In the table of runs.
    Table,
}

impl Place {
    /// Whether a key of this place works in `place`.
    fn includes(self, place: Place) -> bool {
        self == Anywhere || self == place || (self == Opened && place != Table)
    }
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// A character, as typed.
    Char(char),
    Ctrl(char),
    /// Another key.
    Code(KeyCode),
    /// Another key with Shift.
    Shift(KeyCode),
}

/// What a key does.
enum Action {
    /// Changes the model.
    Change(fn(&mut Model)),
    /// Has an effect outside of it.
    Act(fn(&mut Model) -> Vec<Effect>),
    /// Shows the chart with the pressed digit.
    PickChart,
}

use Action::{Act, Change, PickChart};
use Key::{Char, Code, Ctrl, Shift};
use Place::{Anywhere, Charts, List, Opened, Table};

const fn bind(place: Place, keys: &'static [Key], action: Action, help: &'static str) -> Binding {
    Binding { place, keys, action, help, short: "", is_command: false }
}

impl Binding {
    const fn footer(mut self, short: &'static str) -> Binding {
        self.short = short;
        self
    }

    const fn command(mut self, short: &'static str) -> Binding {
        self.is_command = true;
        self.footer(short)
    }
}

/// The key that closes what covers the charts or the table.
pub(crate) const ESC: Key = Code(KeyCode::Esc);

const DIGITS: &[Key] = &[
    Char('1'),
    Char('2'),
    Char('3'),
    Char('4'),
    Char('5'),
    Char('6'),
    Char('7'),
    Char('8'),
    Char('9'),
    Char('0'),
];

/// The table of keys.
#[rustfmt::skip]
pub(crate) static KEYS: &[Binding] = &[
    bind(Charts, &[Char('p')], Act(toggle_pause), "Pause the run, or continue it.").command("pause"),
    bind(Charts, &[Char('c')], Act(|model| send(model, Command::Checkpoint)), "Save a checkpoint now.")
        .command("checkpoint"),
    bind(Charts, &[Char('s')], Act(stop),
        "Save a checkpoint and stop; `lookahead resume` continues from it. `lookahead watch` asks first.")
        .command("stop"),
    bind(Charts, &[Char('R')], Act(roll_back),
        "Set the fast weights back to the slow ones, and continue from there; asks first."),
    bind(Anywhere, &[Char('q')], Change(|model| model.exit.quit = true),
        "Leave the dashboard; the training continues, and `lookahead watch` shows it again.")
        .footer("quit"),
    bind(Opened, &[Char(':')], Change(|model| model.dialogs.prompt = Some(Prompt::new(Purpose::Command))),
        "Enter a command, for example set optimizer.lr=0.01. Pasted text is accepted only here.")
        .command("command"),
    bind(Charts, &[Char('g')], Act(toggle_grid),
        "Switch between one chart and a grid of all charts, as many on a page as fit.").footer("grid"),
    bind(Anywhere, &[Char('?'), Char('h')], Change(toggle_help), "Show or close this help.").footer("help"),
    bind(Charts, &[Code(KeyCode::Tab)], Change(|model| step_chart(model, 1)),
        "Show the next chart."),
    bind(Charts, &[Code(KeyCode::BackTab)], Change(|model| step_chart(model, -1)),
        "Show the previous chart."),
    bind(Charts, &[Char('n')], Change(|model| step_scalar(model, 1)),
        "Show the next chart of a number that the program logs by name."),
    bind(Charts, &[Char('N')], Change(|model| step_scalar(model, -1)), "Show the previous chart of such a number."),
    bind(Charts, &[Code(KeyCode::Enter)], Act(open_chart), "In the grid: show the selected chart alone."),
    bind(Charts, &[Code(KeyCode::PageUp)], Change(|model| step_page(model, -1)), "In the grid: the previous page."),
    bind(Charts, &[Code(KeyCode::PageDown)], Change(|model| step_page(model, 1)), "In the grid: the next page."),
    bind(Charts, &[Shift(KeyCode::Up)], Change(|model| step_row(model, -1)),
        "In the grid: select the chart above; Tab and Shift-Tab select the next and the previous one."),
    bind(Charts, &[Shift(KeyCode::Down)], Change(|model| step_row(model, 1)), "In the grid: select the chart below."),
    bind(Charts, &[Char('*')], Act(toggle_pin), "Pin the chart, so that it comes first in the grid, or unpin it."),
    bind(Charts, &[Char('{')], Act(|model| move_pinned(model, -1)),
        "Move the chart to an earlier place among the pinned ones."),
    bind(Charts, &[Char('}')], Act(|model| move_pinned(model, 1)),
        "Move the chart to a later place among the pinned ones."),
    bind(Charts, DIGITS, PickChart, "Show the chart with this number, as listed at the end of this help."),
    bind(Charts, &[Char('+'), Char('=')], Change(|model| zoom(model, ZOOM, None)), "Zoom in around the cursor."),
    bind(Charts, &[Char('-')], Change(|model| zoom(model, 1.0 / ZOOM, None)), "Zoom out."),
    bind(Charts, &[Char('<'), Char(',')], Change(|model| pan(model, -PAN)), "Pan to earlier steps."),
    bind(Charts, &[Char('>'), Char('.')], Change(|model| pan(model, PAN)), "Pan to later steps."),
    bind(Charts, &[Char('f')], Change(follow), "Follow the newest step at the current zoom."),
    bind(Charts, &[Char('r')], Change(|model| model.view.viewport.range = Range::All), "Show the whole run."),
    bind(Charts, &[Code(KeyCode::Left)], Change(|model| move_cursor(model, -1.0)),
        "Move the cursor, which reads all values at a step, to the left."),
    bind(Charts, &[Code(KeyCode::Right)], Change(|model| move_cursor(model, 1.0)), "Move the cursor to the right."),
    bind(Charts, &[Shift(KeyCode::Left)], Change(|model| move_cursor(model, -far(model))),
        "Move the cursor by a tenth of the chart to the left."),
    bind(Charts, &[Shift(KeyCode::Right)], Change(|model| move_cursor(model, far(model))),
        "Move the cursor by a tenth of the chart to the right."),
    bind(Charts, &[Char('l')], Change(|model| model.view.log_y ^= true),
        "Switch the y axis between linear and logarithmic."),
    bind(Charts, &[Char('y')], Change(|model| model.view.all_values ^= true),
        "Let the y axis cover all values, or only the usual ones."),
    bind(Charts, &[Char('x')], Change(next_axis), "Switch the x axis between steps, epochs and time."),
    bind(Charts, &[Char('[')], Change(|model| smooth(model, -1)), "Smooth over fewer points."),
    bind(Charts, &[Char(']')], Change(|model| smooth(model, 1)), "Smooth over more points."),
    bind(Charts, &[Char('o')], Change(|model| model.view.raw ^= true),
        "Show or hide the single points behind the smoothed line."),
    bind(Charts, &[Char('b')], Change(|model| model.view.both_weights ^= true),
        "With several runs: show the fast and the slow weights of each, or one line for each."),
    bind(Charts, &[Code(KeyCode::Up)], Change(|model| select(model, -1)), "Select the previous run."),
    bind(Charts, &[Code(KeyCode::Down)], Change(|model| select(model, 1)), "Select the next run."),
    bind(Charts, &[Char(' ')], Change(toggle_run), "Show or hide the selected run."),
    bind(Opened, &[Char('m')], Change(toggle_messages), "Show or close all messages."),
    bind(Opened, &[Char('/')], Change(search_or_filter),
        "Search the messages; in the grid, show only the charts whose names contain these words."),
    bind(List, &[Char('n')], Change(|model| search(model, 1)), "Go to the next older match."),
    bind(List, &[Char('N')], Change(|model| search(model, -1)), "Go to the next newer match."),
    bind(List, &[Code(KeyCode::Up), Char('k')], Change(|model| scroll(model, 1)), "Scroll up."),
    bind(List, &[Code(KeyCode::Down), Char('j')], Change(|model| scroll(model, -1)), "Scroll down."),
    bind(List, &[Code(KeyCode::PageUp)], Change(|model| scroll(model, page(model))), "Scroll up by a page."),
    bind(List, &[Code(KeyCode::PageDown), Char(' ')], Change(|model| scroll(model, -page(model))),
        "Scroll down by a page."),
    bind(Anywhere, &[Char('t')], Change(|model| model.theme = Theme::new(model.theme.name.next())),
        "Switch the colours: dark, light, color-blind, none."),
    bind(Charts, &[Char('w')], Act(|_| vec![Effect::Save(None)]),
        "Save the chart as a picture in the working directory."),
    bind(Anywhere, &[Code(KeyCode::Esc)], Act(close),
        "Close what covers the charts; remove the cursor, then the grid's filter; return to the table of runs."),
    bind(Anywhere, &[Ctrl('c')], Act(interrupt),
        "As s; twice, exit at once without saving. In `lookahead watch` as q."),
    bind(Anywhere, &[Ctrl('z')], Change(|model| model.exit.suspend = true),
        "Suspend the program and return to the shell; `fg` resumes it."),
    bind(Table, &[Code(KeyCode::Enter)], Act(table::open), "Show the charts of the marked runs, or of the selected one.")
        .footer("open"),
    bind(Table, &[Char(' ')], Change(table::toggle_mark), "Mark the selected run, or unmark it.").footer("mark"),
    bind(Table, &[Char('a')], Change(table::mark_all), "Mark all runs that are shown, or none."),
    bind(Table, &[Char('d')], Change(table::toggle_diff),
        "Compare the configs of the two marked runs, or of the marked and the selected one.").footer("diff"),
    bind(Table, &[Char('/')], Change(table::ask_for_filter),
        "Show only runs with these words: parts of names and states, or key=value. Esc removes the filter.")
        .footer("filter"),
    bind(Table, &[Char('>'), Char('.')], Change(|model| table::sort(model, 1)), "Sort by the next column.")
        .footer("sort"),
    bind(Table, &[Char('<'), Char(',')], Change(|model| table::sort(model, -1)), "Sort by the previous column."),
    bind(Table, &[Char('r')], Change(table::reverse), "Reverse the order.").footer("reverse"),
    bind(Table, &[Code(KeyCode::Up), Char('k')], Change(|model| table::select(model, -1)), "Select the previous run."),
    bind(Table, &[Code(KeyCode::Down), Char('j')], Change(|model| table::select(model, 1)), "Select the next run."),
    bind(Table, &[Code(KeyCode::PageUp)], Change(|model| table::select(model, -table::page(model))),
        "Select the run a page further up."),
    bind(Table, &[Code(KeyCode::PageDown)], Change(|model| table::select(model, table::page(model))),
        "Select the run a page further down."),
    bind(Table, &[Code(KeyCode::Home)], Change(|model| table::select(model, isize::MIN + 1)), "Select the first run."),
    bind(Table, &[Code(KeyCode::End)], Change(|model| table::select(model, isize::MAX)), "Select the last run."),
];

fn toggle_pause(model: &mut Model) -> Vec<Effect> {
    let would_continue = model.run().would_continue();
    send(model, if would_continue { Command::Continue } else { Command::Pause })
}

fn stop(model: &mut Model) -> Vec<Effect> {
    // The run may be someone else's, and one wrong key would stop it.
    if model.role == Role::Watcher && model.run().accepts_commands() {
        model.dialogs.question =
            Some(Question { run: model.selected, asks: Asked::Stop, seen: false });
        return Vec::new();
    }
    send(model, Command::Stop)
}

fn roll_back(model: &mut Model) -> Vec<Effect> {
    if !model.run().accepts_commands() || !model.run().has_lookahead() {
        return send(model, Command::RollBack);
    }
    model.dialogs.question =
        Some(Question { run: model.selected, asks: Asked::RollBack, seen: false });
    Vec::new()
}

fn interrupt(model: &mut Model) -> Vec<Effect> {
    if model.role == Role::Watcher {
        model.exit.quit = true;
        return Vec::new();
    }
    model.exit.interrupts += 1;
    send(model, Command::Stop)
}

/// Shows the chart `by` places further on.
fn step_chart(model: &mut Model, by: isize) {
    let charts = charts_in_order(model);
    show_from(model, by, charts);
}

/// The charts in the order in which they are on the screen.
fn charts_in_order(model: &Model) -> Vec<Chart> {
    if model.arrangement.grid { model.grid_charts() } else { model.charts() }
}

/// The same among the charts of numbers by name.
fn step_scalar(model: &mut Model, by: isize) {
    let mut charts = charts_in_order(model);
    charts.retain(|chart| matches!(chart, Chart::Scalar(_)));
    if charts.is_empty() {
        model.notify("This run logs no numbers by name.");
    } else {
        show_from(model, by, charts);
    }
}

/// Shows the chart `by` places further on in a list; the first or the last one if the present chart is not in it.
fn show_from(model: &mut Model, by: isize, charts: Vec<Chart>) {
    if charts.is_empty() {
        return;
    }
    let present = charts.iter().position(|chart| *chart == model.view.chart);
    let next = present.map_or(by.min(0), |present| present as isize + by);
    model.view.chart = charts[next.rem_euclid(charts.len() as isize) as usize];
}

fn toggle_help(model: &mut Model) {
    let open = matches!(model.dialogs.overlay, Some(Overlay::Help(_)));
    model.dialogs.overlay = (!open).then_some(Overlay::Help(0));
}

fn toggle_messages(model: &mut Model) {
    let open = matches!(model.dialogs.overlay, Some(Overlay::Messages(_)));
    model.dialogs.overlay = (!open).then(|| Overlay::Messages(MessageList::default()));
}

fn search_or_filter(model: &mut Model) {
    let in_grid = model.arrangement.grid && model.dialogs.overlay.is_none();
    let purpose = if in_grid { Purpose::Filter } else { Purpose::Search };
    model.dialogs.prompt = Some(Prompt::new(purpose));
}

fn close(model: &mut Model) -> Vec<Effect> {
    if model.dialogs.overlay.take().is_some() {
        return Vec::new();
    }
    if let Some(table) = model.table.as_mut().filter(|table| table.is_open) {
        table::close(table);
        return Vec::new();
    }
    if model.view.cursor.take().is_some() {
        return Vec::new();
    }
    if model.arrangement.grid && !model.arrangement.filter.is_empty() {
        return filter(model, "");
    }
    if let Some(table) = &mut model.table {
        table.is_open = true;
    }
    Vec::new()
}

fn follow(model: &mut Model) {
    let whole = model.whole();
    model.view.viewport.follow(whole);
}

fn smooth(model: &mut Model, by: isize) {
    let smoothing = model.view.smoothing.saturating_add_signed(by);
    model.view.smoothing = smoothing.min(DECAYS.len() - 1);
}

fn select(model: &mut Model, by: isize) {
    model.selected = model.selected.saturating_add_signed(by).min(model.runs.len() - 1);
}

fn toggle_run(model: &mut Model) {
    let several = model.runs.len() > 1;
    model.run_mut().hidden ^= several;
}

/// Handles a key.
pub(crate) fn on_key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    // Terminals with the newer keyboard protocols report the release too.
    if key.kind == KeyEventKind::Release {
        return Vec::new();
    }
    if model.dialogs.prompt.is_some() {
        return on_key_in_prompt(model, key);
    }
    if let Some(question) = model.dialogs.question.take() {
        let yes = matches!(key.code, KeyCode::Char('y' | 'Y') | KeyCode::Enter);
        if yes && question.seen && key.modifiers.difference(KeyModifiers::SHIFT).is_empty() {
            let command = match question.asks {
                Asked::Stop => Command::Stop,
                Asked::RollBack => Command::RollBack,
            };
            return send_to(model, question.run, command);
        }
    }
    let place = if model.dialogs.overlay.is_some() {
        List
    } else if model.is_table_open() {
        Table
    } else {
        Charts
    };
    match find(&key, place).map(|binding| &binding.action) {
        Some(Act(action)) => return action(model),
        Some(Change(action)) => action(model),
        Some(PickChart) => {
            let digit = key.code.as_char();
            let picked = model.keys().find(|(of, _)| Some(*of) == digit);
            model.view.chart = picked.map_or(model.view.chart, |(_, chart)| chart);
        }
        None => {}
    }
    Vec::new()
}

/// The binding of a key in a place.
fn find(key: &KeyEvent, place: Place) -> Option<&'static Binding> {
    KEYS.iter()
        .filter(|binding| binding.place.includes(place))
        .find(|binding| binding.keys.iter().any(|bound| bound.matches(key)))
}

impl Key {
    /// The name of the key: `p`, `Ctrl-C`, `Esc`.
    pub(crate) fn label(&self) -> String {
        match self {
            Char(' ') => "Space".into(),
            Char(letter) => letter.to_string(),
            Ctrl(letter) => format!("Ctrl-{}", letter.to_ascii_uppercase()),
            Code(code) => code_label(*code),
            Shift(code) => format!("Shift-{}", code_label(*code)),
        }
    }

    fn matches(&self, event: &KeyEvent) -> bool {
        // Shift is part of the character already, and some terminals report it besides.
        let held = event.modifiers & !KeyModifiers::SHIFT;
        let shift = event.modifiers.contains(KeyModifiers::SHIFT);
        match *self {
            Char(letter) => event.code == KeyCode::Char(letter) && held.is_empty(),
            Ctrl(letter) => event.code == KeyCode::Char(letter) && held == KeyModifiers::CONTROL,
            Code(KeyCode::BackTab) => event.code == KeyCode::BackTab && held.is_empty(),
            Code(code) => event.code == code && held.is_empty() && !shift,
            Shift(code) => event.code == code && held.is_empty() && shift,
        }
    }
}

fn code_label(code: KeyCode) -> String {
    match code {
        KeyCode::Left => "←".into(),
        KeyCode::Right => "→".into(),
        KeyCode::Up => "↑".into(),
        KeyCode::Down => "↓".into(),
        KeyCode::PageUp => "PgUp".into(),
        KeyCode::PageDown => "PgDn".into(),
        KeyCode::BackTab => "Shift-Tab".into(),
        code => code.to_string(),
    }
}

impl Binding {
    pub(crate) fn is_anywhere(&self) -> bool {
        self.place == Anywhere
    }

    /// Whether it works in the table of runs and nowhere else.
    pub(crate) fn is_of_table(&self) -> bool {
        self.place == Table
    }

    /// The keys, as the help writes them.
    pub(crate) fn label(&self) -> String {
        if self.keys == DIGITS {
            return "1…9 0".into();
        }
        self.keys.iter().map(Key::label).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests;
