//! The rows: what proglog does, and what it is compared with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::data::Lines;
use crate::run::{Out, Run};

/// Where a row must stand.
#[derive(Clone, Copy)]
pub enum Limit {
    /// So many times what the other takes.
    Times(f64),
    /// So many milliseconds more than the other.
    Plus(f64),
    /// Shown only.
    None,
}

/// A pair to time.
pub struct Row {
    /// The work, for the table.
    pub work: String,
    /// What it is compared with, for the table.
    pub against: &'static str,
    /// Ours.
    pub ours: Run,
    /// The other.
    pub other: Run,
    /// Where the ratio must stand.
    pub limit: Limit,
}

/// One file of lines, and where it is.
pub struct Input {
    /// `L`, `T` or `B`.
    pub name: &'static str,
    /// Its lines.
    pub lines: Lines,
    /// Where the rows of this input work.
    pub place: PathBuf,
    /// On a disk, so that durability counts.
    pub disk: bool,
}

const CODECS: [&str; 2] = ["raw", "protobuf"];

impl Input {
    /// Makes the lines.
    pub fn make(&self) -> Result<()> {
        fs::create_dir_all(&self.place)?;
        self.lines.file(&self.text())
    }

    /// The lines.
    pub fn text(&self) -> PathBuf {
        self.place.join(self.name)
    }

    fn log(&self, codec: &str) -> PathBuf {
        self.place.join(format!("{}-{codec}", self.name))
    }

    /// The bytes of the store and the index in one file, for what only copies them.
    fn same(&self, codec: &str) -> PathBuf {
        self.place.join(format!("{}-{codec}-bytes", self.name))
    }

    fn append(&self, proglog: &str, codec: &str, to: &Path) -> Run {
        Run::new(&[proglog, "-q", "append", text(to), "--codec", codec]).stdin(&self.text())
    }

    /// A log of the lines in one segment, and a file of the same bytes.
    fn build(&self, proglog: &str, codec: &str) -> Result<()> {
        let log = self.log(codec);
        one_segment(self.append(proglog, codec, &log)).once()?;
        let both = [log.join("0.store"), log.join("0.index")];
        let cat = Run::new(&["cat", text(&both[0]), text(&both[1])]);
        cat.out(Out::File(self.same(codec))).once().map(drop)
    }

    /// The rows of this input. Builds what they need.
    pub fn rows(&self, proglog: &str) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for codec in CODECS {
            self.build(proglog, codec)?;
            rows.extend(self.appends(proglog, codec));
            if !self.disk {
                rows.extend(self.looks(proglog, codec));
            }
        }
        Ok(rows)
    }

    fn appends(&self, proglog: &str, codec: &str) -> Vec<Row> {
        let (name, made, copy) = (self.name, self.place.join("made"), self.place.join("copy"));
        let (same, here) = (self.same(codec), if self.disk { "disk" } else { "tmpfs" });
        let append = self.append(proglog, codec, &made).removing(&made);
        let (ours, other, against) = if self.disk {
            let from = format!("if={}", same.display());
            let to = format!("of={}", copy.display());
            let dd = Run::new(&["dd", "bs=1M", "conv=fsync", &from, &to]);
            (
                append.settled(),
                dd.removing(&copy).settled(),
                "dd conv=fsync, the same bytes",
            )
        } else {
            let cat = Run::new(&["cat", text(&same)]).out(Out::File(copy.clone()));
            (append, cat.removing(&copy), "cat writing the same bytes")
        };
        let limit = match (name, codec, self.disk) {
            ("L", _, true) => Limit::Times(1.25),
            ("L", "raw", _) => Limit::Times(1.5),
            ("L", _, _) => Limit::Times(1.9),
            ("T", "raw", false) => Limit::Times(2.0),
            ("T", _, false) => Limit::Times(2.5),
            _ => Limit::None,
        };
        let row = |how: &str, ours| Row {
            work: format!("append {name}, {codec}, {here}{how}"),
            against,
            ours,
            other: other.clone(),
            limit,
        };
        let mut rows = vec![row("", one_segment(ours.clone()))];
        if name == "L" {
            rows.push(row(", rolled at 1 GiB", ours));
        }
        rows
    }

    fn looks(&self, proglog: &str, codec: &str) -> Vec<Row> {
        let (name, log) = (self.name, self.log(codec));
        let (store, index) = (log.join("0.store"), log.join("0.index"));
        let tiny = name == "T";
        let large = name == "L";
        let times = |limit: f64| {
            if large {
                Limit::Times(limit)
            } else {
                Limit::None
            }
        };
        let raw = codec == "raw";
        let mut rows = vec![
            Row {
                work: format!("read {name}, {codec}, to a pipe"),
                against: "cat store to the same pipe",
                ours: Run::new(&[proglog, "read", text(&log)]).out(Out::Pipe),
                other: Run::new(&["cat", text(&store)]).out(Out::Pipe),
                limit: match (tiny, raw) {
                    (true, true) => Limit::Times(3.0),
                    (true, false) => Limit::Times(4.0),
                    (false, _) => times(if raw { 1.3 } else { 1.5 }),
                },
            },
            Row {
                work: format!("verify {name}, {codec}"),
                against: "cat store index > /dev/null",
                ours: Run::new(&[proglog, "verify", text(&log)]),
                other: Run::new(&["cat", text(&store), text(&index)]),
                limit: times(if raw { 1.2 } else { 1.8 }),
            },
        ];
        if !large {
            return rows;
        }
        if raw {
            for (form, json) in [("text", None), ("JSON lines", Some("--json"))] {
                let dump = Run::new(&[proglog, "dump-index", text(&log)]);
                rows.push(Row {
                    work: format!("dump-index {name} as {form} > /dev/null"),
                    against: "wc -l of the lines",
                    ours: json.into_iter().fold(dump, |dump, word| dump.and(&[word])),
                    other: Run::new(&["wc", "-l", text(&self.text())]),
                    limit: Limit::Times(5.0),
                });
            }
        }
        let repair = Run::new(&[proglog, "repair", text(&log), "--no-save"]);
        let missing = if raw { &["--adopt-tail"][..] } else { &[] };
        rows.push(Row {
            work: format!("repair {name}, {codec}: the index is missing"),
            against: "proglog verify",
            ours: repair.and(missing).removing(&index),
            other: Run::new(&[proglog, "verify", text(&log)]),
            limit: Limit::Times(3.0),
        });
        rows
    }
}

/// With limits above every input.
pub fn one_segment(append: Run) -> Run {
    append.and(&["--max-store-bytes", "64GiB", "--max-index-bytes", "8GiB"])
}

/// The path as an argument; ours are made of ASCII by `tempfile`.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}
