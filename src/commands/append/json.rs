//! JSON lines in, as `read --json` writes them: `value` or `value_base64`, and a Raft
//! log's `term` and `type`. What else an object holds says where the record was and
//! counts for nothing here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proglog::log::writer::NewRecord;
use serde_json::error::Category;
use serde_json::{Map, Value};

/// Makes records of lines; keeps the last one's value.
#[derive(Default)]
pub struct Parser {
    value: Vec<u8>,
}

impl Parser {
    /// The record in a line, or the error in it.
    pub fn parse(&mut self, line: &[u8]) -> Result<NewRecord<'_>, String> {
        if line.trim_ascii().is_empty() {
            return Err("empty, expected a JSON object".to_owned());
        }
        let object: Map<String, Value> =
            serde_json::from_slice(line).map_err(|error| what_is_wrong(&error))?;
        self.value.clear();
        match (object.get("value"), object.get("value_base64")) {
            (Some(Value::String(text)), None) => self.value.extend_from_slice(text.as_bytes()),
            (None, Some(Value::String(text))) => STANDARD
                .decode_vec(text, &mut self.value)
                .map_err(|_| "value_base64 is not base64".to_owned())?,
            (Some(_), Some(_)) => return Err("both value and value_base64".to_owned()),
            (None, None) => return Err("neither value nor value_base64".to_owned()),
            (Some(_), None) => return Err("value is not a string".to_owned()),
            (None, Some(_)) => return Err("value_base64 is not a string".to_owned()),
        }
        let term = number(&object, "term", u64::MAX)?;
        let record_type = number(&object, "type", u64::from(u32::MAX))?;
        Ok(NewRecord {
            value: &self.value,
            term,
            record_type: u32::try_from(record_type).unwrap_or_default(),
        })
    }
}

/// A field's number, 0 where it does not exist.
fn number(object: &Map<String, Value>, field: &str, largest: u64) -> Result<u64, String> {
    let Some(value) = object.get(field) else {
        return Ok(0);
    };
    value
        .as_u64()
        .filter(|&number| number <= largest)
        .ok_or_else(|| format!("{field} is {value}, not a number from 0 to {largest}"))
}

/// Why a line is not a JSON object.
fn what_is_wrong(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Eof => "the JSON object is incomplete".to_owned(),
        Category::Data => "not a JSON object".to_owned(),
        _ => format!("not a JSON object: syntax error at byte {}", error.column()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_taken() {
        let mut parser = Parser::default();
        let line = br#"{"offset":7,"segment":0,"value":"a\nb","term":18446744073709551615,"type":4294967295}"#;
        let record = parser.parse(line).unwrap();
        assert_eq!(record.value, b"a\nb");
        assert_eq!((record.term, record.record_type), (u64::MAX, u32::MAX));
        let record = parser.parse(br#" {"value_base64":"/wA="} "#).unwrap();
        assert_eq!(record.value, [0xff, 0]);
        assert_eq!((record.term, record.record_type), (0, 0));
        assert_eq!(parser.parse(br#"{"value":""}"#).unwrap().value, b"");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let mut parser = Parser::default();
        for (line, what) in [
            ("", "empty"),
            ("{", "is incomplete"),
            ("[]", "not a JSON object"),
            (r#"{"value":1}"#, "value is not a string"),
            (r#"{"value_base64":null}"#, "value_base64 is not a string"),
            (r#"{"value_base64":"?"}"#, "not base64"),
            (r#"{"value_base64":"/w"}"#, "not base64"),
            (r#"{"value":"","value_base64":""}"#, "both"),
            (r#"{"kind":"summary","records":3}"#, "neither"),
            (r#"{"value":"a","term":-1}"#, "term is -1"),
            (r#"{"value":"a","type":4294967296}"#, "type is 4294967296"),
            (r#"{"value":"a"} {"value":"b"}"#, "byte 15"),
            (r#"{"value":"\ud800"}"#, "byte"),
        ] {
            let error = parser.parse(line.as_bytes()).unwrap_err();
            assert!(error.contains(what), "{line}: {error}");
        }
        assert!(parser.parse(b"{\"value\":\"\xff\"}").is_err());
    }
}
