//! How a dashboard looks.

use std::env::var_os;

use crate::theme::ThemeName;

/// How a dashboard looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Its colours.
    pub theme: ThemeName,
    /// Whether to draw with the signs of ASCII alone.
    pub ascii: bool,
    /// Whether to listen to the mouse; then the terminal selects text with Shift held.
    pub mouse: bool,
}

impl Default for Options {
    /// The dark theme, or none where the environment variable `NO_COLOR` is set and not empty
    /// (<https://no-color.org>); ASCII where the locale is set to one without UTF-8; the mouse.
    fn default() -> Self {
        let no_color = var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let theme = if no_color { ThemeName::None } else { ThemeName::Dark };
        Options { theme, ascii: locale_is_ascii(), mouse: true }
    }
}

impl Options {
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Options { theme: ThemeName::Dark, ascii: false, mouse: false }
    }
}

/// Whether the user chose a locale that has no other signs. Where none is set at all, as in many
/// containers, the terminal most likely has them.
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
    // Programs are often run in the plain locale for the sake of sorting and messages.
    let plain = locale == "c" || locale == "posix";
    !plain && !locale.contains("utf-8") && !locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_tells_whether_there_is_more_than_ascii() {
        for (locale, ascii) in [
            ("en_US.UTF-8", false),
            ("C.utf8", false),
            ("C", false),
            ("POSIX", false),
            ("de_DE.ISO-8859-1", true),
            ("en_US", true),
        ] {
            assert_eq!(is_ascii(locale), ascii, "{locale}");
        }
    }
}
