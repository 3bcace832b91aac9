//! JSON on several lines: indented, each number and each string as it is written.

/// Spaces of a level.
const INDENT: usize = 2;

/// The text indented, if it is a JSON object or array. No token is changed: a number that a
/// float cannot hold stays as it is.
pub fn indented(text: &str) -> Option<String> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str::<serde_json::Value>(text).ok()?;
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0;
    let mut chars = text.chars().filter(not_space_outside()).peekable();
    let mut in_string = Quotes::default();
    while let Some(c) = chars.next() {
        if in_string.holds(c) {
            out.push(c);
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                if chars.next_if(|&end| end == '}' || end == ']').is_some() {
                    out.push(if c == '{' { '}' } else { ']' });
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = usize::saturating_sub(depth, 1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => out.push(c),
        }
    }
    Some(out)
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', depth * INDENT));
}

/// Leaves the spaces inside strings only.
fn not_space_outside() -> impl FnMut(&char) -> bool {
    let mut quotes = Quotes::default();
    move |&c| quotes.holds(c) || !c.is_ascii_whitespace()
}

/// Whether the characters of JSON that come one by one are in a string.
#[derive(Default)]
struct Quotes {
    is_open: bool,
    is_escaped: bool,
}

impl Quotes {
    /// Takes the next character; returns whether it is part of a string.
    fn holds(&mut self, c: char) -> bool {
        let was_open = self.is_open;
        match c {
            _ if self.is_escaped => self.is_escaped = false,
            '\\' if self.is_open => self.is_escaped = true,
            '"' => self.is_open = !self.is_open,
            _ => {}
        }
        was_open || self.is_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_and_no_token_changes() {
        let text =
            r#" {"a":[1, 2.50,12345678901234567890123], "b" : {}, "c":[ ],"d":"x, \" {y}"} "#;
        let expected = "{\n  \"a\": [\n    1,\n    2.50,\n    12345678901234567890123\n  ],\n  \
                        \"b\": {},\n  \"c\": [],\n  \"d\": \"x, \\\" {y}\"\n}";
        assert_eq!(indented(text).as_deref(), Some(expected));
    }

    #[test]
    fn other_text_is_not_json() {
        for text in ["", "7", "\"a\"", "{", "[1,]", "{\"a\":1} b"] {
            assert_eq!(indented(text), None, "{text}");
        }
    }
}
