//! Bytes as they are typed in a delimiter or a format: `\n \r \t \0 \\ \xHH`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The escapes, for error messages.
const ESCAPES: &str = r"\n \r \t \0 \\ \xHH";

/// The byte after a backslash, and the number of characters that it takes.
///
/// # Errors
///
/// A message that names the escapes.
pub fn escaped(after: &[u8]) -> Result<(u8, usize), String> {
    Ok(match after {
        [b'n', ..] => (b'\n', 1),
        [b'r', ..] => (b'\r', 1),
        [b't', ..] => (b'\t', 1),
        [b'0', ..] => (0, 1),
        [b'\\', ..] => (b'\\', 1),
        [b'x', rest @ ..] => {
            let mut byte = [0];
            rest.get(..2)
                .filter(|digits| hex::decode_to_slice(digits, &mut byte).is_ok())
                .ok_or(r"\x takes two hexadecimal digits, as \x1f")?;
            let [byte] = byte;
            (byte, 3)
        }
        [] => return Err(format!(r"ends in a lone \; the escapes are {ESCAPES}")),
        _ => return Err(format!("unknown escape; the escapes are {ESCAPES}")),
    })
}

/// The bytes of a delimiter. A backslash at its end is a backslash.
///
/// # Errors
///
/// As [`escaped`]; and if it is empty.
pub fn delimiter(text: &OsStr) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'\\' || rest.is_empty() {
            bytes.push(*first);
            continue;
        }
        let (byte, taken) = escaped(rest)?;
        bytes.push(byte);
        rest = rest.get(taken..).unwrap_or_default();
    }
    if bytes.is_empty() {
        return Err("a delimiter has at least one byte".to_owned());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters() {
        let of = |text: &str| delimiter(OsStr::new(text));
        assert_eq!(of(","), Ok(vec![b',']));
        assert_eq!(of(r"\0"), Ok(vec![0]));
        assert_eq!(of(r"\x1e"), Ok(vec![0x1e]));
        assert_eq!(of(r"\"), Ok(vec![b'\\']));
        assert_eq!(of(r"\r\n"), Ok(b"\r\n".to_vec()));
        assert_eq!(of("--"), Ok(b"--".to_vec()));
        for wrong in ["", r"\q", r"\x1", r"\xzz", "\\x\u{fc}1"] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }
}
