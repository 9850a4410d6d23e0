//! Colours and weights, in one place.

use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};

/// The themes that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThemeName {
    /// For light letters on a dark ground.
    Dark,
    /// For dark letters on a light ground.
    Light,
    /// Colours that stay apart for colour-blind eyes, on a dark ground (Okabe and Ito, 2008).
    ColorBlind,
    /// Without colours: weights and markers tell things apart.
    None,
}

impl ThemeName {
    /// All of them, in the order in which a key goes through them.
    pub const ALL: [ThemeName; 4] =
        [ThemeName::Dark, ThemeName::Light, ThemeName::ColorBlind, ThemeName::None];

    /// The word for it, as on the command line.
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
            format!("`{word}` is no theme: say `dark`, `light`, `color-blind` or `none`.")
        })
    }
}

/// How each thing looks. Plain text keeps the terminal's own colour.
#[derive(Debug, Clone)]
pub(crate) struct Theme {
    pub(crate) name: ThemeName,
    pub(crate) plain: Style,
    pub(crate) strong: Style,
    pub(crate) dim: Style,
    pub(crate) frame: Style,
    pub(crate) title: Style,
    pub(crate) key: Style,
    pub(crate) gauge: Style,
    /// Training loss of each step.
    pub(crate) raw: Style,
    pub(crate) smoothed: Style,
    /// Fast weights θ.
    pub(crate) fast: Style,
    /// Slow weights φ.
    pub(crate) slow: Style,
    pub(crate) cursor: Style,
    pub(crate) good: Style,
    pub(crate) warning: Style,
    pub(crate) bad: Style,
    runs: [Style; 7],
}

/// Drawn on the lines of several runs, in their order.
pub(crate) const MARKERS: [&str; 7] = ["●", "▲", "■", "◆", "○", "△", "□"];

/// The palette of a theme, as indices of the 256 colours that terminals have.
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
    // Orange and blue stay apart for colour-blind eyes in every theme.
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
            ThemeName::Dark => DARK,
            ThemeName::Light => LIGHT,
            ThemeName::ColorBlind => COLOR_BLIND,
            ThemeName::None => DARK,
        };
        let color = name != ThemeName::None;
        let style = |index: u8| {
            if color { Style::new().fg(Color::Indexed(index)) } else { Style::new() }
        };
        let (bold, dim) = (Modifier::BOLD, Modifier::DIM);
        // With colours a grey, since many terminals draw DIM hardly visible or not at all.
        let grey = |index| {
            if color { style(index) } else { Style::new().add_modifier(dim) }
        };
        // What may stand on the line of a frame, which must not shine through.
        let over = Style::reset().add_modifier(bold);
        Theme {
            name,
            plain: Style::new(),
            strong: Style::new().add_modifier(bold),
            dim: grey(palette.grey),
            frame: grey(palette.line),
            title: over,
            key: Style::new().add_modifier(bold),
            gauge: style(palette.good),
            // The colours of the two weights stand for nothing else on the screen of one run.
            raw: grey(palette.line),
            smoothed: Style::new(),
            fast: style(palette.fast),
            slow: style(palette.slow).add_modifier(bold),
            cursor: style(palette.warning),
            good: over.patch(style(palette.good)),
            warning: over.patch(style(palette.warning)),
            bad: over.patch(style(palette.bad)),
            runs: palette.runs.map(style),
        }
    }

    /// The style and the marker of the run that was named as the `index`-th.
    pub(crate) fn run(&self, index: usize) -> (Style, &'static str) {
        (self.runs[index % self.runs.len()], MARKERS[index % MARKERS.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn themes_go_by_their_names() {
        for theme in ThemeName::ALL {
            assert_eq!(theme.name().parse(), Ok(theme));
        }
        let error = "pink".parse::<ThemeName>().unwrap_err();
        assert!(error.contains("`pink`") && error.contains("color-blind"), "{error}");
        let four = std::iter::successors(Some(ThemeName::Dark), |name| Some(name.next())).take(5);
        assert_eq!(
            four.map(ThemeName::name).collect::<Vec<_>>().join(" "),
            "dark light color-blind none dark"
        );
    }

    #[test]
    fn no_two_runs_look_alike() {
        for name in ThemeName::ALL {
            let theme = Theme::new(name);
            let looks: Vec<_> = (0..7).map(|index| theme.run(index)).collect();
            for (index, look) in looks.iter().enumerate() {
                assert!(looks[..index].iter().all(|other| other.1 != look.1));
                let same = looks[..index].iter().any(|other| other.0 == look.0);
                assert_eq!(same, name == ThemeName::None && index > 0);
            }
        }
    }
}
