//! The quirks of the Go service, one by one, on constructed directories; this file has
//! the builder and the expectations.

mod answers;
mod any;
mod names;
mod plans;
mod rolls;
mod sizes;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::*;
use crate::log::format::{Entry, FileKind, encode_length, file_name};
use crate::log::units::{Position, RelativeOffset};

/// A directory in memory; `None` represents a directory under a name.
#[derive(Debug, Clone, Default)]
struct Made {
    files: BTreeMap<String, Option<Vec<u8>>>,
    /// Stores for which the disk reports errors.
    unreadable: bool,
}

impl Facts for Made {
    fn names(&mut self) -> io::Result<Vec<OsString>> {
        Ok(self.files.keys().map(OsString::from).collect())
    }

    fn file(&mut self, name: &str) -> io::Result<FileFact> {
        Ok(match self.files.get(name) {
            None => FileFact::Missing,
            Some(None) => FileFact::Directory,
            Some(Some(bytes)) => FileFact::Regular {
                bytes: bytes.len() as u64,
            },
        })
    }

    fn read_at(&mut self, name: &str, position: u64, into: &mut [u8]) -> io::Result<usize> {
        if self.unreadable && name.ends_with("store") {
            return Err(io::Error::other("EIO"));
        }
        let Some(Some(bytes)) = self.files.get(name) else {
            return Ok(0);
        };
        let from = usize::try_from(position)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let rest = &bytes[from..];
        let got = rest.len().min(into.len());
        into[..got].copy_from_slice(&rest[..got]);
        Ok(got)
    }
}

impl Made {
    fn file(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.to_owned(), Some(bytes.into()));
        self
    }

    fn directory(mut self, name: &str) -> Self {
        self.files.insert(name.to_owned(), None);
        self
    }

    /// A clean segment of `records` records.
    fn segment(self, base: u64, records: u64) -> Self {
        let (mut store, mut index) = (Vec::new(), Vec::new());
        for relative in 0..records {
            index.extend(entry(relative, store.len() as u64));
            store.extend(frame(base + relative));
        }
        let name = |kind| file_name(Offset(base), kind);
        self.file(&name(FileKind::Store), store)
            .file(&name(FileKind::Index), index)
    }

    /// Stretches or cuts a file.
    fn sized(mut self, name: &str, bytes: usize) -> Self {
        let file = self.files.get_mut(name).unwrap().as_mut().unwrap();
        file.resize(bytes, 0);
        self
    }
}

fn entry(relative: u64, position: u64) -> [u8; 12] {
    let relative = RelativeOffset(u32::try_from(relative).unwrap());
    let position = Position(position);
    Entry { relative, position }.encode()
}

fn frame(offset: u64) -> Vec<u8> {
    let payload = payload::sample(Offset(offset));
    let mut frame = encode_length(payload.len() as u64).to_vec();
    frame.extend(payload);
    frame
}

fn config(edition: Edition, max_index_bytes: u64) -> ServiceConfig {
    ServiceConfig {
        edition,
        max_store_bytes: 1 << 20,
        max_index_bytes,
        initial_offset: Offset(0),
    }
}

const FIRST: Edition = Edition::First;
const LATER: Edition = Edition::Later;

fn held(base: u64, first: u64, last: u64) -> Held {
    Held {
        base: Offset(base),
        range: span(first, last),
        plain_names: true,
    }
}

fn span(first: u64, last: u64) -> OffsetRange {
    let (first, last) = (Offset(first), Offset(last));
    OffsetRange { first, last }
}

fn view(made: &Made, config: &ServiceConfig, held: &[Held]) -> ServiceView {
    model(&mut made.clone(), config, held).unwrap()
}

fn loads(view: &ServiceView) -> Vec<(u64, u64)> {
    view.segments.iter().map(|s| (s.base.0, s.next.0)).collect()
}

fn outcomes(view: &ServiceView) -> Vec<Outcome> {
    view.appends.iter().map(|a| a.outcome.clone()).collect()
}

fn works(offset: u64) -> Outcome {
    let offset = Offset(offset);
    Outcome::Works { offset }
}

fn repeats(offset: u64) -> Outcome {
    let offset = Offset(offset);
    Outcome::Repeats { offset }
}

fn refused(offset: u64) -> Outcome {
    Outcome::Refused {
        offset: Offset(offset),
        error: "EOF",
    }
}

fn roll(base: u64, kind: RollKind) -> Roll {
    let base = Offset(base);
    let failure = None;
    Roll {
        base,
        kind,
        failure,
    }
}
