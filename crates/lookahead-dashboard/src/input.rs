//! What a terminal sends, as events.
//!
//! A terminal sends whatever it likes: reports cut in two by a slow line, replies that nothing asked
//! for, coordinates of 0, a paste that never ends, noise. The [`Decoder`] takes any bytes, holds a
//! bounded number of them, and gives up on a sequence whose rest does not come. So the next key
//! means what it says whatever came before it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

/// How long after an escape character the rest of a sequence may come. A longer wait would delay the
/// Esc key, which sends the same character.
const AFTER_ESCAPE: Duration = Duration::from_millis(50);
/// The same later in a sequence, which no key is mistaken for.
const WITHIN_SEQUENCE: Duration = Duration::from_millis(300);
/// The same in a paste.
const WITHIN_PASTE: Duration = Duration::from_secs(2);
/// Most bytes of one key. A paste whose end is lost would take keys in for as long as they come; but a
/// paste comes in larger pieces.
const LONGEST_KEY: usize = 8;
/// Most bytes of a sequence and of a paste that are kept; the rest is read and dropped.
const LONGEST_SEQUENCE: usize = 64;
const LONGEST_PASTE: usize = 4096;

const ESCAPE: u8 = 0x1b;
const PASTE_END: &[u8] = b"\x1b[201~";

/// Turns bytes into events. What it can't use, it ignores.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    /// The bytes of what has begun, without its introducer.
    bytes: Vec<u8>,
    events: VecDeque<Event>,
    /// When bytes came last.
    latest: Instant,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    Escape,
    /// After `ESC [`, up to a letter or the like.
    Sequence,
    /// After `ESC [ [`, as the Linux console sends function keys: one more.
    Console,
    /// After `ESC O`: one more.
    Short,
    /// After `ESC [ M`: three bytes of any value.
    Mouse,
    /// A reply of the terminal, up to BEL or `ESC \`.
    Reply,
    /// A character of several bytes; whether Alt is held.
    Character(bool),
    /// Up to `ESC [ 2 0 1 ~`; how many bytes of that have come.
    Paste(usize),
}

impl Decoder {
    pub(crate) fn new() -> Self {
        let (bytes, events) = (Vec::new(), VecDeque::new());
        Decoder { state: State::Ground, bytes, events, latest: Instant::now() }
    }

    /// Takes in bytes that came at `now`.
    pub(crate) fn push(&mut self, bytes: &[u8], now: Instant) {
        self.expire(now);
        let is_end = |rest: &[u8]| bytes.starts_with(rest) || rest.starts_with(bytes);
        if let State::Paste(matched) = self.state
            && now.saturating_duration_since(self.latest) >= WITHIN_SEQUENCE
            && bytes.len() <= LONGEST_KEY
            && !is_end(&PASTE_END[matched..])
            && !bytes.windows(PASTE_END.len()).any(|window| window == PASTE_END)
        {
            self.end_paste();
        }
        self.latest = now;
        bytes.iter().for_each(|byte| self.take(*byte));
    }

    /// Nothing more has come up to `now`: what has begun may be over.
    pub(crate) fn expire(&mut self, now: Instant) {
        let patience = match self.state {
            State::Ground => return,
            State::Escape => AFTER_ESCAPE,
            State::Paste(_) => WITHIN_PASTE,
            _ => WITHIN_SEQUENCE,
        };
        if now.saturating_duration_since(self.latest) < patience {
            return;
        }
        match self.state {
            State::Escape => self.key(KeyCode::Esc, KeyModifiers::NONE),
            State::Paste(_) => self.end_paste(),
            _ => {}
        }
        self.state = State::Ground;
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        self.bytes.clear();
    }

    fn key(&mut self, code: KeyCode, modifiers: KeyModifiers) {
        self.events.push_back(Event::Key(KeyEvent::new(code, modifiers)));
    }

