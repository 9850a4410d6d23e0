use proptest::prelude::*;

use super::*;

fn events(decoder: &mut Decoder) -> Vec<Event> {
    std::iter::from_fn(|| decoder.next()).collect()
}

/// The events of bytes that come together, with a long pause after them.
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
fn mouse_reports_in_three_encodings() {
    let mouse =
        |kind, column, row, modifiers| Event::Mouse(MouseEvent { kind, column, row, modifiers });
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
fn unknown_sequences_are_ignored_and_the_next_key_works() {
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
    // Its end is lost: keys follow, without a pause that is long enough.
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
fn a_slow_line_may_split_a_report_and_a_lost_rest_is_given_up() {
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
        prop_assert!(decoder.bytes.len() <= LONGEST_PASTE + PASTE_END.len());
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
