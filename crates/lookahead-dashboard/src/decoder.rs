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
mod tests;
