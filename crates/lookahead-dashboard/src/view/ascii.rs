//! The screen in ASCII, for terminals and fonts without other characters.

use ratatui::buffer::Buffer;

/// The characters of the dashboard, each with one that looks like it.
const SIGNS: [(&str, char); 21] = [
    ("─┄−–—▏▎▍▌", '-'),
    ("│┤├‖┊", '|'),
    ("┌┐└┘╭╮╰╯┬┴┼┸", '+'),
    ("●", '@'),
    ("○◇☆", 'o'),
    ("▲△↑", '^'),
    ("▼▽✓↓", 'v'),
    ("■█┃┏┓┗┛", '#'),
    ("□▋▊▉━", '='),
    ("◆★", '*'),
    ("▶→▸▹", '>'),
    ("←◂◃", '<'),
    ("×✗", 'x'),
    ("·…░", '.'),
    ("≈", '~'),
    ("θ", 't'),
    ("φ", 'p'),
    ("α", 'a'),
    ("β", 'b'),
    ("“”", '"'),
    ("⠀", ' '),
];

/// Replaces every other character by one of ASCII.
pub(crate) fn asciify(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if !cell.symbol().is_ascii() {
            let sign = cell.symbol().chars().next().map_or(' ', ascii);
            cell.set_char(sign);
        }
    }
}

fn ascii(letter: char) -> char {
    if let '\u{2801}'..='\u{28ff}' = letter {
        return dots(letter as u32 - 0x2800);
    }
    SIGNS.iter().find(|(signs, _)| signs.contains(letter)).map_or('?', |(_, ascii)| *ascii)
}

/// The character that looks most like the dots of a braille character.
fn dots(bits: u32) -> char {
    let (top, bottom) = (bits & 0b0001_1011 != 0, bits & 0b1110_0100 != 0);
    match (bits.count_ones(), top, bottom) {
        (6.., ..) => '#',
        (1..=2, true, false) => '\'',
        (1..=2, false, true) => '.',
        (_, true, false) => '"',
        (_, false, true) => ',',
        _ => ':',
    }
}
