//! One append of random records in a random shape: how they are framed, how they
//! arrive, how many they are. Runs the binary so that it can be cut short.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::life::choose;
use crate::{frame, proglog};

/// How records stand in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Lines,
    Null,
    Delimiter,
    Frames,
    Json,
    Whole,
}

/// How the input arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// All of it, as a file on stdin.
    File,
    /// All of it, through a pipe.
    Pipe,
    /// Piece by piece, some of them after a pause.
    Trickle,
    /// As files that are named.
    Named,
}

/// An append that is to be made.
#[derive(Debug, Clone)]
pub struct Append {
    /// The records; the first one is like no other in the log.
    pub values: Vec<Vec<u8>>,
    /// Options, the framing's and `--print-offsets` among them.
    pub options: Vec<String>,
    framing: Framing,
    arrival: Arrival,
    seed: u64,
}

impl Append {
    /// A random one. `number` is that of no other append to this log.
    #[must_use]
    pub fn random(rng: &mut Rng, number: usize) -> Self {
        let framing = *choose(
            rng,
            &[
                Framing::Lines,
                Framing::Lines,
                Framing::Null,
                Framing::Delimiter,
                Framing::Frames,
                Framing::Json,
                Framing::Whole,
            ],
        );
        let arrival = match framing {
            Framing::Whole => Arrival::Named,
            _ => *choose(
                rng,
                &[
                    Arrival::File,
                    Arrival::Pipe,
                    Arrival::Trickle,
                    Arrival::Named,
                ],
            ),
        };
        let count = match (framing, arrival) {
            (Framing::Whole, _) => rng.usize(1..8),
            (_, Arrival::Trickle) => rng.usize(1..40),
            _ => *choose(rng, &[1, 7, 60, 300, 2000]),
        };
        let bytes_max = match count {
            0..=7 => *choose(rng, &[20, 5000, 300_000]),
            8..=60 => *choose(rng, &[20, 5000]),
            _ => 60,
        };
        let values = (0..count)
            .map(|i| value(rng, &format!("{number}:{i}:"), bytes_max))
            .collect();
        let mut options: Vec<String> = match framing {
            Framing::Lines => vec![],
            Framing::Null => vec!["-0".into()],
            Framing::Delimiter => vec!["-d".into(), "~=~".into()],
            Framing::Frames => vec!["--input=frames".into()],
            Framing::Json => vec!["--input=json".into()],
            Framing::Whole => vec!["--input=whole".into()],
        };
        if rng.u8(..4) != 0 {
            options.push("--print-offsets".into());
        }
        Self {
            values,
            options,
            framing,
            arrival,
            seed: rng.u64(..),
        }
    }

    /// Whether each record is acknowledged by itself.
    #[must_use]
    pub fn prints_offsets(&self) -> bool {
        self.options
            .iter()
            .any(|option| option == "--print-offsets")
    }

    /// The shape in words, for messages.
    #[must_use]
    pub fn shape(&self) -> String {
        format!(
            "{} records, {:?}, {:?}, {}",
            self.values.len(),
            self.framing,
            self.arrival,
            self.options.join(" ")
        )
    }

    /// Starts it. `scratch` is a directory for inputs and outputs that stays until
    /// the run has ended.
    #[must_use]
    pub fn start(&self, log: &Path, scratch: &Path) -> Running {
        let mut command = Command::new(proglog().get_program());
        command
            .env("LC_ALL", "C")
            .arg("append")
            .arg(log)
            .args(&self.options)
            .stdout(File::create(scratch.join("out")).expect("a file for stdout"))
            .stderr(File::create(scratch.join("err")).expect("a file for stderr"));
        let input = scratch.join("in");
        match self.arrival {
            Arrival::Named => {
                command.args(self.named(scratch)).stdin(Stdio::null());
            }
            Arrival::File => {
                fs::write(&input, self.pieces().concat()).expect("an input");
                command.stdin(File::open(&input).expect("an input"));
            }
            Arrival::Pipe | Arrival::Trickle => {
                command.stdin(Stdio::piped());
            }
        }
        let began = Instant::now();
        let mut child = command.spawn().expect("proglog starts");
        if let Some(mut stdin) = child.stdin.take() {
            let (pieces, pauses) = (self.pieces(), self.arrival == Arrival::Trickle);
            let mut rng = Rng::with_seed(self.seed);
            // It ends with the child, which closes the pipe.
            std::thread::spawn(move || {
                for piece in pieces {
                    if pauses && rng.u8(..3) == 0 {
                        std::thread::sleep(Duration::from_millis(rng.u64(1..16)));
                    }
                    let cut = rng.usize(..=piece.len());
                    let sent = stdin.write_all(&piece[..cut]);
                    if sent.and_then(|()| stdin.write_all(&piece[cut..])).is_err() {
                        return;
                    }
                }
            });
        }
        Running {
            child,
            began,
            scratch: scratch.to_path_buf(),
            noted: None,
        }
    }