    fn take(&mut self, byte: u8) {
        match self.state {
            State::Ground => self.plain(byte, false),
            State::Escape => match byte {
                b'[' => self.begin(State::Sequence),
                b'O' => self.begin(State::Short),
                b']' | b'P' | b'X' | b'^' | b'_' => self.begin(State::Reply),
                ESCAPE => self.key(KeyCode::Esc, KeyModifiers::NONE),
                // It ends a reply.
                b'\\' => self.state = State::Ground,
                byte => self.plain(byte, true),
            },
            State::Sequence => match byte {
                b'M' if self.bytes.is_empty() => self.begin(State::Mouse),
                b'[' if self.bytes.is_empty() => self.begin(State::Console),
                0x20..=0x3f => self.keep(byte, LONGEST_SEQUENCE),
                0x40..=0x7e => {
                    self.state = State::Ground;
                    self.sequence(byte);
                }
                // It was cut off, and something else begins.
                byte => self.plain(byte, false),
            },
            State::Short => {
                self.state = State::Ground;
                match cursor_key(byte) {
                    Some(code) => self.key(code, KeyModifiers::NONE),
                    None if (0x20..0x7f).contains(&byte) => {}
                    None => self.plain(byte, false),
                }
            }
            State::Console => self.state = State::Ground,
            State::Mouse => {
                self.bytes.push(byte);
                if let [button, column, row] = self.bytes[..] {
                    self.state = State::Ground;
                    let [button, column, row] = [button, column, row].map(|byte| {
                        // All three are written 32 higher.
                        u32::from(byte).checked_sub(32)
                    });
                    if let (Some(button), Some(column), Some(row)) = (button, column, row) {
                        self.mouse(button, column, row, false);
                    }
                }
            }
            State::Reply => match byte {
                0x07 => self.state = State::Ground,
                // Most likely of `ESC \`; else it begins something else.
                ESCAPE => self.begin(State::Escape),
                _ => {}
            },
            State::Character(alt) => {
                if !(0x80..0xc0).contains(&byte) {
                    return self.plain(byte, false);
                }
                self.bytes.push(byte);
                if self.bytes.len() == character_length(self.bytes[0]) {
                    self.state = State::Ground;
                    let text = std::str::from_utf8(&self.bytes).unwrap_or_default();
                    if let Some(letter) = text.chars().next() {
                        self.letter(letter, alt);
                    }
                }
            }
            State::Paste(matched) => self.paste(byte, matched),
        }
    }

    fn keep(&mut self, byte: u8, most: usize) {
        if self.bytes.len() < most {
            self.bytes.push(byte);
        }
    }

    /// A byte outside of a sequence.
    fn plain(&mut self, byte: u8, alt: bool) {
        self.state = State::Ground;
        let held = if alt { KeyModifiers::ALT } else { KeyModifiers::NONE };
        let control = held | KeyModifiers::CONTROL;
        match byte {
            ESCAPE => self.begin(State::Escape),
            b'\r' => self.key(KeyCode::Enter, held),
            b'\t' => self.key(KeyCode::Tab, held),
            0x7f => self.key(KeyCode::Backspace, held),
            0 => self.key(KeyCode::Char(' '), control),
            1..=0x1a => self.key(KeyCode::Char((byte - 1 + b'a') as char), control),
            0x1c..=0x1f => self.key(KeyCode::Char((byte - 0x1c + b'4') as char), control),
            0x20..=0x7e => self.letter(char::from(byte), alt),
            _ if character_length(byte) > 1 => {
                self.begin(State::Character(alt));
                self.bytes.push(byte);
            }
            _ => {}
        }
    }

    fn letter(&mut self, letter: char, alt: bool) {
        let mut held = if alt { KeyModifiers::ALT } else { KeyModifiers::NONE };
        held.set(KeyModifiers::SHIFT, letter.is_uppercase());
        self.key(KeyCode::Char(letter), held);
    }

