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

/// The style of each thing. Plain text keeps the terminal's own colour.
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
    runs: [Style; 7],
}

/// The markers on the lines of several runs, in their order.
pub(crate) const MARKERS: [&str; 7] = ["●", "▲", "■", "◆", "○", "△", "□"];

/// The palette of a theme, as indices of the 256 colours of terminals.
struct Palette {
    grey: u8,
    line: u8,
    fast: u8,
    slow: u8,
    good: u8,
    warning: u8,
    bad: u8,
    runs: [u8; 7],
}

const DARK: Palette = Palette {
    grey: 245,
    line: 242,
    // Colour-blind readers can tell orange from blue, in every theme.
    fast: 208,
    slow: 39,
    good: 71,
    warning: 178,
    bad: 160,
    runs: [39, 208, 71, 170, 220, 80, 203],
};

const LIGHT: Palette = Palette {
    grey: 243,
    line: 248,
    fast: 166,
    slow: 25,
    good: 28,
    warning: 130,
    bad: 124,
    runs: [25, 166, 28, 127, 94, 30, 160],
};

/// The nearest of the 256 to #56B4E9, #E69F00, #009E73, #CC79A7, #F0E442, #0072B2, #D55E00.
const COLOR_BLIND: Palette = Palette {
    grey: 247,
    line: 243,
    fast: 214,
    slow: 74,
    good: 36,
    warning: 221,
    bad: 166,
    runs: [74, 214, 36, 175, 227, 25, 166],
};

impl Theme {
    pub(crate) fn new(name: ThemeName) -> Self {
        let palette = match name {
            ThemeName::Dark | ThemeName::None => DARK,
            ThemeName::Light => LIGHT,
            ThemeName::ColorBlind => COLOR_BLIND,
        };
        let color = name != ThemeName::None;
        let style = |index: u8| {
            if color { Style::new().fg(Color::Indexed(index)) } else { Style::new() }
        };
        let (bold, dim) = (Modifier::BOLD, Modifier::DIM);
        // A grey if there are colours, because many terminals hardly draw DIM or don't at all.
        let grey = |index| {
            if color { style(index) } else { Style::new().add_modifier(dim) }
        };
        // It may be drawn on a dim frame, and must not become dim itself.
        let over = Style::reset().add_modifier(bold);
        Theme {
            name,
            plain: Style::new(),
            strong: Style::new().add_modifier(bold),
            dim: grey(palette.grey),
            frame: grey(palette.line),
            title: over,
            gauge: style(palette.good),
            raw: grey(palette.line),
            fast: style(palette.fast),
            slow: style(palette.slow).add_modifier(bold),
            cursor: style(palette.warning),
            good: over.patch(style(palette.good)),
            warning: over.patch(style(palette.warning)),
            bad: over.patch(style(palette.bad)),
            runs: palette.runs.map(style),
        }
    }

    /// The style and the marker of the run with this number.
    pub(crate) fn run(&self, index: usize) -> (Style, &'static str) {
        (self.runs[index % self.runs.len()], MARKERS[index % MARKERS.len()])
    }
}

#[cfg(test)]
mod tests;
