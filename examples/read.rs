//! Prints the records of a log from an offset on: `read DIR [OFFSET]`. What cannot be read is
//! reported, and the records after it are printed.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output")]

use std::process::ExitCode;

use proglog::{Offset, ReadError, Reader};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("usage: read DIR [OFFSET]")?;
    let from = Offset(arguments.next().unwrap_or_default().parse().unwrap_or(0));
    let mut damaged = false;
    for record in Reader::open(dir)?.records(from..) {
        match record {
            Ok(record) => {
                let value = String::from_utf8_lossy(record.value());
                println!("{} {value}", record.offset());
            }
            Err(obstacle @ ReadError::Obstacle { .. }) => {
                eprintln!("{obstacle}");
                damaged = true;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(if damaged {
        ExitCode::from(3)
    } else {
        ExitCode::SUCCESS
    })
}
