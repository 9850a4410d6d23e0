//! How a dashboard looks.

use std::env::var_os;
use std::path::PathBuf;

use crate::theme::ThemeName;

/// How a dashboard looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Its colours.
    pub theme: ThemeName,
    /// Whether to draw with ASCII characters only.
    pub ascii: bool,
    /// Whether to use the mouse; the terminal then selects text with Shift held.
    pub mouse: bool,
    /// The folder of the run: how the user arranges its charts is remembered for it, in the user's state
    /// directory (`$XDG_STATE_HOME`). [`watch`](crate::watch()) uses the folder of its runs if this is `None`.
    pub folder: Option<PathBuf>,
}

impl Default for Options {
    /// The dark theme, or none if the environment variable `NO_COLOR` is set and not empty
    /// (<https://no-color.org>); ASCII if a locale without UTF-8 is set; the mouse.
    fn default() -> Self {
        let no_color = var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let theme = if no_color { ThemeName::None } else { ThemeName::Dark };
        Options { theme, ascii: locale_is_ascii(), mouse: true, folder: None }
    }
}

/// Whether the user chose a locale without UTF-8. If none is set, as in many containers, the terminal
/// most likely has it anyway.
fn locale_is_ascii() -> bool {
    let chosen = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| {
        var_os(name)
            .filter(|value| !value.is_empty())
            .map(|value| value.to_string_lossy().into_owned())
    });
    chosen.is_some_and(|locale| is_ascii(&locale))
}

fn is_ascii(locale: &str) -> bool {
    let locale = locale.to_lowercase();
    // Programs often run in the C locale for its sorting and its messages.
    let plain = locale == "c" || locale == "posix";
    !plain && !locale.contains("utf-8") && !locale.contains("utf8")
}

#[cfg(test)]
mod tests;