    /// `ESC [`, what is kept of the parameters, and this last byte.
    fn sequence(&mut self, last: u8) {
        let bytes = std::mem::take(&mut self.bytes);
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        if let Some(report) = text.strip_prefix('<') {
            let mut numbers = report.split(';').map(|number| number.parse().ok());
            let mut next = || numbers.next().flatten();
            if let (b'M' | b'm', Some(button), Some(column), Some(row)) =
                (last, next(), next(), next())
            {
                self.mouse(button, column, row, last == b'm');
            }
            return;
        }
        let mut fields = text.split(';').map(|field| {
            let mut parts = field.split(':').map(|part| part.parse::<u32>().ok());
            (parts.next().flatten(), parts.next().flatten())
        });
        let mut next = || fields.next().unwrap_or_default();
        let (first, (second, kind)) = (next().0, next());
        let held = modifiers(second);
        let code = match (last, first) {
            (b'Z', _) => return self.key(KeyCode::BackTab, KeyModifiers::SHIFT),
            (b'M', Some(button)) => {
                let (column, row) = (second, next().0);
                if let (Some(button), Some(column), Some(row)) =
                    (button.checked_sub(32), column, row)
                {
                    self.mouse(button, column, row, false);
                }
                return;
            }
            (b'~', Some(200)) => return self.begin(State::Paste(0)),
            (b'~', Some(1 | 7)) => KeyCode::Home,
            (b'~', Some(4 | 8)) => KeyCode::End,
            (b'~', Some(3)) => KeyCode::Delete,
            (b'~', Some(5)) => KeyCode::PageUp,
            (b'~', Some(6)) => KeyCode::PageDown,
            (b'u', Some(code)) => match char::from_u32(code) {
                Some('\x1b') => KeyCode::Esc,
                Some('\r') => KeyCode::Enter,
                Some('\t') => KeyCode::Tab,
                Some('\x7f') => KeyCode::Backspace,
                Some(letter) if !letter.is_control() => KeyCode::Char(letter),
                _ => return,
            },
            _ => match cursor_key(last) {
                Some(code) => code,
                None => return,
            },
        };
        // The newer keyboard protocols report the release too.
        let kind = if kind == Some(3) { KeyEventKind::Release } else { KeyEventKind::Press };
        self.events.push_back(Event::Key(KeyEvent::new_with_kind(code, held, kind)));
    }

    /// A report of the mouse, whose columns and rows begin at 1.
    fn mouse(&mut self, button: u32, column: u32, row: u32, released: bool) {
        let place = |number: u32| u16::try_from(number.checked_sub(1)?).ok();
        let (Some(column), Some(row)) = (place(column), place(row)) else { return };
        let dragging = button & 32 != 0;
        let kind = match ((button & 3) | (button & 0xc0) >> 4, dragging) {
            (number @ 0..=2, dragging) => {
                let button = [MouseButton::Left, MouseButton::Middle, MouseButton::Right];
                let button = button[number as usize];
                match (released, dragging) {
                    (true, false) => MouseEventKind::Up(button),
                    (_, true) => MouseEventKind::Drag(button),
                    (false, false) => MouseEventKind::Down(button),
                }
            }
            (3, false) => MouseEventKind::Up(MouseButton::Left),
            (3..=5, true) => MouseEventKind::Moved,
            (4, false) => MouseEventKind::ScrollUp,
            (5, false) => MouseEventKind::ScrollDown,
            (6, false) => MouseEventKind::ScrollLeft,
            (7, false) => MouseEventKind::ScrollRight,
            _ => return,
        };
        let mut modifiers = KeyModifiers::NONE;
        modifiers.set(KeyModifiers::SHIFT, button & 4 != 0);
        modifiers.set(KeyModifiers::ALT, button & 8 != 0);
        modifiers.set(KeyModifiers::CONTROL, button & 16 != 0);
        self.events.push_back(Event::Mouse(MouseEvent { kind, column, row, modifiers }));
    }

