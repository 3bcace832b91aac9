//! Prints new records of a log as they are committed, until so many have come:
//! `follow DIR COUNT`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output")]

use proglog::Reader;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: follow DIR COUNT";
    let dir = arguments.next().ok_or(usage)?;
    let count = arguments.next().ok_or(usage)?.parse()?;
    let reader = Reader::open(dir)?;
    let end = reader.read_offsets()?.end;
    eprintln!("from offset {end}");
    for record in reader.follow(end..).take(count) {
        let record = record?;
        println!(
            "{} {}",
            record.offset(),
            String::from_utf8_lossy(record.value())
        );
    }
    Ok(())
}
