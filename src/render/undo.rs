//! The text of `undo` for a saved change: its name, its log, and in a dry run each file
//! that would be changed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use proglog::log::dir::is_taken;
use proglog::mend::saved::{Change, ChangeKind, is_beside};
use proglog::mend::undo::SavedChange;

use super::json_line::JsonLine;
use super::prose::{count, escaped};
use super::quote::quote;

/// An undo that was carried out, or would be.
pub struct View<'a> {
    /// The change.
    pub change: &'a SavedChange,
    /// The log's directory.
    pub log: &'a Path,
    /// The new directory that gets the log as it was.
    pub into: Option<&'a Path>,
    /// Whether nothing was done.
    pub dry_run: bool,
}

impl View<'_> {
    /// The command, its time and, of a dry run, the log and its files.
    pub fn text(&self, out: &mut impl Write) -> io::Result<()> {
        let words = in_words(self.change);
        if !self.dry_run {
            return writeln!(out, "undone: {words}");
        }
        writeln!(out, "would undo: {words}")?;
        if let Some(into) = self.into {
            writeln!(
                out,
                "the earlier {} would be restored in {}:",
                quote(self.log),
                quote(into)
            )?;
            for file in &self.change.manifest.files {
                writeln!(out, "  {}: {}", file.name, count(file.bytes, "byte"))?;
            }
            return Ok(());
        }
        writeln!(out, "would be changed in {}:", quote(self.log))?;
        for change in self.change.manifest.changes.iter().rev() {
            writeln!(out, "  {}: {}", change.file, Step::of(change).in_words())?;
        }
        Ok(())
    }

    fn line(&self, kind: &str) -> JsonLine {
        JsonLine::of(kind).text("log", self.log.display().to_string())
    }

    /// The same, an object a line.
    pub fn json(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", saved(self.change, self.log, self.dry_run))?;
        if !self.dry_run {
            return Ok(());
        }
        let mut files = 0_usize;
        let mut file = |name: &str, action: &str, bytes: u64| {
            files += 1;
            let line = self.line("file").text("file", name);
            writeln!(
                out,
                "{}",
                line.text("action", action).number("bytes", bytes)
            )
        };
        let manifest = &self.change.manifest;
        if self.into.is_some() {
            for it in &manifest.files {
                file(&it.name, "restore", it.bytes)?;
            }
        } else {
            for change in manifest.changes.iter().rev() {
                let step = Step::of(change);
                file(&change.file, step.action, step.bytes)?;
            }
        }
        let target = self.into.unwrap_or(self.log);
        let summary = self
            .line("summary")
            .flag("dry_run", true)
            .text("target", target.display().to_string())
            .count("files", files);
        writeln!(out, "{summary}")
    }
}

/// The operation on a file that undoes a change of it.
struct Step {
    action: &'static str,
    /// Number of bytes restored; for a file that is removed, its size.
    bytes: u64,
}

impl Step {
    fn of(change: &Change) -> Self {
        let (action, bytes) = match change.kind {
            ChangeKind::Write { before_bytes, .. } => ("write", before_bytes),
            ChangeKind::Cut {
                size_before,
                size_after,
                ..
            } => ("extend", size_before.saturating_sub(size_after)),
            ChangeKind::Create { bytes } => ("remove", bytes),
            ChangeKind::Move { bytes } => ("move", bytes),
            ChangeKind::Replace { bytes, .. } => ("replace", bytes),
        };
        Self { action, bytes }
    }

    fn in_words(&self) -> String {
        let bytes = count(self.bytes, "byte");
        match self.action {
            "write" => format!("{bytes} written back"),
            "extend" => format!("{bytes} restored at the end"),
            "remove" => "removed".to_owned(),
            "move" => format!("moved back ({bytes})"),
            _ => format!("replaced by the earlier file ({bytes})"),
        }
    }
}

