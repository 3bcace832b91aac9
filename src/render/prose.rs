//! Plain text for people: lines of at most 80 columns, singular and plural, ranges of
//! offsets, names that cannot drive a terminal, and color where it is wanted.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;

use proglog::inspect::finding::{OffsetRange, Severity};

/// The columns of a line that is made to fit, whatever it is printed to.
pub const COLUMNS: usize = 80;

/// The columns at which text is wrapped: the terminal's. A pipe or a file gets each line
/// whole, so that `grep` sees all of it.
pub fn columns() -> usize {
    static FOUND: OnceLock<usize> = OnceLock::new();
    *FOUND.get_or_init(|| columns_of(&io::stdout()))
}

/// The columns at which text for this output is wrapped.
pub fn columns_of(output: &(impl IsTerminal + AsFd)) -> usize {
    if !output.is_terminal() {
        return usize::MAX;
    }
    match rustix::termios::tcgetwinsize(output) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => COLUMNS,
    }
}

/// Breaks the lines of a text that do not fit at spaces; what follows is indented as its
/// line is, and by `more`. Escape sequences have no width.
pub fn fitted(text: &str, columns: usize, more: usize) -> String {
    let mut fitted = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let (begin, rest) = line.split_at(indent);
        fitted.push_str(begin);
        let mut column = indent;
        // The spaces before a word are printed with it, or dropped with the break.
        let mut spaces = 0;
        for word in rest.split(' ') {
            let wide = shown(word.trim_end_matches('\n'));
            if column > indent && column + spaces + wide > columns {
                fitted.push('\n');
                spaces = indent + more;
                column = 0;
            }
            if wide > 0 || word.ends_with('\n') {
                fitted.extend(std::iter::repeat_n(' ', spaces));
                fitted.push_str(word);
                column += spaces + wide;
                spaces = 0;
            }
            spaces += 1;
        }
    }
    fitted
}

/// Columns of a text without its escape sequences.
fn shown(text: &str) -> usize {
    let sequences: usize = text
        .split('\x1b')
        .skip(1)
        .map(|sequence| sequence.find('m').map_or(0, |end| end + 2))
        .sum();
    width(text).saturating_sub(sequences)
}

/// Ranges that are named one by one; the others are counted.
const RANGES_MAX: usize = 4;

/// Whether to use color.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    pub color: bool,
}

impl Paint {
    /// The text in the color of a severity.
    pub fn severity(self, severity: Severity, text: &str) -> String {
        let code = match severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
            Severity::Note => "1;36",
        };
        self.sgr(code, text)
    }

    /// A message with the word before its colon, such as `error`, in color.
    pub fn label(self, line: &str) -> String {
        let labels = [
            ("error:", Severity::Error),
            ("warning:", Severity::Warning),
            ("note:", Severity::Note),
            ("hint:", Severity::Note),
        ];
        for (label, severity) in labels {
            if let Some(rest) = line.strip_prefix(label) {
                return format!("{}{rest}", self.severity(severity, label));
            }
        }
        line.to_owned()
    }

    /// The text in the color of success.
    pub fn sound(self, text: &str) -> String {
        self.sgr("1;32", text)
    }

    fn sgr(self, code: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A name that another process chose, with the characters escaped that are not
/// [printed](pieces) as they are.
pub fn escaped(name: &str) -> String {
    let mut safe = String::with_capacity(name.len());
    for (plain, other) in pieces(name) {
        safe.push_str(plain);
        safe.extend(other.into_iter().flat_map(char::escape_default));
    }
    safe
}

/// The pieces of a text that a terminal gets as they are, and after each the character that
/// must be escaped: one that [drives a terminal](drives_a_terminal), or one more mark than are
/// drawn over a character.
pub fn pieces(text: &str) -> impl Iterator<Item = (&str, Option<char>)> {
    let (mut rest, mut marks) = (Some(text), 0);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let found = text.char_indices().find(|&(_, c)| {
            marks = if is_mark(c) { marks + 1 } else { 0 };
            marks > MARKS_MAX || drives_a_terminal(c)
        });
        let Some((at, c)) = found else {
            return Some((text, None));
        };
        let (plain, after) = text.split_at(at);
        rest = after.get(c.len_utf8()..);
        Some((plain, Some(c)))
    })
}

