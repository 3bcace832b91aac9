//! Checks a log, repairs what needs no guess, and says what remains: `check_and_repair DIR`.

#![expect(clippy::print_stdout, reason = "its output")]

use std::process::ExitCode;

use proglog::Report;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let dir = std::env::args()
        .nth(1)
        .ok_or("usage: check_and_repair DIR")?;
    let report = Report::scan(&dir)?;
    for finding in report.findings() {
        println!("{finding}");
    }
    let plan = report.plan();
    print!("{plan}");
    let undo = plan.apply()?;
    if let Some(saved) = undo.saved() {
        println!("removed bytes are saved in {}", saved.display());
    }
    let after = Report::scan(&dir)?;
    println!(
        "{} records, {} findings remain",
        after.records(),
        after.findings().len()
    );
    Ok(if after.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(3)
    })
}
