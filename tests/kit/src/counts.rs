//! How much a test is told to do, and what it says that it did or had to leave out. That is
//! seen in any run: the harness keeps back only what the print macros write.

use std::io::Write as _;
use std::str::FromStr;

/// Says a line on the process's real stderr.
pub fn report(line: &str) {
    // A stderr that is gone is no reason to fail.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// The number in a variable of the environment, if it is set.
#[must_use]
pub fn variable<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    let number = text.parse().ok();
    Some(number.unwrap_or_else(|| panic!("{name}={text}: not a number")))
}