/// Marks over one character: no language needs more.
const MARKS_MAX: usize = 8;

/// Whether a character is drawn over the one before it.
fn is_mark(c: char) -> bool {
    // Those are what the standard library escapes beside what cannot be seen; spaces and
    // private characters, such as icons, are no marks.
    c >= '\u{300}'
        && !c.is_whitespace()
        && !matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..)
        && c.escape_debug().len() > 1
}

/// Whether a character changes how a terminal displays its surroundings, or is not seen:
/// control characters, line separators, format characters and invisible fillers. (The
/// selectors that change the form of the character before them are marks.)
pub fn drives_a_terminal(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A line of JSON in which all is [printed](pieces) as it is. `serde_json` writes DEL, C1 and
/// format characters as they are; their escapes mean the same.
pub fn escaped_json(line: &str) -> String {
    let mut safe = String::with_capacity(line.len());
    for (plain, other) in pieces(line) {
        safe.push_str(plain);
        safe.extend(other.map(json_escape));
    }
    safe
}

/// A character as an escape in a JSON string.
pub fn json_escape(c: char) -> String {
    let mut escape = String::new();
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _ = write!(escape, "\\u{unit:04x}");
    }
    escape
}

/// `1 record`, `2 records`.
pub fn count(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    // "entry" is the one word here with a plural of its own.
    match one.strip_suffix("entry") {
        Some(before) if number != 1 => format!("{number} {before}entries"),
        _ => format!("{number} {one}{plural}"),
    }
}

/// One word or the other, as the number wants it.
pub fn either<'a>(number: u64, one: &'a str, more: &'a str) -> &'a str {
    if number == 1 { one } else { more }
}

/// `243..299`, `1..3, 7 and 9..11`; more than a few are counted.
pub fn ranges(ranges: &[OffsetRange]) -> String {
    let named: Vec<String> = ranges
        .iter()
        .take(RANGES_MAX)
        .map(OffsetRange::to_string)
        .collect();
    let more = ranges.len().saturating_sub(RANGES_MAX);
    match (named.as_slice(), more) {
        ([], _) => String::new(),
        ([one], 0) => one.clone(),
        ([several @ .., last], 0) => format!("{} and {last}", several.join(", ")),
        (named, more) => format!(
            "{} and {} more",
            named.join(", "),
            count(more as u64, "range")
        ),
    }
}

/// `offset 59`, `offsets 243..299`.
pub fn offsets(offsets: &[OffsetRange]) -> String {
    let single = matches!(offsets, [one] if one.first == one.last);
    let word = if single { "offset" } else { "offsets" };
    format!("{word} {}", ranges(offsets))
}

/// Joins adjacent ranges, so that a run is printed once. They are in order.
pub fn merged(ranges: impl IntoIterator<Item = OffsetRange>) -> Vec<OffsetRange> {
    let mut merged: Vec<OffsetRange> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if last.first <= range.first && touches(*last, range) => {
                last.last = last.last.max(range.last);
            }
            _ => merged.push(range),
        }
    }
    merged
}

fn touches(before: OffsetRange, range: OffsetRange) -> bool {
    before
        .last
        .checked_add(1)
        .is_none_or(|end| range.first <= end)
}

/// Breaks text at spaces, so that each line fits beside an indent. A word that is too
/// long is not broken.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Text beside a label such as `lost` or `left`.
pub fn labelled(out: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    const INDENT: usize = 9;
    let mut label = label;
    for line in wrapped(text, columns().saturating_sub(INDENT)) {
        writeln!(out, "{label:<INDENT$}{line}")?;
        label = "";
    }
    Ok(())
}

