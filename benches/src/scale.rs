//! What must not grow: single lookups and quick looks over sizes and segments.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::data::Lines;
use crate::rows::{Limit, Row, one_segment, text};
use crate::run::{Pair, Run, Taken, alone, mebibytes, median, remove};
use crate::table;

/// Tiny lines, for logs of many records.
fn tiny(count: u64) -> Lines {
    Lines {
        count,
        shortest: 1,
        longest: 5,
    }
}

/// Lookups in one process.
const LOOKUPS: u64 = 1000;

/// A log of `records` in one segment.
fn of_records(proglog: &str, place: &Path, records: u64) -> Result<()> {
    let lines = place.join("lines");
    tiny(records).file(&lines)?;
    let append = Run::new(&[proglog, "-q", "append", text(&place.join("log"))]);
    one_segment(append).stdin(&lines).once()?;
    remove(&lines)
}

/// A log of `segments`, ten records in each and none in the last.
fn of_segments(proglog: &str, place: &Path, segments: u64) -> Result<()> {
    let lines = place.join("lines");
    tiny((segments - 1) * 10).file(&lines)?;
    let append = Run::new(&[proglog, "-q", "append", text(&place.join("log"))]);
    append
        .and(&["--max-index-bytes", "120"])
        .stdin(&lines)
        .once()?;
    remove(&lines)
}

/// The rows of single lookups, each with its limit.
pub fn lookups(proglog: &str, place: &Path, quick: bool) -> Result<Vec<Row>> {
    let (records, segments) = if quick {
        (1_000_000, 1_000)
    } else {
        (100_000_000, 10_000)
    };
    let [many, rolled] = [place.join("many"), place.join("rolled")];
    for at in [&many, &rolled] {
        std::fs::create_dir_all(at)?;
    }
    of_records(proglog, &many, records)?;
    of_segments(proglog, &rolled, segments)?;
    let read = |at: &Path, offset: u64| {
        Run::new(&[
            proglog,
            "read",
            text(&at.join("log")),
            "--offset",
            &offset.to_string(),
        ])
    };
    let mut rows: Vec<Row> = [0, records / 2, records - 1]
        .map(|offset| Row {
            work: format!("read --offset {offset} of {records} records"),
            against: "true",
            ours: read(&many, offset),
            other: Run::new(&["/bin/true"]),
            limit: Limit::Plus(3.0),
        })
        .into();
    // In no order, and far from each other.
    let list: String = (1..=LOOKUPS)
        .map(|number| format!("{}\n", number * 6_700_417 % records))
        .collect();
    std::fs::write(place.join("list"), list)?;
    rows.push(Row {
        work: format!("read --offsets: {LOOKUPS} of {records} records"),
        against: "true",
        ours: Run::new(&[
            proglog,
            "read",
            text(&many.join("log")),
            "--offsets",
            text(&place.join("list")),
        ]),
        other: Run::new(&["/bin/true"]),
        limit: Limit::Plus(30.0),
    });
    rows.push(Row {
        work: format!("read --offset {} in {segments} segments", segments * 5),
        against: "ls -U of the log",
        ours: read(&rolled, segments * 5),
        other: Run::new(&["ls", "-U", text(&rolled.join("log"))]),
        limit: Limit::Plus(5.0),
    });
    Ok(rows)
}

/// One record in a process of its own, on a disk.
pub fn one_record(proglog: &str, place: &Path) -> Result<Row> {
    let [log, line, file] = ["one", "line", "file"].map(|name| place.join(name));
    std::fs::write(&line, "x\n")?;
    let ours = Run::new(&[proglog, "-q", "append", text(&log)]).stdin(&line);
    ours.once()?;
    let appended = format!("echo x >> {0}; sync {0}", text(&file));
    Ok(Row {
        work: "append one record, disk".to_owned(),
        against: "sh -c 'echo x >> f; sync f'",
        ours,
        other: Run::new(&["sh", "-c", &appended]),
        limit: Limit::Times(1.4),
    })
}

/// Lines whose way to a follower is timed.
const LINES: usize = 200;

