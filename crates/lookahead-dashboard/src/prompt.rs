//! The line in which commands are written, and what they mean.

use lookahead_run::command::{Command, Setting};

use crate::smoothing;

/// A line that is being written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Prompt {
    pub(crate) purpose: Purpose,
    pub(crate) text: String,
    /// Letters before the place where the next one goes.
    pub(crate) at: usize,
    /// What is wrong with it, since it was last entered.
    pub(crate) error: Option<String>,
    /// Which earlier line is shown, counted from the newest.
    recalled: Option<usize>,
}

/// What a line is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A command.
    #[default]
    Command,
    /// Words to look for in the messages.
    Search,
}

/// Letters of a line at most.
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

    /// Inserts the first line of a text that is not blank, without control characters; whether there
    /// was more than that.
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

    pub(crate) fn go(&mut self, by: isize) {
        self.at = self.at.saturating_add_signed(by).min(self.text.chars().count());
    }

    /// Shows an earlier line, or a later one again.
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

    /// Completes the word before the place by what all words that begin with it go on with.
    pub(crate) fn complete(&mut self) {
        let before: String = self.text.chars().take(self.at).collect();
        let start = before.rfind(' ').map_or(0, |space| space + 1);
        let (word, first) = (&before[start..], start == 0);
        let candidates: &[&str] = if first { &WORDS } else { &KEYS };
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

/// The words of the prompt.
const WORDS: [&str; 9] =
    ["set", "pause", "continue", "checkpoint", "stop", "goto", "smooth", "save", "quit"];
/// The settings that a run takes.
const KEYS: [&str; 4] = ["optimizer.lr", "lookahead.k", "lookahead.alpha", "probe.every_syncs"];

/// What a line asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Line {
    /// Something of the run.
    Ask(Command),
    /// The cursor to go to that step.
    GoTo(u64),
    /// That much smoothing.
    Smooth(usize),
    /// The chart as a picture, in that file.
    Save(Option<String>),
    Quit,
}

