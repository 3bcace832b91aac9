//! Times whole processes of proglog against what moves the same bytes, in turn, and
//! prints tables of ratios. Run it by `benches/run`.

mod data;
mod rows;
mod run;
mod scale;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Parser;

use data::Lines;
use rows::{Input, text};
use run::{Pair, Run, alone, mebibytes, median, remove};

/// Compare the run times of proglog, cat, dd and other logs on the same bytes
#[derive(Parser)]
struct Options {
    /// Run one round with a hundredth of the data
    #[arg(long)]
    quick: bool,
    /// Number of rounds per pair; up to four times as many if the times scatter
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Run only rows whose work contains TEXT, or the tables "growth" and "peers"
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Directory for the rows on a disk
    #[arg(long, value_name = "DIR", default_value = ".")]
    disk: PathBuf,
    /// Directory on a tmpfs for all other rows; needs 8 GiB
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    tmpfs: PathBuf,
    #[arg(long, hide = true)]
    proglog: PathBuf,
    #[arg(long, hide = true)]
    peers: PathBuf,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 5 });
    let proglog = text(&options.proglog);
    println!("{}", machine());
    table::head(&[
        "work",
        "compared with",
        "proglog",
        "other",
        "ratio",
        "limit",
        "MiB",
    ]);
    let mut missed = 0;
    for input in inputs(&options) {
        let place = tempfile::Builder::new()
            .prefix("proglog-bench-")
            .tempdir_in(&input.place)?;
        let input = Input {
            place: place.path().to_owned(),
            ..input
        };
        if wanted_input(&options, &input) {
            input.make()?;
            missed += measure(input.rows(proglog)?, &options, rounds)?;
        }
    }
    if "append one record".contains(&options.only) {
        let place = tempfile::Builder::new()
            .prefix("proglog-bench-")
            .tempdir_in(&options.disk)?;
        let row = scale::one_record(proglog, place.path())?;
        missed += measure(vec![row], &options, rounds)?;
    }
    let place = tempfile::Builder::new()
        .prefix("proglog-bench-")
        .tempdir_in(&options.tmpfs)?;
    if "append to read -f".contains(&options.only) {
        let (row, pair) = scale::latency(proglog, place.path(), options.quick)?;
        missed += usize::from(!table::pair(&row, &pair));
    }
    if "read --offset".contains(&options.only) || options.only.contains("--offset") {
        missed += measure(
            scale::lookups(proglog, place.path(), options.quick)?,
            &options,
            rounds,
        )?;
        for made in ["many", "rolled"] {
            remove(&place.path().join(made))?;
        }
    }
    if "growth".contains(&options.only) {
        scale::growth(proglog, place.path(), options.quick, rounds)?;
    }
    if "peers".contains(&options.only) {
        peers(&options, place.path(), rounds)?;
    }
    println!("\nrows above their limit: {missed}");
    Ok(ExitCode::SUCCESS)
}

/// The inputs, each with the directory below which it works.
fn inputs(options: &Options) -> Vec<Input> {
    let less = if options.quick { 100 } else { 1 };
    let lines = |count: u64, shortest, longest| Lines {
        count: count / less,
        shortest,
        longest,
    };
    let large = lines(10_000_000, 60, 140);
    [
        ("L", large, false),
        ("T", lines(20_000_000, 1, 12), false),
        ("B", lines(16_000, 65_536, 65_536), false),
        ("L", large, true),
    ]
    .map(|(name, lines, disk)| {
        let place = if disk { &options.disk } else { &options.tmpfs };
        Input {
            name,
            lines,
            place: place.clone(),
            disk,
        }
    })
    .into()
}

/// Whether any row of this input can be wanted, before its data are made.
fn wanted_input(options: &Options, input: &Input) -> bool {
    let named = |name: &str| options.only.contains(&format!(" {name}"));
    let none = !["L", "T", "B"].into_iter().any(named);
    let elsewhere = ["growth", "peers", "--offset", "read -f"]
        .iter()
        .any(|word| options.only.contains(word));
    !elsewhere
        && (none || named(input.name))
        && (input.disk || !options.only.contains("disk"))
        && !(input.disk && options.only.contains("tmpfs"))
}

fn measure(rows: Vec<rows::Row>, options: &Options, rounds: usize) -> Result<usize> {
    let mut missed = 0;
    for row in rows.iter().filter(|row| row.work.contains(&options.only)) {
        let pair = Pair::of(&row.ours, &row.other, rounds).with_context(|| row.work.clone())?;
        missed += usize::from(!table::pair(row, &pair));
    }
    Ok(missed)
}

/// The same lines through other engines, in tmpfs; each reads back what it wrote.
fn peers(options: &Options, place: &Path, rounds: usize) -> Result<()> {
    let lines = place.join("lines");
    Lines {
        count: if options.quick { 100_000 } else { 10_000_000 },
        shortest: 60,
        longest: 140,
    }
    .file(&lines)?;
    let log = place.join("log");
    let (proglog, peers, at) = (text(&options.proglog), text(&options.peers), text(&log));
    table::head(&["engine (same lines)", "append", "read back", "MiB"]);
    let engines: [(&str, Vec<&str>, Vec<&str>); 5] = [
        (
            "proglog, raw",
            vec![proglog, "-q", "append", at],
            vec![proglog, "read", at],
        ),
        (
            "proglog, protobuf",
            vec![proglog, "-q", "append", at, "--codec", "protobuf"],
            vec![proglog, "read", at],
        ),
        (
            "commitlog 0.2, one at a time",
            vec![peers, "commitlog", at, "append", "1"],
            vec![peers, "commitlog", at, "read"],
        ),
        (
            "commitlog 0.2, batches of 1000",
            vec![peers, "commitlog", at, "append", "1000"],
            vec![peers, "commitlog", at, "read"],
        ),
        (
            "mrecordlog 0.4, batches of 1000",
            vec![peers, "mrecordlog", at, "append", "1000"],
            vec![peers, "mrecordlog", at, "read"],
        ),
    ];
    for (name, append, read) in engines {
        let append = Run::new(&append).stdin(&lines).removing(&log);
        let appended = alone(&append, rounds.min(3))?;
        let read = alone(&Run::new(&read).out(run::Out::Pipe), rounds.min(3))?;
        table::line(&[
            name.to_owned(),
            table::seconds(median(&appended)),
            table::seconds(median(&read)),
            mebibytes(&[appended, read].concat()).to_string(),
        ]);
    }
    remove(&log)
}

/// The machine, in a line.
fn machine() -> String {
    let of = |path: &str, key: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.split_once(':'));
        found.map_or_else(
            || "unknown".to_owned(),
            |(_, value)| value.trim().to_owned(),
        )
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = Command::new("uname").arg("-sr").output();
    let kernel = kernel.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    format!(
        "{}, {cores} cores, {} of memory, {}",
        of("/proc/cpuinfo", "model name"),
        of("/proc/meminfo", "MemTotal"),
        kernel.unwrap_or_default()
    )
}
