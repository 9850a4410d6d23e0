//! Bytes from a terminal as events.
//!
//! A terminal can send anything: sequences split by a slow line, unrequested replies, coordinates of 0, a
//! paste that never ends, noise. The [`Decoder`] accepts any bytes, buffers a bounded number of them, and
//! gives up on a sequence whose rest does not come, so that the next key always works. Crossterm's own
//! decoder reads no more keys after half a sequence or half a paste.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

/// How long after an escape character the rest of a sequence may come. A longer time would delay the Esc
/// key, which sends the same character.
const AFTER_ESCAPE: Duration = Duration::from_millis(50);
/// The same within a sequence, which no key starts with.
const WITHIN_SEQUENCE: Duration = Duration::from_millis(300);
/// The same within a paste.
const WITHIN_PASTE: Duration = Duration::from_secs(2);
/// Most bytes of one key. A paste comes in larger pieces, so after a pause these are keys, and the end of
/// the paste is lost.
const LONGEST_KEY: usize = 8;
/// Most bytes of a sequence and of a paste that are kept; the rest is dropped.
const LONGEST_SEQUENCE: usize = 64;
const LONGEST_PASTE: usize = 4096;

const ESCAPE: u8 = 0x1b;
const PASTE_END: &[u8] = b"\x1b[201~";

