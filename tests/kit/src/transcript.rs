//! What a command says to a fixture, word for word, beside the fixture:
//! `fixtures/<case>/expected/<name>.txt` holds the command, what it printed and how it
//! ended. `UPDATE_EXPECTED=1` writes what is said now; whoever does that reads it.

use std::fmt::Write as _;
use std::fs;

use crate::truth::case_path;
use crate::{Sandbox, proglog};

/// Runs `proglog` with these arguments on a copy of the case, in whose directory the
/// log is `log`, and gives the difference to the transcript, if there is one.
///
/// # Errors
///
/// What was expected and what was said.
pub fn transcript(case: &str, name: &str, arguments: &[&str]) -> Result<(), String> {
    let sandbox = Sandbox::of(case);
    let output = proglog()
        .current_dir(sandbox.path())
        .args(arguments)
        .output()
        .expect("the binary runs");
    let mut said = format!("$ proglog {}\n", arguments.join(" "));
    said.push_str(&String::from_utf8(output.stdout).expect("UTF-8"));
    let errors = String::from_utf8(output.stderr).expect("UTF-8");
    for line in errors.lines() {
        let _ = writeln!(said, "stderr: {line}");
    }
    let status = output.status.code().map_or(-1, |code| code);
    let _ = writeln!(said, "status {status}");
    let path = case_path(case).join("expected").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(&path, said).expect("a transcript");
        return Ok(());
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if expected == said {
        return Ok(());
    }
    Err(format!(
        "{case}: expected/{name}.txt (UPDATE_EXPECTED=1 rewrites it)\n--- expected\n{expected}--- said\n{said}"
    ))
}
