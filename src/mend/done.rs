//! The mark of a completed change, in its saved directory. It records the state of the
//! files that the change created or replaced: nothing else shows whether they were
//! written to since.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::saved::{Saved, SavedDirectory};
use crate::log::dir::FilePath;
use crate::log::disk::{Disk, write_all_at};
use crate::log::durable::{sync, sync_dir};
use crate::log::error::{Error, Result};
use crate::log::window::{ReadFile, STREAM_BYTES, Window};

/// The name that marks a change as complete.
pub(super) const DONE: &str = "done";

/// More bytes than a line of it has: a sum, and the name of a file.
const LINE_BYTES_MAX: u64 = 1024;

/// Marks the change that is saved in a directory as complete. `made` are the files that
/// it made or replaced.
///
/// # Errors
///
/// [`Error::Io`], and reading's.
pub fn mark<'a>(
    disk: &dyn Disk,
    saved: &Saved,
    made: impl Iterator<Item = &'a FilePath>,
) -> Result<()> {
    let mut lines = String::new();
    for file in made {
        let sum = sum_of(&ReadFile::open(file)?)?;
        // Writing to memory does not fail.
        let _ = writeln!(lines, "{sum:016x} {}", name_of(file));
    }
    let mark = saved.create(disk, DONE)?;
    let path = mark.path();
    write_all_at(disk, &mark, lines.as_bytes(), 0).map_err(Error::io("write", path))?;
    sync(disk, &mark)?;
    sync_dir(disk, saved.dir())
}

/// Whether a file that the change made or replaced was written to after the change was
/// complete.
///
/// # Errors
///
/// Reading's.
pub fn is_written_since(saved: &SavedDirectory, file: &ReadFile) -> Result<bool> {
    let done = match saved.file(DONE) {
        Err(Error::Missing { .. }) => return Ok(false),
        done => done?,
    };
    // Times are not enough: a copy of the log has others, and a clock may be set back. If
    // the mark was interrupted, the change was not reported as complete.
    let name = name_of(file.path());
    let mut lines = BufReader::new(done.file());
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line);
        if read.map_err(Error::io("read", done.path()))? == 0 {
            return Ok(false);
        }
        let text = String::from_utf8_lossy(&line);
        if let Some((sum, of)) = text.trim_end().split_once(' ')
            && of == name
        {
            return Ok(format!("{:016x}", sum_of(file)?) != sum);
        }
    }
}

fn name_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.display().to_string()
}

/// A sum of a file's bytes that differs where one of them does.
fn sum_of(file: &ReadFile) -> Result<u64> {
    let mut window = Window::new(file.clone(), STREAM_BYTES);
    let (mut sum, mut at) = (file.file_bytes, 0);
    while at < file.file_bytes {
        let count = (file.file_bytes - at).min(STREAM_BYTES as u64);
        let piece = window.bytes(at, usize::try_from(count).unwrap_or(STREAM_BYTES))?;
        for word in piece.chunks(size_of::<u64>()) {
            let mut bytes = [0; size_of::<u64>()];
            for (to, from) in bytes.iter_mut().zip(word) {
                *to = *from;
            }
            sum = (sum ^ u64::from_be_bytes(bytes)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            sum = sum.rotate_left(29);
        }
        at += count;
    }
    Ok(sum)
}