/// The way of a line through a writer and a follower of what it writes.
fn way(writer: &mut Command, follower: &mut Command, lines: usize) -> Result<Vec<Taken>> {
    // What a pause in the input changes has been done by then.
    const PAUSE: Duration = Duration::from_millis(20);
    let mut writer = writer.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut follower = follower.stdout(Stdio::piped()).spawn()?;
    let mut into = writer.stdin.take().context("no pipe")?;
    let mut from = BufReader::new(follower.stdout.take().context("no pipe")?);
    let (mut taken, mut line) = (Vec::new(), String::new());
    // What was there already shows that the follower is there; the first line, the writer.
    from.read_line(&mut line)?;
    for number in 0..=lines {
        std::thread::sleep(PAUSE);
        let begin = Instant::now();
        into.write_all(b"x\n")?;
        from.read_line(&mut line)?;
        if number > 0 {
            taken.push(Taken {
                wall: begin.elapsed().as_secs_f64(),
                resident: 0,
            });
        }
    }
    drop(into);
    writer.wait()?;
    follower.kill()?;
    follower.wait()?;
    Ok(taken)
}

/// From a line in the pipe of a writer to the line of its follower.
pub fn latency(proglog: &str, place: &Path, quick: bool) -> Result<(Row, Pair)> {
    let [log, file] = ["followed", "file"].map(|name| place.join(name));
    Run::new(&[proglog, "-q", "append", text(&log), "-m", "x"]).once()?;
    std::fs::write(&file, "x\n")?;
    let lines = if quick { LINES / 10 } else { LINES };
    let mut append = Command::new(proglog);
    append.args(["-q", "append"]).arg(&log);
    let mut read = Command::new(proglog);
    read.arg("read").arg(&log).args(["-f", "-n", "1"]);
    let mut cat = Command::new("sh");
    cat.args(["-c", "exec cat >> \"$0\""]).arg(&file);
    let mut tail = Command::new("tail");
    tail.args(["-n", "1", "-f"]).arg(&file);
    let pair = Pair {
        ours: way(&mut append, &mut read, lines)?,
        other: way(&mut cat, &mut tail, lines)?,
    };
    let row = Row {
        work: "append to read -f, one line, tmpfs".to_owned(),
        against: "cat >> f to tail -f f",
        ours: Run::default(),
        other: Run::default(),
        limit: Limit::Plus(5.0),
    };
    Ok((row, pair))
}

/// Prints what the looks take and hold as a log grows.
pub fn growth(proglog: &str, place: &Path, quick: bool, rounds: usize) -> Result<()> {
    let sizes: &[u32] = if quick { &[4, 5, 6] } else { &[4, 5, 6, 7, 8] };
    let segments: &[u32] = if quick {
        &[0, 1, 2, 3]
    } else {
        &[0, 1, 2, 3, 4, 5]
    };
    let logs = sizes.iter().map(|&power| (10_u64.pow(power), 1));
    let logs = logs.chain(segments.iter().map(|&power| (0, 10_u64.pow(power))));
    table::head(&[
        "log",
        "read --offset",
        "read --tail 10",
        "info",
        "verify --quick",
        "verify",
        "max MiB",
    ]);
    for (records, segments) in logs {
        let at = place.join("growth");
        remove(&at)?;
        std::fs::create_dir_all(&at)?;
        let (name, middle) = if records > 0 {
            of_records(proglog, &at, records)?;
            (format!("{records} records"), records / 2)
        } else {
            of_segments(proglog, &at, segments.max(2))?;
            (format!("{segments} segments"), segments / 2 * 10)
        };
        let log = at.join("log");
        let log = log.to_str().context("a path that is not UTF-8")?;
        let middle = middle.to_string();
        let looks: [&[&str]; 5] = [
            &["read", log, "--offset", &middle],
            &["read", log, "--tail", "10"],
            &["info", log],
            &["verify", log, "--quick"],
            &["verify", log],
        ];
        let (mut cells, mut most) = (vec![name], 0);
        for words in looks {
            let taken = alone(&Run::new(&[proglog]).and(words), rounds)?;
            cells.push(table::seconds(median(&taken)));
            most = most.max(mebibytes(&taken));
        }
        cells.push(most.to_string());
        table::line(&cells);
        remove(&at)?;
    }
    Ok(())
}
