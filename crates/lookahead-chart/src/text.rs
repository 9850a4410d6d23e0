//! The widths of texts in the font that is part of the program: a system may have none.

use std::sync::LazyLock;

use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};

/// What an SVG asks its viewer for. Verdana has the widths of DejaVu Sans, by which everything is laid out;
/// the rest come close.
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

/// The text without what XML and a line of text can't hold.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_the_signs_of_the_figures() {
        for sign in "θφα‖Δ−×⁰¹²³⁴⁵⁶⁷⁸⁹⁻…–±→".chars() {
            assert!(FONT.charmap().map(sign).is_some(), "{sign}");
        }
        assert!(FONT.charmap().map('\u{e123}').is_none());
    }

    #[test]
    fn an_em_dash_is_an_em_wide() {
        assert!((width("—", 100.0) - 100.0).abs() < 0.1, "{}", width("—", 100.0));
        assert!((width("——", 10.0) - 20.0).abs() < 0.1);
    }

    #[test]
    fn a_text_is_cut_at_its_width() {
        let text = "training loss of the fast weights";
        let most = width("training loss", 12.0);
        let cut = fit(text, 12.0, most);
        assert!(cut.starts_with("training l") && cut.ends_with('…'), "{cut}");
        assert!(width(&cut, 12.0) <= most);
        assert_eq!([fit(text, 12.0, 1e6).as_str(), &fit(text, 12.0, -3.0)], [text, ""]);
        assert_eq!(fit("a\nb\u{0}\u{1b}", 12.0, 100.0), "a b");
    }

    #[test]
    fn lines_break_between_words_and_end() {
        let most = width("one two", 12.0);
        assert_eq!(wrap("one two three", 12.0, most, 3), ["one two", "three"]);
        let two = wrap("one two three four five six", 12.0, most, 2);
        assert!(two.len() == 2 && two[1].ends_with('…'), "{two:?}");
        assert!(wrap(" ", 12.0, most, 3).is_empty());
    }
}
