//! The data of a comparison's figures, which `lookahead_chart` draws.
//!
//! Each function returns a figure, or an error if there is nothing to draw; [`Comparison::figures`] returns
//! all figures that have data. The same comparison gives the same figures.
//!
//! | module | what is in it |
//! |---|---|
//! | `curves` | losses by step |
//! | `keys` | the reported number by one key or two |
//! | `cycles` | losses inside the cycle, and their variance towards the end |
//! | `style` | shared styles |

mod curves;
mod cycles;
mod keys;
mod style;

use lookahead_chart::Figure;
use style::Drawn;

use super::comparison::Comparison;

impl Comparison {
    /// All figures that have something to show, with names for their files.
    pub fn figures(&self) -> Vec<(String, Figure)> {
        let mut figures = Vec::new();
        let mut add = |name: String, figure: Drawn| {
            if let Ok(figure) = figure {
                figures.push((name, figure));
            }
        };
        let best = self.best_points();
        add("loss".into(), self.loss_curves(&best));
        let numeric: Vec<&String> =
            self.keys.iter().filter(|key| self.numbers_of(key).len() > 1).collect();
        for key in &numeric {
            // If each optimizer has one rate, no line connects two points.
            let has_line = |figure: &Figure| {
                let lines = figure.panels.iter().flat_map(|panel| &panel.lines);
                lines.into_iter().any(|line| line.points.len() > 1)
            };
            if let Some(figure) = self.against_key(key).ok().filter(has_line) {
                add(format!("by-{}", key.replace('.', "-")), Ok(figure));
            }
        }
        if numeric.iter().any(|key| *key == "lookahead.k")
            && numeric.iter().any(|key| *key == "lookahead.alpha")
        {
            add("k-alpha".into(), self.heat_map("lookahead.k", "lookahead.alpha"));
        }
        add("cycle".into(), self.cycles(&best));
        add("variance".into(), self.last_epoch_variance());
        figures
    }
}
