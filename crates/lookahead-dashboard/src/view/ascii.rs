//! The screen in ASCII, for terminals and fonts without other characters.

use ratatui::buffer::Buffer;

/// Replaces every other character by one of ASCII.
pub(crate) fn asciify(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        let symbol = cell.symbol();
        if symbol.is_ascii() {
            continue;
        }
        let letter = symbol.chars().next().unwrap_or(' ');
        let (mut bytes, sign) = ([0; 4], ascii(letter));
        cell.set_symbol(sign.encode_utf8(&mut bytes));
    }
}

fn ascii(letter: char) -> char {
    match letter {
        '\u{2800}'..='\u{28ff}' => dots(letter as u32 - 0x2800),
        '─' | '┄' | '−' | '–' | '—' => '-',
        '│' | '┤' | '├' | '‖' => '|',
        '┌' | '┐' | '└' | '┘' | '╭' | '╮' | '╰' | '╯' | '┬' | '┴' | '┼' | '┸' => {
            '+'
        }
        '●' => '@',
        '○' => 'o',
        '▲' | '△' => '^',
        '▼' => 'v',
        '■' | '█' => '#',
        '□' => '=',
        '◆' => '*',
        '▶' => '>',
        '×' => 'x',
        '✓' => 'v',
        '✗' => 'x',
        '·' => '.',
        '…' => '.',
        '≈' => '~',
        '→' => '>',
        '←' => '<',
        '↑' => '^',
        '↓' => 'v',
        '░' => '.',
        '▏' | '▎' | '▍' | '▌' => '-',
        '▋' | '▊' | '▉' => '=',
        'θ' => 't',
        'φ' => 'p',
        'α' => 'a',
        'β' => 'b',
        '“' | '”' => '"',
        _ => '?',
    }
}

/// The character that looks most like the dots of a braille character.
fn dots(bits: u32) -> char {
    let (top, bottom) = (bits & 0b0001_1011 != 0, bits & 0b1110_0100 != 0);
    match (bits.count_ones(), top, bottom) {
        (0, ..) => ' ',
        (6.., ..) => '#',
        (1..=2, true, false) => '\'',
        (1..=2, false, true) => '.',
        (_, true, false) => '"',
        (_, false, true) => ',',
        _ => ':',
    }
}
