//! Arguments that clap would parse as options: a range that begins with a minus sign, and
//! a time after `--wait`.

use std::ffi::OsString;

use crate::commands::offsets::Span;

/// The commands that take a range.
const RANGES: &[&str] = &["read", "dump-index", "dump-store", "diff"];

/// Options whose value may be negative.
const NEGATIVE: &[&str] = &["--from", "--to", "--offset"];

/// Joins `--wait 5` to `--wait=5`, and makes `-3..` the value of an option, up to a `--`.
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
        if is_behind || text == "--" {
            is_behind = true;
        } else if before == Some("--wait") && is_time(text) {
            let time = format!("--wait={text}");
            joined.pop();
            joined.push(time.into());
            continue;
        } else if takes_range && is_negative_range(text) && !before.is_some_and(takes_negative) {
            joined.push(format!("--range={text}").into());
            continue;
        }
        takes_range |= RANGES.contains(&text);
        joined.push(word);
    }
    joined
}

fn is_time(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok()
}

fn is_negative_range(text: &str) -> bool {
    text.starts_with('-') && text.parse::<Span>().is_ok()
}

fn takes_negative(option: &str) -> bool {
    NEGATIVE.contains(&option)
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
                "p read log --from -3 --to -1",
            ),
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
