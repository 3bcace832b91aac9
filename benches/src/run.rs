//! One process, timed whole; two of them in turn.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use wait4::Wait4;

/// Where the output of a command goes.
#[derive(Clone, Default)]
pub enum Out {
    /// `/dev/null`.
    #[default]
    Null,
    /// A new file.
    File(PathBuf),
    /// A pipe, all of which is read at once and thrown away.
    Pipe,
}

/// A command to time, and what comes before it untimed.
#[derive(Clone, Default)]
pub struct Run {
    words: Vec<String>,
    stdin: Option<PathBuf>,
    out: Out,
    removed: Vec<PathBuf>,
    settled: bool,
}

/// What one run took.
#[derive(Clone, Copy)]
pub struct Taken {
    /// Seconds from before its start until it was reaped.
    pub wall: f64,
    /// The largest resident set, in bytes, mapped pages of files included.
    pub resident: u64,
}

impl Run {
    /// The command of these words, a program and its arguments.
    pub fn new(words: &[&str]) -> Self {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        Self {
            words,
            ..Self::default()
        }
    }

    /// More words.
    pub fn and(mut self, words: &[&str]) -> Self {
        self.words.extend(words.iter().map(|&word| word.to_owned()));
        self
    }

    /// Reads this file as its standard input.
    pub fn stdin(mut self, path: &Path) -> Self {
        self.stdin = Some(path.to_owned());
        self
    }

    /// Writes there.
    pub fn out(mut self, out: Out) -> Self {
        self.out = out;
        self
    }

    /// Before each run this file or directory is removed.
    pub fn removing(mut self, path: &Path) -> Self {
        self.removed.push(path.to_owned());
        self
    }

    /// Before each run everything that the system has not written yet is written.
    pub fn settled(mut self) -> Self {
        self.settled = true;
        self
    }

    /// Runs it once.
    pub fn once(&self) -> Result<Taken> {
        for path in &self.removed {
            remove(path)?;
        }
        if self.settled {
            Command::new("sync").status().context("sync")?;
        }
        let (program, arguments) = self
            .words
            .split_first()
            .context("a command without words")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stderr(Stdio::piped())
            .stdin(match &self.stdin {
                Some(path) => File::open(path)
                    .with_context(|| path.display().to_string())?
                    .into(),
                None => Stdio::null(),
            });
        command.stdout(match &self.out {
            Out::Null => Stdio::null(),
            Out::File(path) => File::create(path)?.into(),
            Out::Pipe => Stdio::piped(),
        });
        let begin = Instant::now();
        let mut child = command.spawn().with_context(|| program.clone())?;
        if let Some(mut pipe) = child.stdout.take() {
            let mut buffer = vec![0; 256 << 10];
            while pipe.read(&mut buffer)? > 0 {}
        }
        let mut said = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            stderr.read_to_string(&mut said)?;
        }
        let used = child.wait4()?;
        let wall = begin.elapsed().as_secs_f64();
        if !used.status.success() {
            bail!("{}: {}\n{said}", self.words.join(" "), used.status);
        }
        Ok(Taken {
            wall,
            resident: used.rusage.maxrss,
        })
    }
}

/// What several runs of a pair took.
pub struct Pair {
    /// Of ours, in the order they ran.
    pub ours: Vec<Taken>,
    /// Of the other one.
    pub other: Vec<Taken>,
}

/// As many times the rounds that were asked for, at most, where their times scatter.
const MORE_ROUNDS: usize = 4;

/// How far apart the times of the middle half may be, as a ratio, for their median to
/// say what the next rounds will take.
const SCATTER: f64 = 1.2;

impl Pair {
    /// Runs both once untimed, then in turn, `rounds` times, and more where the times
    /// scatter.
    pub fn of(ours: &Run, other: &Run, rounds: usize) -> Result<Self> {
        let mut pair = Self {
            ours: Vec::new(),
            other: Vec::new(),
        };
        other.once()?;
        ours.once()?;
        // Who comes first changes: what one leaves behind meets the other too.
        for round in 0..rounds * MORE_ROUNDS {
            if round >= rounds && scatter(&pair.ours).max(scatter(&pair.other)) <= SCATTER {
                break;
            }
            if round % 2 == 0 {
                pair.other.push(other.once()?);
                pair.ours.push(ours.once()?);
            } else {
                pair.ours.push(ours.once()?);
                pair.other.push(other.once()?);
            }
        }
        Ok(pair)
    }

    /// The ratio of the medians.
    pub fn ratio(&self) -> f64 {
        median(&self.ours) / median(&self.other)
    }

    /// The smallest and the largest ratio of one round.
    pub fn spread(&self) -> (f64, f64) {
        self.ours
            .iter()
            .zip(&self.other)
            .map(|(ours, other)| ours.wall / other.wall)
            .fold((f64::INFINITY, 0.0), |(low, high), ratio| {
                (low.min(ratio), high.max(ratio))
            })
    }
}

/// Runs it once untimed, then `rounds` times.
pub fn alone(run: &Run, rounds: usize) -> Result<Vec<Taken>> {
    run.once()?;
    (0..rounds).map(|_| run.once()).collect()
}

/// The times in seconds, the shortest first.
fn sorted(taken: &[Taken]) -> Vec<f64> {
    let mut walls: Vec<f64> = taken.iter().map(|taken| taken.wall).collect();
    walls.sort_by(f64::total_cmp);
    walls
}

/// How many times as long the longest of the middle half took as its shortest.
fn scatter(taken: &[Taken]) -> f64 {
    let walls = sorted(taken);
    let quarter = walls.len() / 4;
    walls[walls.len() - 1 - quarter] / walls[quarter]
}

/// The median of the times, in seconds.
pub fn median(taken: &[Taken]) -> f64 {
    let walls = sorted(taken);
    let middle = walls.len() / 2;
    match walls.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => walls[middle],
        _ => f64::midpoint(walls[middle - 1], walls[middle]),
    }
}

/// The most that any of the runs held, in MiB.
pub fn mebibytes(taken: &[Taken]) -> u64 {
    taken
        .iter()
        .map(|taken| taken.resident)
        .max()
        .unwrap_or(0)
        .div_ceil(1 << 20)
}

/// Removes a file or a directory, if it is there.
pub fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}