/// Turns bytes into events, and ignores unknown ones.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    /// The bytes of the current sequence, character or paste, without its introducer.
    bytes: Vec<u8>,
    events: VecDeque<Event>,
    /// When the last bytes came.
    latest: Instant,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    Escape,
    /// After `ESC [`, up to a letter or `~`.
    Sequence,
    /// After `ESC [ [`, as the Linux console sends function keys: one more byte.
    Console,
    /// After `ESC O`: one more byte.
    Short,
    /// After `ESC [ M`: three bytes of any value.
    Mouse,
    /// A reply of the terminal, up to BEL or `ESC \`.
    Reply,
    /// A character of several bytes; whether Alt is held.
    Character(bool),
    /// Up to [`PASTE_END`].
    Paste,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        let (bytes, events) = (Vec::new(), VecDeque::new());
        Decoder { state: State::Ground, bytes, events, latest: Instant::now() }
    }

    /// Adds bytes that came at `now`.
    pub(crate) fn push(&mut self, bytes: &[u8], now: Instant) {
        self.expire(now);
        if self.state == State::Paste
            && now.saturating_duration_since(self.latest) >= WITHIN_SEQUENCE
            && bytes.len() <= LONGEST_KEY
        {
            let rest = &PASTE_END[self.begun_end()..];
            let ends = bytes.windows(PASTE_END.len()).any(|window| window == PASTE_END);
            if !ends && !bytes.starts_with(rest) && !rest.starts_with(bytes) {
                self.end_paste();
            }
        }
        self.latest = now;
        bytes.iter().for_each(|byte| self.take(*byte));
    }

    /// Gives up on what is incomplete if nothing more came up to `now`.
    pub(crate) fn expire(&mut self, now: Instant) {
        let patience = match self.state {
            State::Ground => return,
            State::Escape => AFTER_ESCAPE,
            State::Paste => WITHIN_PASTE,
            _ => WITHIN_SEQUENCE,
        };
        if now.saturating_duration_since(self.latest) < patience {
            return;
        }
        match self.state {
            State::Escape => self.key(KeyCode::Esc, KeyModifiers::NONE),
            State::Paste => self.end_paste(),
            _ => {}
        }
        self.state = State::Ground;
    }

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
                // The end of a reply.
                b'\\' => self.state = State::Ground,
                byte => self.plain(byte, true),
            },
            State::Sequence => match byte {
                b'M' if self.bytes.is_empty() => self.begin(State::Mouse),
                b'[' if self.bytes.is_empty() => self.begin(State::Console),
                0x20..=0x3f if self.bytes.len() < LONGEST_SEQUENCE => self.bytes.push(byte),
                0x20..=0x3f => {}
                0x40..=0x7e => {
                    self.state = State::Ground;
                    self.sequence(byte);
                }
                // The sequence was cut off, and something else begins.
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
                    // Each is sent plus 32.
                    let number = |byte| u32::from(byte).checked_sub(32);
                    self.mouse([number(button), number(column), number(row)], false);
                }
            }
            State::Reply => match byte {
                0x07 => self.state = State::Ground,
                // Most likely of `ESC \`.
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
            State::Paste => {
                self.bytes.push(byte);
                if self.bytes.ends_with(PASTE_END) {
                    self.end_paste();
                } else if self.bytes.len() > LONGEST_PASTE + PASTE_END.len() {
                    self.bytes.remove(LONGEST_PASTE);
                }
            }
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

    /// `ESC [`, the buffered parameters, and this last byte.
    fn sequence(&mut self, last: u8) {
        let bytes = std::mem::take(&mut self.bytes);
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        let sgr = text.strip_prefix('<');
        // A parameter may have a second part after a colon.
        let mut parameters = sgr.unwrap_or(text).split(';').map(|parameter| {
            let mut parts = parameter.split(':').map(|part| part.parse::<u32>().ok());
            (parts.next().flatten(), parts.next().flatten())
        });
        let mut next = || parameters.next().unwrap_or_default();
        let (first, (second, kind), (third, _)) = (next().0, next(), next());
        let code = match (last, first) {
            (b'M' | b'm', _) if sgr.is_some() => {
                return self.mouse([first, second, third], last == b'm');
            }
            _ if sgr.is_some() => return,
            (b'M', _) => {
                let button = first.and_then(|button| button.checked_sub(32));
                return self.mouse([button, second, third], false);
            }
            (b'Z', _) => return self.key(KeyCode::BackTab, KeyModifiers::SHIFT),
            (b'~', Some(200)) => return self.begin(State::Paste),
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
        // Terminals with the newer keyboard protocols report the release too.
        let kind = if kind == Some(3) { KeyEventKind::Release } else { KeyEventKind::Press };
        let key = KeyEvent::new_with_kind(code, modifiers(second), kind);
        self.events.push_back(Event::Key(key));
    }

    /// A mouse report: button, and column and row from 1.
    fn mouse(&mut self, numbers: [Option<u32>; 3], released: bool) {
        let [Some(button), Some(column), Some(row)] = numbers else { return };
        let position = |number: u32| u16::try_from(number.checked_sub(1)?).ok();
        let (Some(column), Some(row)) = (position(column), position(row)) else { return };
        let buttons = [MouseButton::Left, MouseButton::Middle, MouseButton::Right];
        let kind = match ((button & 3) | (button & 0xc0) >> 4, button & 32 != 0) {
            (number @ 0..=2, true) => MouseEventKind::Drag(buttons[number as usize]),
            (number @ 0..=2, false) if released => MouseEventKind::Up(buttons[number as usize]),
            (number @ 0..=2, false) => MouseEventKind::Down(buttons[number as usize]),
            (3, false) => MouseEventKind::Up(MouseButton::Left),
            (3..=5, true) => MouseEventKind::Moved,
            (4, false) => MouseEventKind::ScrollUp,
            (5, false) => MouseEventKind::ScrollDown,
            _ => return,
        };
        let mut modifiers = KeyModifiers::NONE;
        modifiers.set(KeyModifiers::SHIFT, button & 4 != 0);
        modifiers.set(KeyModifiers::ALT, button & 8 != 0);
        modifiers.set(KeyModifiers::CONTROL, button & 16 != 0);
        self.events.push_back(Event::Mouse(MouseEvent { kind, column, row, modifiers }));
    }

    /// Bytes of [`PASTE_END`] at the end of the current paste.
    fn begun_end(&self) -> usize {
        let ends_with = |count: &usize| self.bytes.ends_with(&PASTE_END[..*count]);
        (1..=PASTE_END.len()).rev().find(ends_with).unwrap_or(0)
    }

    fn end_paste(&mut self) {
        self.state = State::Ground;
        self.bytes.truncate((self.bytes.len() - self.begun_end()).min(LONGEST_PASTE));
        let bytes = std::mem::take(&mut self.bytes);
        self.events.push_back(Event::Paste(String::from_utf8_lossy(&bytes).into_owned()));
    }
}

/// Bytes of a character that begins with this one; 1 if it begins no character of several bytes.
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

/// Modifiers of a key, sent as a sum of bits plus 1.
fn modifiers(number: Option<u32>) -> KeyModifiers {
    let bits = number.unwrap_or(1).saturating_sub(1);
    let all = [
        KeyModifiers::SHIFT,
        KeyModifiers::ALT,
        KeyModifiers::CONTROL,
        KeyModifiers::SUPER,
        KeyModifiers::HYPER,
        KeyModifiers::META,
    ];
    all.into_iter()
        .enumerate()
        .filter(|(bit, _)| bits >> bit & 1 == 1)
        .map(|(_, held)| held)
        .collect()
}

#[cfg(test)]
mod tests;