/// Breaks a command where a shell continues after a backslash: between its words, never
/// inside quotes.
pub fn wrapped_command(command: &str, columns: usize) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    let mut before = ' ';
    for c in command.chars() {
        if c == '\'' && before != '\\' {
            quoted = !quoted;
        }
        before = c;
        if c == ' ' && !quoted {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            // Room for the backslash too.
            Some(line) if width(line) + 1 + width(&word) + 2 <= columns => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    let last = lines.len().saturating_sub(1);
    for line in lines.iter_mut().take(last) {
        line.push_str(" \\");
    }
    // The indent distinguishes a second line from a second command.
    for line in lines.iter_mut().skip(1) {
        line.insert_str(0, "  ");
    }
    lines
}

/// Columns of a text without escapes.
pub fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proglog::log::units::Offset;

    fn range(first: u64, last: u64) -> OffsetRange {
        OffsetRange {
            first: Offset(first),
            last: Offset(last),
        }
    }

    #[test]
    fn numbers_and_words_agree() {
        assert_eq!(count(1, "record"), "1 record");
        assert_eq!(count(0, "record"), "0 records");
        assert_eq!(count(724, "zero entry"), "724 zero entries");
        assert_eq!(count(1, "zero entry"), "1 zero entry");
        assert_eq!(offsets(&[range(59, 59)]), "offset 59");
        assert_eq!(offsets(&[range(1, 3), range(7, 7)]), "offsets 1..3 and 7");
        let many: Vec<_> = (0..6).map(|n| range(n * 10, n * 10)).collect();
        assert_eq!(ranges(&many), "0, 10, 20, 30 and 2 ranges more");
    }

    #[test]
    fn ranges_that_meet_are_one() {
        let runs = [range(0, 4), range(5, 9), range(11, 11)];
        assert_eq!(merged(runs), [range(0, 9), range(11, 11)]);
        assert_eq!(merged([range(0, 4), range(1, 3)]), [range(0, 4)]);
        assert_eq!(merged([range(5, u64::MAX)]), [range(5, u64::MAX)]);
    }

    #[test]
    fn lines_that_do_not_fit_are_broken_at_spaces() {
        assert_eq!(fitted("  ab cd ef\ngh\n", 7, 2), "  ab cd\n    ef\ngh\n");
        assert_eq!(fitted("ab  cd", 10, 0), "ab  cd");
        assert_eq!(fitted("ab  cd\n", 5, 0), "ab\ncd\n");
        assert_eq!(fitted("\x1b[1mab\x1b[0m cd", 5, 0), "\x1b[1mab\x1b[0m cd");
        assert_eq!(fitted("abcdefgh", 5, 0), "abcdefgh");
    }

    #[test]
    fn names_do_not_drive_a_terminal() {
        assert_eq!(escaped("0.index"), "0.index");
        assert_eq!(escaped("a\x1b[2J\nb"), r"a\u{1b}[2J\nb");
        assert_eq!(escaped("\u{9b}\u{202e}"), r"\u{9b}\u{202e}");
        assert_eq!(escaped("gr\u{fc}n"), "gr\u{fc}n");
        for seen in ["\u{3000}", "\u{e0b0}", "\u{ac00}", "\u{1f600}", "\u{fffd}"] {
            let many = seen.repeat(20);
            assert_eq!(escaped(&many), many);
        }
        for unseen in ["\u{fff9}", "\u{fffb}", "\u{115f}", "\u{3164}", "\u{e0041}"] {
            assert!(escaped(unseen).is_ascii(), "{unseen:?}");
        }
        assert_eq!(
            escaped_json("\"\u{e0041}\u{9b}\""),
            r#""\udb40\udc41\u009b""#
        );
    }

    #[test]
    fn a_character_has_few_marks() {
        let marks = |text: &str| text.matches('\u{301}').count();
        let high = format!("e{}f\u{301}", "\u{301}".repeat(256));
        assert_eq!(marks(&escaped(&high)), MARKS_MAX + 1);
        assert!(escaped(&high).ends_with("\\u{301}f\u{301}"));
        let plain = format!("e{}", "\u{301}".repeat(MARKS_MAX));
        assert_eq!(escaped(&plain), plain);
    }

    #[test]
    fn commands_break_between_words_only() {
        let lines = wrapped_command("mv -n 'my log/LOCK' 'my log/..'", 22);
        assert_eq!(lines, ["mv -n 'my log/LOCK' \\", "  'my log/..'"]);
        assert_eq!(wrapped_command("mv a b", 80), ["mv a b"]);
    }
}
