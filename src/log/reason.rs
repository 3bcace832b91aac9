//! The system's description of an error, for messages.

/// The description of an error, without the number that the standard library adds.
#[must_use]
pub fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    while let Some(begin) = text.find(" (os error ")
        && let Some(bytes) = text.get(begin..).and_then(|rest| rest.find(')'))
    {
        text.replace_range(begin..=begin + bytes, "");
    }
    text
}