    /// The records as they stand in the input, one by one.
    fn pieces(&self) -> Vec<Vec<u8>> {
        let framed = |value: &Vec<u8>| match self.framing {
            Framing::Lines => [value, &b"\n"[..]].concat(),
            Framing::Null => [value, &b"\0"[..]].concat(),
            Framing::Delimiter => [value, &b"~=~"[..]].concat(),
            Framing::Frames => frame(value),
            Framing::Json => {
                let text = String::from_utf8(value.clone()).expect("letters");
                format!("{}\n", serde_json::json!({ "value": text })).into_bytes()
            }
            Framing::Whole => value.clone(),
        };
        self.values.iter().map(framed).collect()
    }

    /// Input files: for whole inputs one for each record, else one or two.
    fn named(&self, scratch: &Path) -> Vec<PathBuf> {
        let pieces = self.pieces();
        let each = match self.framing {
            Framing::Whole => 1,
            _ => pieces.len().div_ceil(2),
        };
        let files = pieces.chunks(each).enumerate();
        files
            .map(|(number, pieces)| {
                let path = scratch.join(format!("in{number}"));
                fs::write(&path, pieces.concat()).expect("an input");
                path
            })
            .collect()
    }
}

/// Letters behind a mark, at most so many bytes in all.
fn value(rng: &mut Rng, mark: &str, bytes_max: usize) -> Vec<u8> {
    let mut value = mark.as_bytes().to_vec();
    let more = rng.usize(..bytes_max);
    value.resize_with(value.len() + more, || rng.lowercase() as u8);
    value
}

/// A run of the binary that can be cut short.
pub struct Running {
    child: Child,
    began: Instant,
    scratch: PathBuf,
    /// How much stood on stdout, and whether it had ended, when somebody noted it.
    noted: Option<(usize, bool)>,
}

impl Running {
    /// Starts any command, with nothing on stdin.
    #[must_use]
    pub fn start(arguments: &[&str], log: &Path, scratch: &Path) -> Self {
        let began = Instant::now();
        let child = Command::new(proglog().get_program())
            .env("LC_ALL", "C")
            .args(arguments)
            .arg(log)
            .stdin(Stdio::null())
            .stdout(File::create(scratch.join("out")).expect("a file for stdout"))
            .stderr(File::create(scratch.join("err")).expect("a file for stderr"))
            .spawn()
            .expect("proglog starts");
        Self {
            child,
            began,
            scratch: scratch.to_path_buf(),
            noted: None,
        }
    }

    /// From here on nothing counts as acknowledged any more. Of a file system that goes
    /// a sync under way may still be told that it succeeded.
    pub fn note(&mut self) {
        let ended = self.child.try_wait().expect("a child").is_some();
        let out = fs::metadata(self.scratch.join("out")).expect("stdout");
        let bytes = usize::try_from(out.len()).expect("a small file");
        self.noted = Some((bytes, ended));
    }

    /// Waits for its end, at most so long after its start; then kills it.
    #[must_use]
    pub fn end_within(mut self, time: Duration) -> Ended {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            let left = time.saturating_sub(self.began.elapsed());
            if left.is_zero() {
                self.child.kill().expect("a child to kill");
                break self.child.wait().expect("a child");
            }
            std::thread::sleep(left.min(Duration::from_micros(200)));
        };
        let mut out = fs::read(self.scratch.join("out")).expect("stdout");
        let (bytes, in_time) = self.noted.unwrap_or((out.len(), true));
        let late = out.split_off(bytes);
        Ended {
            status,
            in_time,
            took: self.began.elapsed(),
            out,
            late,
            err: fs::read(self.scratch.join("err")).expect("stderr"),
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// Whether the end came before it was noted what counts.
    in_time: bool,
    /// How long it ran.
    pub took: Duration,
    /// What it wrote to stdout as long as that counted.
    pub out: Vec<u8>,
    /// What it wrote there later.
    pub late: Vec<u8>,
    /// What it wrote to stderr.
    pub err: Vec<u8>,
}

impl Ended {
    /// Whether it ended with 0, as long as that counted.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.in_time && self.status.success()
    }

    /// Whether the kill came before its end.
    #[must_use]
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    /// Stderr as text.
    #[must_use]
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.err).into_owned()
    }

    /// The offsets that were printed whole. What a kill cut in half was not.
    ///
    /// # Errors
    ///
    /// A line that is no number.
    pub fn offsets(&self) -> Result<Vec<u64>, String> {
        let text = String::from_utf8_lossy(&self.out);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines();
        lines
            .map(|line| line.parse().map_err(|_| format!("no offset: {line:?}")))
            .collect()
    }
}
