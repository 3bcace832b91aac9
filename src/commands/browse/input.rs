//! The keys in what a terminal sends: characters, control characters and escape sequences.
//! Sequences that are no key are dropped, also those that never end.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// After this pause a sequence does not continue, and Esc is the key.
const PAUSE: Duration = Duration::from_millis(50);

/// Bytes of a sequence at most.
const SEQUENCE_MAX: usize = 64;

const ESC: u8 = 0x1b;

/// The bytes that may be the beginning of a sequence.
#[derive(Debug, Default)]
pub struct Input {
    bytes: Vec<u8>,
    came: Option<Instant>,
}

impl Input {
    /// Takes what came, which may be nothing; returns the keys that are complete.
    pub fn keys(&mut self, bytes: &[u8]) -> Vec<KeyEvent> {
        let mut is_over = false;
        if bytes.is_empty() {
            is_over = self.came.is_none_or(|came| came.elapsed() >= PAUSE);
        } else {
            self.bytes.extend_from_slice(bytes);
            self.came = Some(Instant::now());
        }
        self.complete(is_over)
    }

    fn complete(&mut self, is_over: bool) -> Vec<KeyEvent> {
        let mut keys = Vec::new();
        let mut rest = self.bytes.as_slice();
        while let Some((taken, key)) = parse(rest, is_over) {
            rest = rest.get(taken..).unwrap_or_default();
            keys.extend(key);
        }
        self.bytes = rest.to_vec();
        keys
    }
}

/// The bytes that the first key or sequence takes, and the key; `None` while there is more to
/// come.
fn parse(bytes: &[u8], is_over: bool) -> Option<(usize, Option<KeyEvent>)> {
    let key = |taken, code| Some((taken, Some(KeyEvent::new(code, KeyModifiers::NONE))));
    match bytes {
        [ESC] | [ESC, b'O'] if !is_over => None,
        [ESC, b'O', last, ..] => Some((3, named(*last, &[]))),
        [ESC, b'O'] => Some((2, None)),
        [ESC, b'[', ..] => sequence(bytes, is_over),
        [ESC, ..] => key(1, KeyCode::Esc),
        [b'\r' | b'\n', ..] => key(1, KeyCode::Enter),
        [b'\t', ..] => key(1, KeyCode::Tab),
        [0x08 | 0x7f, ..] => key(1, KeyCode::Backspace),
        [control @ 1..=26, ..] => {
            let code = KeyCode::Char(char::from(control - 1 + b'a'));
            Some((1, Some(KeyEvent::new(code, KeyModifiers::CONTROL))))
        }
        [0..=0x1f, ..] => Some((1, None)),
        _ => {
            let chunk = bytes.utf8_chunks().next()?;
            match chunk.valid().chars().next() {
                Some(c) => key(c.len_utf8(), KeyCode::Char(c)),
                None if chunk.invalid().len() == bytes.len() && !is_over => None,
                None => Some((1, None)),
            }
        }
    }
}

/// A sequence that begins with ESC and `[`: parameters, and the byte that ends it.
fn sequence(bytes: &[u8], is_over: bool) -> Option<(usize, Option<KeyEvent>)> {
    let rest = bytes.get(2..).unwrap_or_default();
    let end = rest.iter().position(|byte| !matches!(byte, b' '..=b'?'));
    let is_unfinished = || (is_over || bytes.len() > SEQUENCE_MAX).then_some((bytes.len(), None));
    let Some((parameters, [last, after @ ..])) = end.map(|end| rest.split_at(end)) else {
        return is_unfinished();
    };
    let taken = 3 + parameters.len();
    // The function keys of the Linux console, and the mouse, have more bytes.
    let more = match (parameters, last) {
        ([], b'[') => 1,
        ([], b'M') => 3,
        _ => 0,
    };
    if after.len() < more {
        return is_unfinished();
    }
    match last {
        b'@'..=b'~' if more == 0 => Some((taken, named(*last, parameters))),
        b'[' if after.first() == Some(&b'A') => Some((taken + 1, named(b'P', &[]))),
        b'@'..=b'~' => Some((taken + more, None)),
        // It was cut off: this is another key.
        _ => Some((taken - 1, None)),
    }
}