    fn paste(&mut self, byte: u8, matched: usize) {
        if byte == PASTE_END[matched] {
            match matched + 1 == PASTE_END.len() {
                true => self.end_paste(),
                false => self.state = State::Paste(matched + 1),
            }
            return;
        }
        // It looked like the end. Only its first byte can begin it anew.
        PASTE_END[..matched].iter().for_each(|byte| self.keep(*byte, LONGEST_PASTE));
        let begins = byte == PASTE_END[0];
        if !begins {
            self.keep(byte, LONGEST_PASTE);
        }
        self.state = State::Paste(usize::from(begins));
    }

    fn end_paste(&mut self) {
        self.state = State::Ground;
        let bytes = std::mem::take(&mut self.bytes);
        self.events.push_back(Event::Paste(String::from_utf8_lossy(&bytes).into_owned()));
    }
}

/// Bytes of a character that begins with this one; 1 where none of several bytes does.
fn character_length(first: u8) -> usize {
    match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    }
}

fn cursor_key(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        _ => return None,
    })
}

/// Keys held with another, which are written as a sum of bits, and 1.
fn modifiers(number: Option<u32>) -> KeyModifiers {
    let bits = number.unwrap_or(1).saturating_sub(1);
    let mut held = KeyModifiers::NONE;
    held.set(KeyModifiers::SHIFT, bits & 1 != 0);
    held.set(KeyModifiers::ALT, bits & 2 != 0);
    held.set(KeyModifiers::CONTROL, bits & 4 != 0);
    held.set(KeyModifiers::SUPER, bits & 8 != 0);
    held.set(KeyModifiers::HYPER, bits & 16 != 0);
    held.set(KeyModifiers::META, bits & 32 != 0);
    held
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(decoder: &mut Decoder) -> Vec<Event> {
        std::iter::from_fn(|| decoder.next()).collect()
    }

    /// What bytes mean that come at once, and after which nothing comes for long.
    fn decode(bytes: &[u8]) -> Vec<Event> {
        let mut decoder = Decoder::new();
        let now = Instant::now();
        decoder.push(bytes, now);
        decoder.expire(now + WITHIN_PASTE);
        events(&mut decoder)
    }

    fn key(code: KeyCode, held: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(code, held))
    }

    fn letter(letter: char) -> Event {
        key(KeyCode::Char(letter), KeyModifiers::NONE)
    }

    #[test]
    fn keys_mean_what_terminals_send_for_them() {
        use KeyCode::*;
        const NONE: KeyModifiers = KeyModifiers::NONE;
        const ALT: KeyModifiers = KeyModifiers::ALT;
        const SHIFT: KeyModifiers = KeyModifiers::SHIFT;
        const CONTROL: KeyModifiers = KeyModifiers::CONTROL;
        let cases: &[(&str, KeyCode, KeyModifiers)] = &[
            ("q", Char('q'), NONE),
            ("N", Char('N'), SHIFT),
            ("é", Char('é'), NONE),
            ("漢", Char('漢'), NONE),
            ("😀", Char('😀'), NONE),
            ("\x03", Char('c'), CONTROL),
            ("\r", Enter, NONE),
            ("\t", Tab, NONE),
            ("\x7f", Backspace, NONE),
            ("\x1b", Esc, NONE),
            ("\x1bq", Char('q'), ALT),
            ("\x1bé", Char('é'), ALT),
            ("\x1b[A", Up, NONE),
            ("\x1bOB", Down, NONE),
            ("\x1b[1;2C", Right, SHIFT),
            ("\x1b[1;6D", Left, SHIFT | CONTROL),
            ("\x1b[Z", BackTab, SHIFT),
            ("\x1b[H", Home, NONE),
            ("\x1b[4~", End, NONE),
            ("\x1b[3~", Delete, NONE),
            ("\x1b[5~", PageUp, NONE),
            ("\x1b[6;5~", PageDown, CONTROL),
            ("\x1b[113u", Char('q'), NONE),
            ("\x1b[99;5u", Char('c'), CONTROL),
        ];
        for (bytes, code, held) in cases {
            assert_eq!(decode(bytes.as_bytes()), [key(*code, *held)], "{bytes:?}");
        }
        let released = decode(b"\x1b[113;1:3u");
        assert!(matches!(&released[..], [Event::Key(key)] if key.kind == KeyEventKind::Release));
    }

    #[test]
    fn reports_of_the_mouse_in_three_encodings() {
        let mouse = |kind, column, row, modifiers| {
            Event::Mouse(MouseEvent { kind, column, row, modifiers })
        };
        let left = MouseButton::Left;
        let plain = KeyModifiers::NONE;
        for (bytes, event) in [
            (&b"\x1b[<0;1;2M"[..], mouse(MouseEventKind::Down(left), 0, 1, plain)),
            (b"\x1b[<0;20;30m", mouse(MouseEventKind::Up(left), 19, 29, plain)),
            (b"\x1b[<32;20;30M", mouse(MouseEventKind::Drag(left), 19, 29, plain)),
            (b"\x1b[<35;20;30M", mouse(MouseEventKind::Moved, 19, 29, plain)),
            (b"\x1b[<64;20;30M", mouse(MouseEventKind::ScrollUp, 19, 29, plain)),
            (b"\x1b[<69;2;3M", mouse(MouseEventKind::ScrollDown, 1, 2, KeyModifiers::SHIFT)),
            (b"\x1b[32;20;30M", mouse(MouseEventKind::Down(left), 19, 29, plain)),
            (b"\x1b[M !\"", mouse(MouseEventKind::Down(left), 0, 1, plain)),
            (b"\x1b[M#\xff\xff", mouse(MouseEventKind::Up(left), 222, 222, plain)),
        ] {
            assert_eq!(decode(bytes), [event], "{bytes:?}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_ignored_and_the_next_key_is_not() {
        for bytes in [
            &b"\x1b[<0;0;5M"[..],
            b"\x1b[<0;5;0m",
            b"\x1b[<0;70000;1M",
            b"\x1b[<4294967296;1;1M",
            b"\x1b[<;;M",
            b"\x1b[M   ",
            b"\x1b[M\x00\x00\x00",
            b"\x1b[32;0;5M",
            b"\x1b[0;1;1M",
            b"\x1b[0;0R",
            b"\x1b[?62;4c",
            b"\x1b[I",
            b"\x1b[15~",
            b"\x1b[[A",
            b"\x1bOP",
            b"\x1b]11;rgb:ffff/0000/ffff\x07",
            b"\x1bP1$r0m\x1b\\",
            b"\x80\xff\xc0\xf8",
            b"\xed\xa0\x80",
            b"\xf4\xff",
            b"\x1b[1234567890123456789012345678901234567890123456789012345678901234567890~",
        ] {
            assert_eq!(decode(&[bytes, b"q"].concat()), [letter('q')], "{bytes:?}");
        }
    }

    #[test]
    fn a_paste_is_one_event_whatever_is_in_it() {
        let paste = |text: &str| Event::Paste(text.to_owned());
        let whole = b"\x1b[200~set s=\x1b[A\x1b[20\x1b\x1b\nq\x1b[201~q";
        assert_eq!(decode(whole), [paste("set s=\x1b[A\x1b[20\x1b\x1b\nq"), letter('q')]);
        let long = [b"\x1b[200~", &b"s".repeat(1 << 20)[..], b"\x1b[201~q"].concat();
        assert_eq!(decode(&long), [paste(&"s".repeat(LONGEST_PASTE)), letter('q')]);
        // Its end is lost: keys follow, and there is never a pause that is long enough.
        assert_eq!(decode(b"\x1b[200~stop"), [paste("stop")]);
        let mut decoder = Decoder::new();
        let start = Instant::now();
        decoder.push(b"\x1b[200~stop", start);
        decoder.push(b"this is more of it", start + WITHIN_SEQUENCE);
        decoder.push(b"?", start + 2 * WITHIN_SEQUENCE);
        assert_eq!(events(&mut decoder), [paste("stopthis is more of it"), letter('?')]);
        decoder.push(b"\x1b[200~stop", start);
        decoder.push(b"\x1b[20", start + WITHIN_SEQUENCE);
        decoder.push(b"1~", start + 2 * WITHIN_SEQUENCE);
        assert_eq!(events(&mut decoder), [paste("stop")]);
    }

    #[test]
    fn a_slow_line_may_cut_a_report_in_two_and_a_lost_rest_is_not_waited_for() {
        let report = b"\x1b[<0;12;5M";
        let start = Instant::now();
        for cut in 1..report.len() {
            let mut decoder = Decoder::new();
            decoder.push(&report[..cut], start);
            decoder.expire(start + AFTER_ESCAPE / 2);
            decoder.push(&report[cut..], start + AFTER_ESCAPE / 2);
            assert_eq!(events(&mut decoder), decode(report), "cut at {cut}");

            decoder.push(&report[..cut], start);
            decoder.push(b"?", start + WITHIN_SEQUENCE);
            let found = events(&mut decoder);
            assert_eq!(found.last(), Some(&letter('?')), "cut at {cut}: {found:?}");
        }
    }

    fn noise() -> impl Strategy<Value = Vec<u8>> {
        let known = [
            &b"\x1b[<0;0;5M"[..],
            b"\x1b[M   ",
            b"\x1b[32;0;5M",
            b"\x1b[200~",
            b"\x1b[201~",
            b"\x1b[1;2C",
            b"\x1b]0;",
            b"\x1b[[",
            b"\x1b\x1b",
            b"\xe6\xbc\xa2",
            b"\x1b[99;5u",
        ];
        let piece = prop_oneof![
            prop::sample::select(known.to_vec()).prop_map(<[u8]>::to_vec),
            prop::collection::vec(any::<u8>(), 0..8),
            prop::collection::vec(prop::sample::select(b"\x1b[]<;:0123456789M~u".to_vec()), 0..12),
        ];
        prop::collection::vec((piece, any::<prop::sample::Index>(), any::<u8>()), 0..20).prop_map(
            |pieces| {
                let mut bytes = Vec::new();
                for (mut piece, at, byte) in pieces {
                    if !piece.is_empty() && byte < 128 {
                        let at = at.index(piece.len());
                        piece[at] = byte;
                    }
                    bytes.extend(piece);
                }
                bytes
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..Default::default() })]

        #[test]
        fn after_any_bytes_and_a_moment_a_key_is_that_key(bytes in noise()) {
            let mut decoder = Decoder::new();
            let start = Instant::now();
            decoder.push(&bytes, start);
            prop_assert!(decoder.bytes.len() <= LONGEST_PASTE);
            decoder.push(b"?", start + WITHIN_SEQUENCE);
            prop_assert_eq!(events(&mut decoder).pop(), Some(letter('?')));
            decoder.push(b"\x1b", start + WITHIN_SEQUENCE);
            decoder.push(b"q", start + WITHIN_SEQUENCE + AFTER_ESCAPE);
            prop_assert_eq!(events(&mut decoder), [key(KeyCode::Esc, KeyModifiers::NONE), letter('q')]);
        }

        #[test]
        fn bytes_mean_the_same_however_they_are_cut(bytes in noise(), size in 1_usize..9) {
            let mut decoder = Decoder::new();
            let start = Instant::now();
            bytes.chunks(size).for_each(|chunk| decoder.push(chunk, start));
            decoder.expire(start + WITHIN_PASTE);
            prop_assert_eq!(events(&mut decoder), decode(&bytes));
        }
    }
}
