//! Paths and words quoted for a shell, so that the output can be pasted.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::prose::pieces;

/// A path as a shell takes it, and as no command takes it for an option.
pub fn quote(path: &Path) -> String {
    let is_option = path.as_os_str().as_bytes().starts_with(b"-");
    let before = if is_option { "./" } else { "" };
    format!("{before}{}", quote_word(path))
}

/// A word as a shell takes it. What could drive a terminal, or is not text, is written as
/// `$'...'` has it.
pub fn quote_word(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref();
    let bytes = word.as_bytes();
    let safe = word
        .to_str()
        .filter(|text| pieces(text).all(|(_, other)| other.is_none()));
    let Some(text) = safe else {
        let escape = |byte: &u8| match byte {
            b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
            0x20..=0x7e => char::from(*byte).to_string(),
            byte => format!("\\x{byte:02x}"),
        };
        return format!("$'{}'", bytes.iter().map(escape).collect::<String>());
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:=@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_for_a_shell() {
        assert_eq!(quote(Path::new("/srv/log.1")), "/srv/log.1");
        assert_eq!(quote(Path::new("my log")), "'my log'");
        assert_eq!(quote(Path::new("it's")), r"'it'\''s'");
        assert_eq!(quote(Path::new("-rf")), "./-rf");
        assert_eq!(quote(Path::new("-r f")), "./'-r f'");
        assert_eq!(quote_word("-r"), "-r");
        assert_eq!(quote(Path::new("a\x1bb's")), r"$'a\x1bb\'s'");
    }
}
