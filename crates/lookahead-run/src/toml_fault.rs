//! What is wrong with a text that is not TOML, in the words of the text itself: the parser's words are for those who
//! know the grammar.

/// The fault at a byte of `text`, where a parser stopped with `message`: full sentences, without the line's number.
///
/// ```
/// let text = "[optimizer]\nlr = 0,1\n";
/// let fault = lookahead_run::toml_fault::describe(text, 18, "unexpected key or value");
/// assert_eq!(fault, "`lr` is `0,1`. Write a number with a point: `lr = 0.1`.");
/// ```
pub fn describe(text: &str, position: usize, message: &str) -> String {
    let line = without_comment(line_at(text, position));
    if message.starts_with("duplicate key") {
        return duplicate(line);
    }
    let found = if line.starts_with('[') {
        header(line)
    } else if let Some((key, value)) = line.split_once('=') {
        value_of(key.trim(), value.trim())
    } else {
        no_value(line, message)
    };
    found.unwrap_or_else(|| {
        format!("`{line}` can't be read. Write lines like `[train]` and `epochs = 10`, with text in quotes.")
    })
}

/// The line of a position, or the last one with something in it before that.
fn line_at(text: &str, position: usize) -> &str {
    let position =
        (0..=position.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let before = &text[..position];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let rest = &text[start..];
    let line = rest.lines().next().unwrap_or_default().trim();
    if line.is_empty() { before.trim_end().lines().last().unwrap_or_default().trim() } else { line }
}

/// A `#` within quotes begins no comment.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    for (at, letter) in line.char_indices() {
        match (quote, letter) {
            (None, '#') => return line[..at].trim(),
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            _ => {}
        }
    }
    line
}

fn duplicate(line: &str) -> String {
    match line.split_once('=') {
        Some((key, _)) if !line.starts_with('[') => {
            format!("`{}` is set twice in its section. Remove one of the two lines.", key.trim())
        }
        _ => format!("The section `{line}` begins twice. Put all of its keys below the first one."),
    }
}

fn header(line: &str) -> Option<String> {
    let name = line.trim_start_matches('[');
    let Some((name, rest)) = name.split_once(']') else {
        return Some(format!(
            "The section `{line}` lacks its closing bracket. Write `[{}]`.",
            name.trim()
        ));
    };
    let rest = rest.trim_start_matches(']').trim();
    (!rest.is_empty()).then(|| {
        format!(
            "`{rest}` is on the line of its section. Put it on the next line, below `[{name}]`."
        )
    })
}

/// A line without `=`.
fn no_value(line: &str, message: &str) -> Option<String> {
    if message.contains("array") {
        return Some(format!(
            "The list at `{line}` can't be read. Write its values with commas between them and a `]` at the end, for \
             example `[64, 64]`."
        ));
    }
    if line.starts_with(['{', '}']) {
        return Some(
            "The file looks like JSON, and TOML is needed: lines like `[train]` and `epochs = 10`."
                .to_owned(),
        );
    }
    if line.contains(char::is_whitespace) && !line.contains(':') {
        let (key, value) = line.split_once(char::is_whitespace)?;
        return Some(format!("`{line}` has no `=`. Write `{key} = {}`.", written(value.trim())));
    }
    Some(match line.split_once(':') {
        Some((section, "")) => format!("`{line}` is not a section. Write `[{section}]`."),
        Some((key, value)) => {
            let value = written(value.trim());
            format!("`{line}` has a colon. Write `{} = {value}`.", key.trim())
        }
        None => format!("`{line}` has no value. Write `{line} = ` with one after it."),
    })
}

/// The line of a key whose value can't be read.
fn value_of(key: &str, value: &str) -> Option<String> {
    if value.is_empty() {
        return Some(format!(
            "`{key}` has no value. Write one after the `=`, or remove the line: the key then has its default."
        ));
    }
    let write = |remedy: &str, better: &str| {
        Some(format!("`{key}` is `{value}`. {remedy}: `{key} = {better}`."))
    };
    if value.contains(['“', '”', '„', '‘', '’']) {
        let inside = value.trim_matches(['“', '”', '„', '‘', '’', '"', '\'']);
        return write("Use straight quotes", &format!("\"{inside}\""));
    }
    if let Some(better) = value.strip_suffix([',', ';']) {
        return write("Remove the mark at the end", &written(better.trim()));
    }
    if let Some((better, comment)) = value.split_once("//").filter(|_| !value.contains('"')) {
        let better = format!("{} # {}", written(better.trim()), comment.trim());
        return write("A comment begins with `#`", &better);
    }
    let digits = value.trim_start_matches(['+', '-']).replace('_', "");
    let is_whole = digits.chars().all(|letter| letter.is_ascii_digit());
    if is_whole && !digits.starts_with('0') && digits.parse::<i64>().is_err() {
        let most = i64::MAX;
        return Some(format!("`{key}` is `{value}`, which is too large. Use at most {most}."));
    }
    let first = value.chars().next()?;
    match first {
        '"' | '\'' if value.matches(first).count() == 1 => {
            write("Close the text with a quote", &format!("{value}{first}"))
        }
        '"' if value.contains('\\') => {
            let inside = value.trim_matches('"');
            write("In double quotes, `\\` is special. Use single quotes", &format!("'{inside}'"))
        }
        '[' if !value.contains(']') => write("Close the list", &format!("{value}]")),
        '[' => Some(format!(
            "`{key}` is `{value}`. Write a list with commas between its values, and text in quotes, for example \
             `[64, 64]`."
        )),
        '(' => {
            let inside = value.trim_matches(['(', ')']).trim_end_matches(',');
            write("Write a list in brackets", &format!("[{inside}]"))
        }
        _ if ["none", "null", "nil"].contains(&value.to_lowercase().as_str()) => Some(format!(
            "`{key}` is `{value}`, which TOML does not have. Remove the line: the key then has its default."
        )),
        _ => {
            let better = written(value);
            if better.starts_with('"') && !first.is_alphabetic() && first != '/' && first != '.' {
                return Some(format!(
                    "`{key}` is `{value}`. Write a number like `0.1`, `true`, `false`, a list like `[64]`, or text in \
                     quotes."
                ));
            }
            let remedy = match better.chars().next() {
                Some('"') => "Put text in quotes",
                Some('t' | 'f') => "Write it in small letters, true or false",
                _ => {
                    "Write a number with a point and digits on both sides, and without leading zeros"
                }
            };
            let remedy = if value.contains(',') { "Write a number with a point" } else { remedy };
            write(remedy, &better)
        }
    }
}

/// What was meant by a value, as TOML.
fn written(value: &str) -> String {
    match value.to_lowercase().as_str() {
        "true" | "yes" | "on" => return "true".to_owned(),
        "false" | "no" | "off" => return "false".to_owned(),
        _ => {}
    }
    let point = value.replace(',', ".");
    let (sign, digits) = match point.strip_prefix(['-', '+']) {
        Some(rest) => (&point[..1], rest),
        None => ("", &point[..]),
    };
    let is_number = digits.parse::<f64>().is_ok() && digits.chars().any(|c| c.is_ascii_digit());
    if is_number {
        let trimmed = digits.trim_start_matches('0');
        let zero = if trimmed.starts_with(|c: char| c.is_ascii_digit()) { "" } else { "0" };
        let end = if trimmed.ends_with('.') { "0" } else { "" };
        return format!("{sign}{zero}{trimmed}{end}");
    }
    let is_whole = value.starts_with(['"', '\'', '[', '{']);
    if is_whole { value.to_owned() } else { format!("\"{value}\"") }
}

#[cfg(test)]
mod tests;
