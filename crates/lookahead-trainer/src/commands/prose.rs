//! Texts of the documentation of keys, for a terminal and for comments.

/// Markdown without its links. One that the text points to, as in "see [alerts](guide.md#alerts)", keeps its file.
pub(super) fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some(start) = rest.find('[') {
        let link = rest[start..].split_once("](").and_then(|(name, after)| {
            let (address, after) = after.split_once(')')?;
            // Brackets of a list in code are not a link's.
            name[1..].find([']', '`']).is_none().then_some((&name[1..], address, after))
        });
        match link {
            Some((name, address, after)) => {
                text += &rest[..start];
                let points = text.ends_with('(') || text.ends_with("see ");
                text += name;
                let file = address.split('#').next().filter(|file| points && !file.is_empty());
                text += &file.map_or_else(String::new, |file| format!(" in docs/{file}"));
                rest = after;
            }
            None => {
                text += &rest[..=start];
                rest = &rest[start + 1..];
            }
        }
    }
    text + rest
}

/// A phrase as a sentence. A Greek letter is a symbol: it stays as it is.
pub(super) fn sentence(phrase: &str) -> String {
    let mut letters = phrase.chars();
    let first: String = letters.next().map(capital).unwrap_or_default();
    let stop = if phrase.is_empty() || phrase.ends_with('.') { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

fn capital(letter: char) -> String {
    if letter.is_ascii() { letter.to_ascii_uppercase().into() } else { letter.into() }
}

/// The first part of a phrase.
pub(super) fn first_part(phrase: &str) -> &str {
    phrase.split(". ").next().and_then(|first| first.split("; ").next()).unwrap_or_default()
}

/// Lines of at most `width` characters, broken between words. A longer word has its own line.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    wrap_after(text, 0, width)
}

/// As [`wrap`], with a first line that is shorter by `used` characters.
pub(super) fn wrap_after(text: &str, used: usize, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut room = width.saturating_sub(used);
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            last => {
                if last.is_some() {
                    room = width;
                }
                lines.push(word.to_owned());
            }
        }
    }
    lines
}

/// Text wrapped to `width`, each line after `indent` spaces.
pub(super) fn indented(text: &str, indent: usize, width: usize) -> String {
    let lines = wrap(text, width.saturating_sub(indent).max(20));
    lines.iter().map(|line| format!("{:indent$}{line}\n", "")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_become_their_names_and_files() {
        let linked = "of the [networks](guide.md#networks), as `[height, width]` or [1, 2]";
        assert_eq!(plain(linked), "of the networks, as `[height, width]` or [1, 2]");
        assert_eq!(plain("`[a]` and [b](c)"), "`[a]` and b");
        assert_eq!(plain("see [b](c.md#d), [e](#f)"), "see b in docs/c.md, e");
        assert_eq!(plain("a ([b](c.md)). d"), "a (b in docs/c.md). d");
    }

    #[test]
    fn phrases_become_sentences() {
        assert_eq!(sentence("inner steps. More"), "Inner steps. More.");
        assert_eq!(first_part("every N; 0 is off. More"), "every N");
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap_after("one two three", 4, 7), ["one", "two", "three"]);
        assert_eq!(indented("θθ φφ", 2, 4), "  θθ φφ\n");
    }
}
