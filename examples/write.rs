//! Appends the lines of standard input to a log: `write DIR < lines`.

#![expect(clippy::print_stdout, reason = "its output")]

use std::io;

use proglog::Appender;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).ok_or("usage: write DIR")?;
    let mut log = Appender::open(dir)?;
    for line in io::stdin().lines() {
        log.append(line?)?;
    }
    log.commit()?;
    println!("next offset: {}", log.next_offset().ok_or("full")?);
    Ok(())
}
