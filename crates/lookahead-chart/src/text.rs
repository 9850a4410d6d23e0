//! The widths of texts in the program's own font, since a system may have none.

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};

/// The fonts of an SVG. Verdana has the widths of DejaVu Sans, by which everything is laid out; the rest
/// come close.
pub(crate) const FAMILY: &str = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif";

static FONT: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::new(font_data()).expect("the font in the program is a font"));

/// The font file.
pub(crate) fn font_data() -> &'static [u8] {
    dejavu::sans::regular()
}

/// The width of a text whose em is that many units.
pub(crate) fn width(text: &str, em: f64) -> f64 {
    let metrics = FONT.glyph_metrics(Size::unscaled(), LocationRef::default());
    let charmap = FONT.charmap();
    let advance = |c| metrics.advance_width(charmap.map(c).unwrap_or_default()).unwrap_or(0.0);
    let units = FONT.metrics(Size::unscaled(), LocationRef::default()).units_per_em;
    text.chars().map(|c| f64::from(advance(c))).sum::<f64>() / f64::from(units) * em
}

/// The text without characters that XML or a line of text can't hold.
pub(crate) fn clean(text: &str) -> String {
    let forbidden = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if forbidden(c) { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// The text, cut with an ellipsis if it is wider than `most`.
pub(crate) fn fit(text: &str, em: f64, most: f64) -> String {
    let text = clean(text);
    if width(&text, em) <= most {
        return text;
    }
    let (mut used, mut kept) = (width("…", em), String::new());
    for c in text.chars() {
        used += width(c.encode_utf8(&mut [0; 4]), em);
        if used > most {
            break;
        }
        kept.push(c);
    }
    if kept.is_empty() { kept } else { kept + "…" }
}

/// The text in at most that many lines no wider than `most`, broken between words.
pub(crate) fn wrap(text: &str, em: f64, most: f64, lines: usize) -> Vec<String> {
    let mut done: Vec<String> = Vec::new();
    for word in clean(text).split_whitespace() {
        let full = done.len() == lines;
        match done.last_mut() {
            Some(line) if full || width(&format!("{line} {word}"), em) <= most => {
                *line = format!("{line} {word}");
            }
            _ => done.push(word.to_owned()),
        }
    }
    done.iter().map(|line| fit(line, em, most)).collect()
}
