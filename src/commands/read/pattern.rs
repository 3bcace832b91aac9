//! The expression of `--grep`. It is matched on the bytes of a value: in memory, or, if the
//! value is too large for that, piece by piece.

use proglog::log::reader::Content;
use regex::bytes::{Regex, RegexBuilder};
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::syntax;
use regex_automata::{Input, nfa::thompson};

use crate::commands::{Failure, Status};
use crate::render::field::WriteError;

/// An expression.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    ignore_case: bool,
}

/// Why a value is not searched any further.
enum Stop {
    Decided(bool),
    Failed(WriteError),
}

impl From<proglog::log::error::Error> for Stop {
    fn from(error: proglog::log::error::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Pattern {
    /// Parses an expression.
    pub fn new(expression: &str, ignore_case: bool) -> Result<Self, Failure> {
        let mut builder = RegexBuilder::new(expression);
        let regex = builder.case_insensitive(ignore_case).build();
        regex
            .map(|regex| Self { regex, ignore_case })
            .map_err(|error| invalid(expression, ignore_case, &error))
    }

    /// The expression, for values in memory.
    pub fn regex(&self) -> &Regex {
        &self.regex
    }

    /// Whether a value matches.
    pub fn is_match(&self, value: &Content<'_>) -> Result<bool, WriteError> {
        match value {
            Content::Memory(bytes) => Ok(self.regex.is_match(bytes)),
            Content::File(..) => self.is_match_in_pieces(value),
        }
    }

    /// The same in bounded memory.
    fn is_match_in_pieces(&self, value: &Content<'_>) -> Result<bool, WriteError> {
        let unfit = |what: &dyn std::fmt::Display| {
            let bytes = value.len();
            WriteError::Search(format!(
                "--grep: a value of {bytes} bytes is too large for this expression: {what}"
            ))
        };
        let syntax = syntax::Config::new().utf8(false);
        let dfa = DFA::builder()
            .syntax(syntax.case_insensitive(self.ignore_case))
            .thompson(thompson::Config::new().utf8(false))
            .build(self.regex.as_str())
            .map_err(|error| unfit(&error))?;
        let mut cache = Cache::new(&dfa);
        let start = dfa.start_state_forward(&mut cache, &Input::new(b""));
        let mut state = start.map_err(|error| unfit(&error))?;
        let searched = value.pieces(|piece| {
            for &byte in piece {
                state = dfa
                    .next_state(&mut cache, state, byte)
                    .map_err(|error| Stop::Failed(unfit(&error)))?;
                if state.is_match() || state.is_dead() {
                    return Err(Stop::Decided(state.is_match()));
                }
            }
            Ok(())
        });
        match searched {
            Err(Stop::Decided(is_match)) => return Ok(is_match),
            Err(Stop::Failed(error)) => return Err(error),
            Ok(()) => {}
        }
        let end = dfa.next_eoi_state(&mut cache, state);
        Ok(end.map_err(|error| unfit(&error))?.is_match())
    }
}

/// An invalid expression, with the place.
fn invalid(expression: &str, ignore_case: bool, error: &regex::Error) -> Failure {
    let mut parser = regex_syntax::ParserBuilder::new();
    let parsed = parser.utf8(false).case_insensitive(ignore_case).build();
    let (what, at) = match { parsed }.parse(expression) {
        Err(regex_syntax::Error::Parse(error)) => (error.kind().to_string(), error.span().start),
        Err(regex_syntax::Error::Translate(error)) => {
            (error.kind().to_string(), error.span().start)
        }
        // Valid, but too large when it is compiled.
        _ => {
            let message = format!("--grep {expression:?}: {error}");
            return Failure::new(Status::Failed, message);
        }
    };
    let place = expression.get(at.offset..).unwrap_or_default();
    let place = match place {
        "" => "at its end".to_owned(),
        rest => format!("at character {}: {rest}", at.column),
    };
    Failure::new(
        Status::Failed,
        format!("--grep {expression}: {what}, {place}"),
    )
    .hint("to search for the text itself, put a backslash before . + * ? ( ) [ ] { } | ^ $ \\")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::render::record::tests::in_file;

    #[test]
    fn an_invalid_expression_is_refused_with_its_place() {
        for (expression, place) in [
            ("a(b", "unclosed group, at character 2: (b"),
            ("[z-a]", "at character 2: z-a]"),
            ("x{2", "at character 2: {2"),
            (r"\", "at character 1: \\"),
            (r"\p{Nothing}", "at character 1: "),
            ("\u{fc}*?+**", "at character"),
        ] {
            let Err(failure) = Pattern::new(expression, false) else {
                continue;
            };
            assert!(failure.message.contains(place), "{}", failure.message);
        }
        let large = Pattern::new(r"(\pL{1000}){1000}", false).unwrap_err();
        assert!(large.message.contains("size limit"), "{}", large.message);
    }

    proptest! {
        #[test]
        fn a_large_value_matches_as_a_small_one_does(
            value in "[abAB\n\u{fc}]{0,20}",
            expression in r"\^?([ab.]|b\*|\(a\|bb\)|\[\^b\]|(\(\?-u:\.\))){0,4}\$?",
            ignore_case: bool,
        ) {
            let pattern = Pattern::new(&expression, ignore_case).unwrap();
            let small = pattern.is_match(&Content::Memory(value.as_bytes())).unwrap();
            let large = pattern.is_match(&in_file(value.as_bytes())).unwrap();
            prop_assert_eq!(small, large, "{}", expression);
        }
    }
}
