//! Colours and weights, in one place.

use ratatui::style::{Color, Modifier, Style};

/// How each thing looks. Plain text keeps the terminal's own colour, so that it can be read on
/// light and on dark grounds.
#[derive(Debug, Clone)]
pub(crate) struct Theme {
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
    pub(crate) good: Style,
    pub(crate) warning: Style,
    pub(crate) bad: Style,
}

impl Theme {
    /// The theme, or the same without colours: weights and markers still tell things apart.
    pub(crate) fn new(color: bool) -> Self {
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
            plain: Style::new(),
            strong: Style::new().add_modifier(bold),
            dim: grey(245),
            frame: grey(242),
            title: over,
            key: Style::new().add_modifier(bold),
            gauge: style(71),
            // The colours of the two weights stand for nothing else on the screen.
            raw: grey(242),
            smoothed: Style::new(),
            // Orange and blue stay apart for colour-blind eyes (Okabe and Ito, 2008).
            fast: style(208),
            slow: style(39).add_modifier(bold),
            good: over.patch(style(71)),
            warning: over.patch(style(178)),
            bad: over.patch(style(160)),
        }
    }
}
