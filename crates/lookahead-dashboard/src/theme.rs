//! Colours and weights, in one place.

use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};

/// The themes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThemeName {
    /// Light text on a dark background.
    Dark,
    /// Dark text on a light background.
    Light,
    /// Colours that colour-blind readers can tell apart, on a dark background (Okabe and Ito, 2008).
    ColorBlind,
    /// No colours: bold, dim and markers tell things apart.
    None,
}

impl ThemeName {
    /// All themes, in the order in which a key switches through them.
    pub const ALL: [ThemeName; 4] =
        [ThemeName::Dark, ThemeName::Light, ThemeName::ColorBlind, ThemeName::None];

    /// The name of the theme, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            ThemeName::Dark => "dark",
            ThemeName::Light => "light",
            ThemeName::ColorBlind => "color-blind",
            ThemeName::None => "none",
        }
    }

    pub(crate) fn next(self) -> ThemeName {
        let index = ThemeName::ALL.iter().position(|name| *name == self).unwrap_or(0);
        ThemeName::ALL[(index + 1) % ThemeName::ALL.len()]
    }
}

impl FromStr for ThemeName {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = ThemeName::ALL.into_iter().find(|theme| theme.name() == word);
        found.ok_or_else(|| {
            format!("`{word}` is not a theme. Use `dark`, `light`, `color-blind` or `none`.")
        })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Theme {
    pub(crate) name: ThemeName,
    pub(crate) plain: Style,
    pub(crate) strong: Style,
    pub(crate) dim: Style,
    pub(crate) frame: Style,
    pub(crate) title: Style,
    pub(crate) gauge: Style,
    /// The single points behind a smoothed line.
    pub(crate) raw: Style,
    pub(crate) fast: Style,
    pub(crate) slow: Style,
    pub(crate) cursor: Style,
    pub(crate) good: Style,
    pub(crate) warning: Style,
    pub(crate) bad: Style,
    runs: [Style; RUNS],
}

/// The markers on the lines of several runs, in their order: on a run's one line or its slow weights, and on
/// its fast weights.
pub(crate) const MARKERS: [[&str; 2]; RUNS] = [
    ["●", "○"],
    ["▲", "△"],
    ["■", "□"],
    ["◆", "◇"],
    ["▼", "▽"],
    ["★", "☆"],
    ["▸", "▹"],
    ["◂", "◃"],
];
/// Runs that look different.
const RUNS: usize = 8;

/// The colours of a theme, as indices of the 256 colours of terminals: grey, frames, fast, slow, good,
/// warning and bad; then the runs. Colour-blind readers can tell fast from slow in each.
type Palette = ([u8; 7], [u8; RUNS]);
const DARK: Palette = ([245, 242, 208, 39, 71, 178, 160], [39, 208, 71, 170, 220, 80, 203, 250]);
const LIGHT: Palette = ([243, 248, 166, 25, 28, 130, 124], [25, 166, 28, 127, 94, 30, 160, 239]);
/// The nearest of the 256 to #56B4E9, #E69F00, #009E73, #CC79A7, #F0E442, #0072B2, #D55E00, and a light grey.
const COLOR_BLIND: Palette =
    ([247, 243, 214, 74, 36, 221, 166], [74, 214, 36, 175, 227, 25, 166, 252]);

impl Theme {
    pub(crate) fn new(name: ThemeName) -> Self {
        let (colors, runs) = match name {
            ThemeName::Dark | ThemeName::None => DARK,
            ThemeName::Light => LIGHT,
            ThemeName::ColorBlind => COLOR_BLIND,
        };
        let plain = Style::new();
        let color = name != ThemeName::None;
        let style = |index| if color { plain.fg(Color::Indexed(index)) } else { plain };
        // A grey if there are colours, because many terminals hardly draw DIM or don't at all.
        let grey = |index| if color { style(index) } else { plain.add_modifier(Modifier::DIM) };
        let [dim, frame, fast, slow, good, warning, bad] = colors;
        // It may be drawn on a dim frame, and must not become dim itself.
        let over = Style::reset().add_modifier(Modifier::BOLD);
        Theme {
            name,
            plain,
            strong: plain.add_modifier(Modifier::BOLD),
            dim: grey(dim),
            frame: grey(frame),
            title: over,
            gauge: style(good),
            raw: grey(frame),
            fast: style(fast),
            slow: style(slow).add_modifier(Modifier::BOLD),
            cursor: style(warning),
            good: over.patch(style(good)),
            warning: over.patch(style(warning)),
            bad: over.patch(style(bad)),
            runs: runs.map(style),
        }
    }

    /// The style and the marker of the run with this number.
    pub(crate) fn run(&self, index: usize) -> (Style, &'static str) {
        (self.runs[index % RUNS], MARKERS[index % RUNS][0])
    }

    /// The marker of the fast weights of the run with this number.
    pub(crate) fn open_marker(index: usize) -> &'static str {
        MARKERS[index % RUNS][1]
    }
}

#[cfg(test)]
mod tests;
