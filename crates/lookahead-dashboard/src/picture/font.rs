//! The one font of the pictures, which is part of the program: a system may have none.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScale, PxScaleFont, ScaleFont};

/// What an SVG asks its viewer for. Verdana has the widths of DejaVu Sans, with which everything is
/// laid out; the rest come close.
pub(super) const FAMILY: &str = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif";

static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(dejavu::sans::regular()).expect("the font in the program is a font")
});

/// The font with an em of that many pixels.
pub(super) fn scaled(em: f64) -> PxScaleFont<&'static FontRef<'static>> {
    let font = LazyLock::force(&FONT);
    // `ab_glyph` counts from the lowest descender to the highest ascender.
    let em_height = font.units_per_em().unwrap_or(2048.0);
    let scale = PxScale::from(em as f32 * font.height_unscaled() / em_height);
    font.as_scaled(scale)
}

/// How far apart the starts of two characters are.
pub(super) fn advance(
    font: &PxScaleFont<&'static FontRef<'static>>,
    before: Option<char>,
    character: char,
) -> (f32, f32) {
    let glyph = font.glyph_id(character);
    let kern = before.map_or(0.0, |before| font.kern(font.glyph_id(before), glyph));
    (kern, font.h_advance(glyph))
}

/// Pixels from the start to the end of a text.
pub(super) fn width(text: &str, em: f64) -> f64 {
    let font = scaled(em);
    let mut before = None;
    let mut width = 0.0;
    for character in text.chars() {
        let (kern, step) = advance(&font, before, character);
        width += kern + step;
        before = Some(character);
    }
    f64::from(width)
}

/// The text without what XML and a line of text can't hold.
pub(super) fn clean(text: &str) -> String {
    let forbidden = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if forbidden(c) { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// The text, cut with an ellipsis where it is wider than that many pixels.
pub(super) fn fit(text: &str, em: f64, most: f64) -> String {
    let text = clean(text);
    if width(&text, em) <= most {
        return text;
    }
    let characters: Vec<char> = text.chars().collect();
    let cut = |count: &usize| format!("{}…", characters[..*count].iter().collect::<String>());
    // A text of any length ends somewhere here: no character is narrower than a twentieth of an em.
    let enough = characters.len().min((most.max(0.0) / em * 20.0) as usize);
    let (mut fits, mut wide) = (0, enough + 1);
    while fits + 1 < wide {
        let middle = (fits + wide) / 2;
        let middle = middle.min(characters.len());
        if width(&cut(&middle), em) <= most { fits = middle } else { wide = middle }
    }
    if fits == 0 { String::new() } else { cut(&fits) }
}

/// The text in lines of at most that many pixels, broken between words.
pub(super) fn wrap(text: &str, em: f64, most: f64, lines: usize) -> Vec<String> {
    let text = clean(text);
    let mut done: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if !line.is_empty() && width(&format!("{line} {word}"), em) > most {
            if done.len() + 1 == lines {
                let rest = words.fold(format!("{line} {word}"), |rest, word| rest + " " + word);
                done.push(fit(&rest, em, most));
                return done;
            }
            done.push(fit(&line, em, most));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        done.push(fit(&line, em, most));
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_the_signs_of_the_figures() {
        let font = scaled(10.0);
        for sign in "θφα‖Δ−×⁰¹²³⁴⁵⁶⁷⁸⁹⁻…–±→".chars() {
            assert_ne!(font.glyph_id(sign).0, 0, "{sign}");
        }
        assert_eq!(font.glyph_id('\u{e123}').0, 0);
    }

    #[test]
    fn an_em_is_what_it_says() {
        // This dash is one em wide by its very name.
        assert!((width("—", 100.0) - 100.0).abs() < 0.1, "{}", width("—", 100.0));
        assert!((width("——", 10.0) - 20.0).abs() < 0.1);
    }

    #[test]
    fn a_text_is_cut_where_it_must_be() {
        let text = "training loss of the fast weights";
        let most = width("training loss", 12.0);
        let cut = fit(text, 12.0, most);
        assert!(cut.starts_with("training l") && cut.ends_with('…'), "{cut}");
        assert!(width(&cut, 12.0) <= most);
        assert_eq!(fit(text, 12.0, 1e6), text);
        assert_eq!(fit(text, 12.0, 3.0), "");
        assert_eq!(fit(text, 12.0, -3.0), "");
        assert_eq!(fit("a\nb\u{0}\u{1b}", 12.0, 100.0), "a b");
    }

    #[test]
    fn lines_break_between_words_and_end() {
        let most = width("one two", 12.0);
        assert_eq!(wrap("one two three", 12.0, most, 3), ["one two", "three"]);
        let two = wrap("one two three four five six", 12.0, most, 2);
        assert_eq!(two.len(), 2);
        assert!(two[1].ends_with('…'), "{two:?}");
        assert!(wrap(" ", 12.0, most, 3).is_empty());
    }
}