/// The command that undoes the change that was just saved: only beside the log it is
/// found by the log's name.
pub fn command(log: &Path, saved: &Path) -> String {
    let beside = log.canonicalize().is_ok_and(|real| is_beside(&real, saved));
    let parent = saved.parent().filter(|_| !beside);
    let place = parent.map(|parent| format!(" --save-to {}", quote(parent)));
    format!("proglog undo {}{}", quote(log), place.unwrap_or_default())
}

/// A free name beside a directory: its own with this at the end, and a number if need be.
pub fn free_name(directory: &Path, suffix: &str) -> PathBuf {
    // Without the slash that a shell puts after it; `.` has no name.
    let directory: PathBuf = match directory.file_name() {
        Some(_) => directory.components().collect(),
        None => directory.canonicalize().unwrap_or_default(),
    };
    let name = |number| {
        let mut name = directory.clone().into_os_string();
        name.push(suffix);
        if number > 0 {
            name.push(format!("-{number}"));
        }
        PathBuf::from(name)
    };
    let mut names = (0_u64..).map(name);
    let free = names.find(|name| !is_taken(name));
    free.unwrap_or(directory)
}

/// Which change it is.
pub fn in_words(change: &SavedChange) -> String {
    let manifest = &change.manifest;
    format!(
        "{} of {} ({})",
        escaped(&manifest.command),
        escaped(&manifest.time),
        count(manifest.changes.len() as u64, "change")
    )
}

/// Which change it is, as an object.
pub fn saved(change: &SavedChange, log: &Path, dry_run: bool) -> JsonLine {
    JsonLine::of("saved")
        .text("path", change.path.display().to_string())
        .text("log", log.display().to_string())
        .text("command", &change.manifest.command)
        .text("time", &change.manifest.time)
        .count("changes", change.manifest.changes.len())
        .flag("undone", change.undone)
        .flag("dry_run", dry_run)
}

/// The changes that a prune removes.
pub struct Pruned<'a> {
    log: &'a Path,
    dry_run: bool,
    changes: usize,
    leftovers: usize,
    bytes: u64,
}

impl<'a> Pruned<'a> {
    /// None yet.
    pub fn new(log: &'a Path, dry_run: bool) -> Self {
        Self {
            log,
            dry_run,
            changes: 0,
            leftovers: 0,
            bytes: 0,
        }
    }

    /// One of them, as text or JSON if it is to be said.
    pub fn change(
        &mut self,
        out: &mut impl Write,
        change: &SavedChange,
        bytes: u64,
        (json, says): (bool, bool),
    ) -> io::Result<()> {
        self.changes += 1;
        self.bytes += bytes;
        if json {
            let line = saved(change, self.log, self.dry_run);
            return writeln!(out, "{}", line.number("bytes", bytes));
        }
        if !says {
            return Ok(());
        }
        let done = if self.dry_run {
            "would be removed"
        } else {
            "removed"
        };
        let (words, bytes) = (in_words(change), count(bytes, "byte"));
        writeln!(out, "{done}: {words}, {bytes}: {}", quote(&change.path))
    }

    /// What interrupted commands have left.
    pub fn leftovers(&mut self, directories: usize, bytes: u64) {
        self.leftovers += directories;
        self.bytes += bytes;
    }

    /// What is freed.
    pub fn summary(&self, out: &mut impl Write, (json, says): (bool, bool)) -> io::Result<()> {
        if json {
            let line = JsonLine::of("summary")
                .text("log", self.log.display().to_string())
                .flag("dry_run", self.dry_run)
                .count("changes", self.changes)
                .count("leftovers", self.leftovers)
                .number("bytes", self.bytes);
            return writeln!(out, "{line}");
        }
        if !says {
            return Ok(());
        }
        if self.changes + self.leftovers == 0 {
            return writeln!(out, "nothing to remove");
        }
        let left = match self.leftovers {
            0 => String::new(),
            left => format!(" and of {}", count(left as u64, "interrupted change")),
        };
        let frees = if self.dry_run { "would free" } else { "freed" };
        let (bytes, changes) = (
            count(self.bytes, "byte"),
            count(self.changes as u64, "saved change"),
        );
        writeln!(out, "{frees} {bytes} of {changes}{left}")
    }
}