/// Reads a line.
///
/// # Errors
/// A sentence about what is wrong with it.
pub(crate) fn read(text: &str) -> Result<Line, String> {
    let (word, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let rest = rest.trim();
    let alone = |line| match rest {
        "" => Ok(line),
        more => Err(format!("`{word}` takes nothing more, and `{more}` follows it: leave it out.")),
    };
    match word {
        "set" => setting(rest).map(|setting| Line::Ask(Command::Set(setting))),
        "pause" => alone(Line::Ask(Command::Pause)),
        "continue" => alone(Line::Ask(Command::Continue)),
        "checkpoint" => alone(Line::Ask(Command::Checkpoint)),
        "stop" => alone(Line::Ask(Command::Stop)),
        "quit" | "q" => alone(Line::Quit),
        "goto" => rest
            .replace([',', '_'], "")
            .parse()
            .map(Line::GoTo)
            .map_err(|_| format!("`{rest}` is no step: write for example goto 1500.")),
        "smooth" => smooth(rest),
        "save" => Ok(Line::Save((!rest.is_empty()).then(|| rest.to_owned()))),
        _ => Err(format!("`{word}` is no command: there are {}.", WORDS.join(", "))),
    }
}

/// Reads `KEY=VALUE`; whether the run takes that is for the run to say.
fn setting(text: &str) -> Result<Setting, String> {
    let example = "write for example set optimizer.lr=0.01";
    let Some((key, value)) = text.split_once('=') else {
        return Err(format!("`{text}` is no KEY=VALUE: {example}."));
    };
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() || value.is_empty() {
        return Err(format!("`{text}` lacks a key or a value: {example}."));
    }
    // Numbers as the configuration writes them: JSON has no 1_000 and no leading point.
    let plain = value.replace('_', "");
    let value = match serde_json::from_str::<serde_json::Value>(&plain) {
        Ok(value) => value,
        Err(_) => match plain.parse::<f64>() {
            Ok(number) if number.is_finite() => number.into(),
            _ => value.into(),
        },
    };
    Ok(Setting { key: key.to_owned(), value })
}

fn smooth(text: &str) -> Result<Line, String> {
    let words = smoothing::DECAYS.map(|decay| decay.to_string()).join(", ");
    let nearest = |wanted: f64| {
        let far = |index: &usize| (smoothing::DECAYS[*index] - wanted).abs();
        (0..smoothing::DECAYS.len()).min_by(|a, b| far(a).total_cmp(&far(b)))
    };
    let wanted = text.parse::<f64>().ok().filter(|wanted| (0.0..1.0).contains(wanted));
    match wanted.and_then(nearest) {
        Some(index) => Ok(Line::Smooth(index)),
        None => Err(format!(
            "`{text}` is no smoothing: it is from 0 (none) to below 1, and the nearest of {words} is \
             taken."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_commands() {
        let set = |key: &str, value: serde_json::Value| {
            Line::Ask(Command::Set(Setting { key: key.into(), value }))
        };
        for (text, line) in [
            ("pause", Line::Ask(Command::Pause)),
            ("  stop ", Line::Ask(Command::Stop)),
            ("set lookahead.k=10", set("lookahead.k", 10.into())),
            ("set optimizer.lr = 1e-3", set("optimizer.lr", 0.001.into())),
            ("set optimizer.lr=.5", set("optimizer.lr", 0.5.into())),
            ("set probe.every_syncs=1_000", set("probe.every_syncs", 1000.into())),
            ("set train.device=cuda:0", set("train.device", "cuda:0".into())),
            ("goto 1,500", Line::GoTo(1500)),
            ("smooth 0.97", Line::Smooth(3)),
            ("smooth 0", Line::Smooth(0)),
            ("save", Line::Save(None)),
            ("save a b.png", Line::Save(Some("a b.png".into()))),
            ("q", Line::Quit),
        ] {
            assert_eq!(read(text), Ok(line), "{text}");
        }
    }

    #[test]
    fn what_is_no_command_is_told_with_a_remedy() {
        for (text, parts) in [
            ("fly", ["`fly`", "checkpoint"]),
            ("", ["``", "pause"]),
            ("pause now", ["`now`", "leave it out"]),
            ("set lr", ["`lr`", "set optimizer.lr=0.01"]),
            ("set lr=", ["`lr=`", "KEY"]),
            ("goto there", ["`there`", "goto 1500"]),
            ("smooth 1", ["`1`", "0.98"]),
        ] {
            let error = read(text).unwrap_err();
            let found =
                parts.iter().all(|part| error.to_lowercase().contains(&part.to_lowercase()));
            assert!(found && error.ends_with('.'), "{text}: {error}");
        }
    }

    #[test]
    fn a_paste_is_a_line_of_letters() {
        for (text, line, more) in [
            ("optimizer.lr=0.1", "set optimizer.lr=0.1 now", false),
            ("\n  \r\na\x1b[2Jb\tc\u{7}\nquit\n", "set a[2Jbc now", true),
            ("αβ\r\n", "set αβ now", false),
            ("", "set  now", false),
        ] {
            let mut prompt = typed("set  now");
            prompt.go(-4);
            assert_eq!(prompt.paste(text), more, "{text:?}");
            assert_eq!(prompt.text, line);
        }
        let mut prompt = Prompt::default();
        prompt.paste(&"s".repeat(10 * LENGTH));
        assert_eq!(prompt.text.len(), LENGTH);
    }

    fn typed(text: &str) -> Prompt {
        let mut prompt = Prompt::default();
        text.chars().for_each(|letter| prompt.insert(letter));
        prompt
    }

    #[test]
    fn letters_go_where_the_place_is() {
        let mut prompt = typed("αβδ");
        prompt.go(-1);
        prompt.insert('γ');
        assert_eq!(prompt.text, "αβγδ");
        prompt.delete_before();
        prompt.delete_after();
        assert_eq!((prompt.text.as_str(), prompt.at), ("αβ", 2));
        prompt.go(-99);
        prompt.delete_before();
        prompt.insert('\u{1b}');
        assert_eq!((prompt.text.as_str(), prompt.at), ("αβ", 0));
    }

    #[test]
    fn words_are_completed_as_far_as_they_are_clear() {
        for (text, completed) in [
            ("se", "set "),
            ("s", "s"),
            ("c", "c"),
            ("ch", "checkpoint "),
            ("set l", "set lookahead."),
            ("set lookahead.a", "set lookahead.alpha="),
            ("xyz", "xyz"),
        ] {
            let mut prompt = typed(text);
            prompt.complete();
            assert_eq!(prompt.text, completed);
        }
    }

    #[test]
    fn earlier_lines_come_back() {
        let lines = ["first".to_owned(), "second".to_owned()];
        let mut prompt = typed("new");
        for (earlier, text) in
            [(true, "second"), (true, "first"), (true, "first"), (false, "second"), (false, "")]
        {
            prompt.recall(earlier, &lines);
            assert_eq!(prompt.text, text);
        }
        prompt.recall(true, &[]);
        assert_eq!(prompt.text, "");
    }
}
