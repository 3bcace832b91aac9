//! Arguments that clap would parse as options: numbers and ranges that begin with a minus
//! sign; and a time after `--wait`.

use std::ffi::OsString;
use std::path::Path;

use crate::commands::offsets::{Span, TOO_LARGE};
use crate::commands::options::seconds;

/// The commands that take a range.
const RANGES: &[&str] = &["read", "dump-index", "dump-store", "diff", "redact"];

/// Joins `--wait 5` and `--to -10` to `--wait=5` and `--to=-10`, and makes `-3..` the value
/// of an option, up to a `--`.
pub fn joined(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut arguments = arguments;
    // To clap `help` is a command without options.
    if let [_, help, option] = arguments.as_slice()
        && help == "help"
        && (option == "--help" || option == "-h")
    {
        arguments.remove(1);
    }
    let mut joined: Vec<OsString> = Vec::with_capacity(arguments.len());
    let (mut takes_range, mut is_behind) = (false, false);
    for word in arguments {
        let text = word.to_str().unwrap_or_default();
        let before = joined.last().and_then(|before| before.to_str());
        is_behind |= text == "--";
        let is_number = text.starts_with(|c: char| c.is_ascii_digit());
        if !is_behind && (is_negative(text) || is_number && before == Some("--wait")) {
            let option = before.filter(|before| takes(&joined, before, &word));
            if let Some(option) = option {
                let value = format!("{option}={text}");
                joined.pop();
                joined.push(value.into());
                continue;
            } else if takes_range && is_negative(text) && is_range(text) {
                joined.push(format!("--range={text}").into());
                continue;
            }
        }
        takes_range |= RANGES.contains(&text);
        joined.push(word);
    }
    joined
}

fn is_negative(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or_default();
    digits.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether it is a range, if its numbers are not too large.
fn is_range(text: &str) -> bool {
    matches!(text.parse::<Span>(), Ok(_) | Err(TOO_LARGE))
}

/// Whether `option` takes the word as its value, where clap would not: a negative number,
/// or what follows `--wait`.
fn takes(typed: &[OsString], option: &str, word: &OsString) -> bool {
    let (long, short) = match option.strip_prefix("--") {
        Some(long) => (Some(long), None),
        None => (
            None,
            option.strip_prefix('-').and_then(|it| it.chars().last()),
        ),
    };
    if long
        .or(option.strip_prefix('-'))
        .is_none_or(|it| it.is_empty() || it.contains('='))
    {
        return false;
    }
    let whole = super::complete();
    let is_command = |word: &OsString| whole.find_subcommand(word);
    let Some(command) = typed.iter().find_map(is_command) else {
        return false;
    };
    let is_option = |it: &&clap::Arg| {
        (long.is_some() && it.get_long() == long) || (short.is_some() && it.get_short() == short)
    };
    let Some(found) = command.get_arguments().find(is_option) else {
        return false;
    };
    let text = word.to_string_lossy();
    if found.is_require_equals_set() {
        // A file may begin with a digit too.
        return seconds(&text).is_ok() || !Path::new(word).exists();
    }
    is_negative(&text) && found.get_action().takes_values()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_be_an_option_is_joined() {
        for (typed, expected) in [
            ("p read log -3..", "p read log --range=-3.."),
            ("p read log -3", "p read log --range=-3"),
            ("p read log -0 -n 3 -c3", "p read log -0 -n 3 -c3"),
            (
                "p read log --from -3 --to -1",
                "p read log --from=-3 --to=-1",
            ),
            ("p read log -n -5", "p read log -n=-5"),
            ("p read log -fn -5", "p read log -fn=-5"),
            ("p read log -f -5", "p read log -f --range=-5"),
            ("p read log --json -5..", "p read log --json --range=-5.."),
            ("p trim log --after -10", "p trim log --after=-10"),
            ("p trim log --before 10", "p trim log --before 10"),
            ("p append log --wait 5s", "p append log --wait=5s"),
            ("p append log --wait 5x", "p append log --wait=5x"),
            ("p append log --wait -5", "p append log --wait=-5"),
            (
                "p read log -- work -3 --wait 5",
                "p read log -- work -3 --wait 5",
            ),
            ("p info log -3..", "p info log -3.."),
            ("p diff a b -5..-2", "p diff a b --range=-5..-2"),
            ("p append log --wait 5 f", "p append log --wait=5 f"),
            ("p append log --wait 0.5", "p append log --wait=0.5"),
            ("p append log --wait file", "p append log --wait file"),
            ("p append log --wait", "p append log --wait"),
            ("p help --help", "p --help"),
            ("p help -h", "p -h"),
            ("p help read", "p help read"),
        ] {
            let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
            assert_eq!(joined(words(typed)), words(expected), "{typed}");
        }
    }
}
