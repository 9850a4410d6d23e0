//! Names of runs.

use std::collections::HashMap;
use std::fmt::Write as _;

use lookahead_run::RunFolder;

/// A name for each run: that of its folder, or the path if several have that name.
pub(crate) fn labels(runs: &[RunFolder]) -> Vec<String> {
    let mut namesakes = HashMap::<&str, u32>::new();
    runs.iter().for_each(|run| *namesakes.entry(run.name()).or_default() += 1);
    let label = |run: &RunFolder| match namesakes[run.name()] {
        1 => run.name().to_owned(),
        _ => run.path().display().to_string(),
    };
    runs.iter().map(label).collect()
}

/// Most characters of a name that is shown.
const LONGEST: usize = 100;

/// A name from a log as it can be shown anywhere: what would break a line, move the cursor, turn the direction of
/// writing around or be invisible is written as its number, so that two names that differ look different.
pub(crate) fn safe(name: &str) -> String {
    let mut shown = String::new();
    for (place, letter) in name.chars().enumerate() {
        if place == LONGEST {
            shown.push('…');
            break;
        }
        if is_unsafe(letter) {
            // Writing to a string can't fail.
            let _ = write!(shown, "{}", letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            // Marks and overrides of direction, which would reorder what follows.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separators, and what takes no room.
            | '\u{2028}' | '\u{2029}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{ad}'
            | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests;
