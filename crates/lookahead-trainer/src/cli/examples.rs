//! Examples below the help of a command.

use clap::builder::styling::Style;
use lookahead_run::program_name;

/// As clap's own headings.
const HEADING: Style = Style::new().bold().underline();

/// The section of examples, each of them without the program's name.
pub(super) fn examples(lines: &[&str]) -> String {
    let program = program_name();
    let lines = lines.iter().map(|line| format!("\n  {program} {line}"));
    format!("{HEADING}Examples:{HEADING:#}{}", lines.collect::<String>())
}