/// The key of a sequence.
fn named(last: u8, parameters: &[u8]) -> Option<KeyEvent> {
    let text = std::str::from_utf8(parameters).ok()?;
    let mut numbers = text.split(';').map(|number| number.parse::<u8>().ok());
    let number = numbers.next().flatten();
    let code = match (last, number) {
        (b'A', _) => KeyCode::Up,
        (b'B', _) => KeyCode::Down,
        (b'C', _) => KeyCode::Right,
        (b'D', _) => KeyCode::Left,
        (b'H', _) | (b'~', Some(1 | 7)) => KeyCode::Home,
        (b'F', _) | (b'~', Some(4 | 8)) => KeyCode::End,
        (b'~', Some(5)) => KeyCode::PageUp,
        (b'~', Some(6)) => KeyCode::PageDown,
        (b'Z', _) => KeyCode::BackTab,
        (b'M', None) if parameters.is_empty() => KeyCode::Enter,
        (b'P', _) | (b'~', Some(11)) => KeyCode::F(1),
        _ => return None,
    };
    // One more than the bits of Shift, Alt and Ctrl.
    let held = numbers.next().flatten().unwrap_or(1).saturating_sub(1);
    let modifiers = if held & 4 == 0 {
        KeyModifiers::NONE
    } else {
        KeyModifiers::CONTROL
    };
    Some(KeyEvent::new(code, modifiers))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of some bytes, and those of what follows after a pause.
    fn keys(input: &mut Input, bytes: &[u8]) -> Vec<KeyCode> {
        let mut keys = input.keys(bytes);
        keys.extend(input.complete(true));
        keys.into_iter().map(|key| key.code).collect()
    }

    #[test]
    fn keys_are_what_terminals_send() {
        for (bytes, code) in [
            (&b"\x1b[A"[..], KeyCode::Up),
            (b"\x1bOB", KeyCode::Down),
            (b"\x1b[1~", KeyCode::Home),
            (b"\x1b[8~", KeyCode::End),
            (b"\x1b[5~", KeyCode::PageUp),
            (b"\x1b[6;2~", KeyCode::PageDown),
            (b"\x1b[Z", KeyCode::BackTab),
            (b"\x1bOP", KeyCode::F(1)),
            (b"\x1b[11~", KeyCode::F(1)),
            (b"\x1b[[A", KeyCode::F(1)),
            (b"\x1bOM", KeyCode::Enter),
            (b"\r", KeyCode::Enter),
            (b"\t", KeyCode::Tab),
            (b"\x7f", KeyCode::Backspace),
            (b"\x1b", KeyCode::Esc),
            ("\u{1f600}".as_bytes(), KeyCode::Char('\u{1f600}')),
        ] {
            assert_eq!(keys(&mut Input::default(), bytes), [code], "{bytes:?}");
            // It may come in parts.
            let mut input = Input::default();
            let mut found = Vec::new();
            for byte in bytes {
                found.extend(input.keys(&[*byte]));
            }
            found.extend(input.complete(true));
            assert_eq!(found.len(), 1, "{bytes:?}");
        }
        let held = |bytes: &[u8]| Input::default().keys(bytes)[0].modifiers;
        assert_eq!(held(b"\x0c"), KeyModifiers::CONTROL);
        assert_eq!(held(b"\x1b[1;5A"), KeyModifiers::CONTROL);
        assert_eq!(held(b"\x1b[1;2A"), KeyModifiers::NONE);
    }

    /// What no key sends does not stop later ones.
    #[test]
    fn a_stray_sequence_swallows_no_key() {
        let q = KeyCode::Char('q');
        for stray in [
            &b"\x1b[200~"[..],
            b"\x1b[?",
            b"\x1b[<",
            b"\x1b[<0;1;1",
            b"\x1b[<0;1;1M",
            b"\x1b[1;5",
            b"\x1b[",
            b"\x1b[[",
            b"\x1b[M",
            b"\x1b[Mabc",
            b"\x1b[0;0R",
            b"\x1bO",
            b"\x1b[999999999~",
            b"\xff",
            b"\xe2\x82",
            b"\0",
        ] {
            let mut input = Input::default();
            assert_eq!(keys(&mut input, stray), [], "{stray:?}");
            assert_eq!(keys(&mut input, b"q"), [q], "{stray:?}");
        }
        // Another key cuts it off.
        assert_eq!(
            keys(&mut Input::default(), b"\x1b[1;5\x1bq"),
            [KeyCode::Esc, q]
        );
        assert_eq!(keys(&mut Input::default(), b"\x1b[1\rq")[1], q);
        // It may be endless.
        let mut input = Input::default();
        for _ in 0..1000 {
            assert_eq!(input.keys(&[b'1'; 100]).len(), 100);
            input.keys(b"\x1b[");
            assert_eq!(input.keys(&[b'1'; 100]), []);
            assert!(input.bytes.len() <= SEQUENCE_MAX);
        }
    }

    #[test]
    fn arbitrary_bytes_are_taken() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let mut input = Input::default();
            for _ in 0..random.usize(1..4) {
                let mut bytes = vec![0; random.usize(1..20)];
                random.fill(&mut bytes);
                if random.bool() {
                    bytes.insert(0, ESC);
                    bytes.insert(1, b'[');
                }
                input.keys(&bytes);
            }
            input.complete(true);
            assert!(input.bytes.is_empty());
        }
    }
}
