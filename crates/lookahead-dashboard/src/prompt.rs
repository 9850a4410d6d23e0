//! The line in which commands are entered.

use lookahead_run::command::{Command, Setting};

use crate::smoothing::{self, DECAYS};

/// A line that is being edited.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Prompt {
    pub(crate) purpose: Purpose,
    pub(crate) text: String,
    /// Characters before the cursor.
    pub(crate) at: usize,
    /// The recalled line, counted from the newest.
    recalled: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A command.
    #[default]
    Command,
    /// Words to search for in the messages.
    Search,
    /// Words that the runs of the table, or the names of the charts of the grid, must have.
    Filter,
}

/// Most characters of a line.
const LENGTH: usize = 500;

impl Prompt {
    pub(crate) fn new(purpose: Purpose) -> Self {
        Prompt { purpose, ..Prompt::default() }
    }

    fn byte(&self) -> usize {
        self.text.char_indices().nth(self.at).map_or(self.text.len(), |(byte, _)| byte)
    }

    pub(crate) fn insert(&mut self, letter: char) {
        if !letter.is_control() && self.text.chars().count() < LENGTH {
            self.text.insert(self.byte(), letter);
            self.at += 1;
        }
    }

    /// Inserts the first line of a text that is not blank, without control characters. Returns whether
    /// there were more lines.
    pub(crate) fn paste(&mut self, text: &str) -> bool {
        let mut lines = text.split(['\n', '\r']).filter(|line| !line.trim().is_empty());
        let line = lines.next().unwrap_or_default();
        line.chars().for_each(|letter| self.insert(letter));
        lines.next().is_some()
    }

    pub(crate) fn delete_before(&mut self) {
        if self.at > 0 {
            self.at -= 1;
            self.text.remove(self.byte());
        }
    }

    pub(crate) fn delete_after(&mut self) {
        if self.at < self.text.chars().count() {
            self.text.remove(self.byte());
        }
    }

    pub(crate) fn move_by(&mut self, by: isize) {
        self.at = self.at.saturating_add_signed(by).min(self.text.chars().count());
    }

    /// Recalls an earlier or a later line.
    pub(crate) fn recall(&mut self, earlier: bool, lines: &[String]) {
        let index = match (self.recalled, earlier) {
            (None, true) => Some(0),
            (Some(index), true) => Some((index + 1).min(lines.len().saturating_sub(1))),
            (Some(index), false) => index.checked_sub(1),
            (None, false) => None,
        };
        let line = index.and_then(|index| lines.iter().rev().nth(index));
        self.recalled = index.filter(|_| line.is_some());
        self.text = line.cloned().unwrap_or_default();
        self.at = self.text.chars().count();
    }

    /// Completes the word before the cursor, a command or one of these keys, as far as it is unambiguous.
    pub(crate) fn complete(&mut self, keys: &[&str]) {
        let before: String = self.text.chars().take(self.at).collect();
        let start = before.rfind(' ').map_or(0, |space| space + 1);
        let (word, first) = (&before[start..], start == 0);
        let candidates: &[&str] = if first { &WORDS } else { keys };
        let fits: Vec<&str> = candidates.iter().filter(|c| c.starts_with(word)).copied().collect();
        let Some(shortest) = fits.iter().map(|fit| fit.len()).min() else { return };
        let common = (word.len()..=shortest)
            .rev()
            .find(|length| fits.iter().all(|fit| fit[..*length] == fits[0][..*length]))
            .unwrap_or(word.len());
        let mut more = fits[0][word.len()..common].to_owned();
        if fits.len() == 1 {
            more.push_str(if first { " " } else { "=" });
        }
        more.chars().for_each(|letter| self.insert(letter));
    }
}

/// The words of commands.
const WORDS: [&str; 10] = [
    "set",
    "pause",
    "continue",
    "checkpoint",
    "stop",
    "roll-back",
    "goto",
    "smooth",
    "save",
    "quit",
];
/// The settings of the trainer's runs that can be changed.
pub(crate) const KEYS: [&str; 4] =
    ["optimizer.lr", "lookahead.k", "lookahead.alpha", "probe.every_syncs"];

/// What a line requests.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PromptCommand {
    /// Send a command to the run.
    Run(Command),
    /// Move the cursor to a step.
    GoTo(u64),
    /// Smooth by this index of [`DECAYS`].
    Smooth(usize),
    /// Save the chart as a picture, in this file.
    Save(Option<String>),
    Quit,
}

/// Parses a line.
///
/// # Errors
/// A sentence about what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<PromptCommand, String> {
    let (word, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let rest = rest.trim();
    let alone = |command| {
        if rest.is_empty() {
            Ok(command)
        } else {
            Err(format!("`{word}` takes no arguments. Leave out `{rest}`."))
        }
    };
    match word {
        "set" => setting(rest).map(|setting| PromptCommand::Run(Command::Set(setting))),
        "pause" => alone(PromptCommand::Run(Command::Pause)),
        "continue" => alone(PromptCommand::Run(Command::Continue)),
        "checkpoint" => alone(PromptCommand::Run(Command::Checkpoint)),
        "roll-back" => alone(PromptCommand::Run(Command::RollBack)),
        "stop" => alone(PromptCommand::Run(Command::Stop)),
        "quit" | "q" => alone(PromptCommand::Quit),
        "goto" => rest
            .replace([',', '_'], "")
            .parse()
            .map(PromptCommand::GoTo)
            .map_err(|_| format!("`{rest}` is not a step. Use for example goto 1500.")),
        "smooth" => smooth(rest),
        "save" => Ok(PromptCommand::Save((!rest.is_empty()).then(|| rest.to_owned()))),
        _ => Err(format!("`{word}` is not a command. Use one of {}.", WORDS.join(", "))),
    }
}

/// Parses `KEY=VALUE`; the run decides whether it accepts that.
fn setting(text: &str) -> Result<Setting, String> {
    let example = "Use for example set optimizer.lr=0.01.";
    let Some((key, value)) = text.split_once('=') else {
        return Err(format!("`{text}` is not KEY=VALUE. {example}"));
    };
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() || value.is_empty() {
        return Err(format!("`{text}` lacks a key or a value. {example}"));
    }
    // Numbers as in the config file: JSON has no 1_000 and no leading point.
    let plain = value.replace('_', "");
    let value = serde_json::from_str(&plain).unwrap_or_else(|_| match plain.parse::<f64>() {
        Ok(number) if number.is_finite() => number.into(),
        _ => value.into(),
    });
    Ok(Setting { key: key.to_owned(), value })
}

fn smooth(text: &str) -> Result<PromptCommand, String> {
    let decay = text.parse::<f64>().ok().filter(|decay| (0.0..1.0).contains(decay));
    let index = decay.map(smoothing::nearest);
    index.map(PromptCommand::Smooth).ok_or_else(|| {
        let choices = DECAYS.map(|decay| decay.to_string()).join(", ");
        format!(
            "`{text}` is not a smoothing. Use 0 (none) or more and less than 1; the nearest of \
             {choices} is taken."
        )
    })
}

#[cfg(test)]
mod tests;
