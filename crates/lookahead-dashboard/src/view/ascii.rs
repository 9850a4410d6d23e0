//! The screen without any sign beyond ASCII, for terminals and fonts that have no others.

use ratatui::buffer::Buffer;

/// Puts a sign of ASCII in the place of every other.
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

/// The sign that is closest to where the dots of a braille letter are.
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
