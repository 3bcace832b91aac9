//! One object of a command's JSON output, field by field, in the order in which they
//! are given; no nested values.

use std::fmt;

use serde_json::{Map, Value};

use super::prose::escaped_json;

/// A line that is being put together.
#[derive(Debug, Clone)]
pub struct JsonLine(Map<String, Value>);

impl JsonLine {
    /// A line of this kind.
    pub fn of(kind: &str) -> Self {
        Self(Map::new()).text("kind", kind)
    }

    /// Adds a text.
    pub fn text(self, name: &str, text: impl Into<String>) -> Self {
        self.with(name, Value::String(text.into()))
    }

    /// Adds a text where there is one; else the field is left out.
    pub fn text_if(self, name: &str, text: Option<String>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// Adds a number.
    pub fn number(self, name: &str, number: u64) -> Self {
        self.with(name, number.into())
    }

    /// Adds a number where there is one; else the field is left out.
    #[cfg(feature = "nats")]
    pub fn number_if(self, name: &str, number: Option<u64>) -> Self {
        match number {
            Some(number) => self.number(name, number),
            None => self,
        }
    }

    /// Adds how many things there are.
    pub fn count(self, name: &str, count: usize) -> Self {
        self.with(name, count.into())
    }

    /// Adds a truth value.
    pub fn flag(self, name: &str, flag: bool) -> Self {
        self.with(name, flag.into())
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }
}

impl fmt::Display for JsonLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A map of plain values always serialises.
        let text = serde_json::to_string(&self.0).map_err(|_| fmt::Error)?;
        f.write_str(&escaped_json(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_the_order_given() {
        let line = JsonLine::of("summary")
            .flag("dry_run", true)
            .count("steps", 2)
            .text_if("saved", None)
            .text_if("path", Some("a\"b".to_owned()))
            .number("next_offset", u64::MAX);
        assert_eq!(
            line.to_string(),
            r#"{"kind":"summary","dry_run":true,"steps":2,"path":"a\"b","next_offset":18446744073709551615}"#
        );
    }
}
