//! The help at the widths of terminals: words stay in one piece, lines fit.

use proglog_testkit::proglog;

use super::commands;

/// The help as it is printed at this width.
fn help(arguments: &[&str], columns: usize) -> String {
    let output = proglog()
        .args(arguments)
        .env("COLUMNS", columns.to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn help_fits_its_terminal_and_breaks_no_word() {
    let mut names = commands();
    assert!(names.len() > 15, "{names:?}");
    names.push(String::new());
    for name in &names {
        for option in ["-h", "--help"] {
            let mut arguments = vec![name.as_str(), option];
            arguments.retain(|word| !word.is_empty());
            let wide = help(&arguments, 80);
            for line in wide.lines() {
                assert!(line.chars().count() <= 80, "{arguments:?}: {line}");
            }
            let narrow = help(&arguments, 40);
            assert_eq!(words(&narrow), words(&wide), "{arguments:?}");
            for line in narrow.lines() {
                let fits = line.chars().count() <= 40 || words(line).len() == 1;
                assert!(fits, "{arguments:?}: {line}");
            }
            // The help of the whole program is one table for 80 columns.
            if !name.is_empty() {
                assert!(
                    narrow.lines().count() > wide.lines().count(),
                    "{arguments:?}: the width is not heeded"
                );
            }
        }
    }
}
