//! Logs as the tests see them: through the kit's oracle, through the product's
//! reader, through the model of the Go service.

use std::ops::ControlFlow;
use std::path::Path;

use proglog::inspect::finding::OffsetRange;
use proglog::inspect::report::{Options, Report};
use proglog::inspect::service::{DirFacts, Edition, Held, Outcome, ServiceConfig, model};
use proglog::log::config::Limits;
use proglog::log::dir::Dir;
use proglog::log::directory::Directory;
use proglog::log::error::Error;
use proglog::log::reader::{Item, LogReader};
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog_testkit::whole_records;

/// A record's offset and value.
pub type Numbered = (u64, Vec<u8>);

/// What the oracle reads.
pub fn whole(log: &Path, codec: Codec) -> Vec<Numbered> {
    whole_records(
        log,
        match codec {
            Codec::Raw => proglog_testkit::Codec::Raw,
            Codec::Protobuf => proglog_testkit::Codec::Protobuf,
        },
    )
}

/// What the product's reader reads.
pub fn read_all(log: &Path, codec: Codec) -> Result<Vec<Numbered>, Error> {
    let mut reader = LogReader::open(log)?;
    reader.set_codec(codec);
    let (from, to) = (reader.lowest_offset(), reader.next_offset()?);
    let mut records = Vec::new();
    let _ = reader.read(from, to, |item| {
        if let Item::Record(record) = item {
            let mut value = Vec::new();
            record.value.pieces(|piece| {
                value.extend_from_slice(piece);
                Ok::<(), Error>(())
            })?;
            records.push((record.offset.0, value));
        }
        Ok::<_, Error>(ControlFlow::Continue(()))
    })?;
    Ok(records)
}

/// A whole look, in one thread: the jobs are many already.
pub fn report(log: &Path, codec: Option<Codec>) -> Result<Report, Error> {
    let options = Options {
        threads: 1,
        codec,
        ..Options::default()
    };
    Report::of(log, &options)
}

/// Whether every name is a segment's, and no more than one file is without its twin.
pub fn names_are_legal(log: &Path) -> Result<(), String> {
    let directory = Directory::list(log).map_err(|error| error.to_string())?;
    if let Some(name) = directory.strays.first() {
        return Err(format!("a name that is no segment's: {}", name.display()));
    }
    let unpaired = directory
        .segments
        .iter()
        .filter(|names| !names.is_pair())
        .count();
    if unpaired > 1 || !directory.duplicates.is_empty() || !directory.zero_padded.is_empty() {
        return Err(format!("{unpaired} files without a twin: {directory:?}"));
    }
    Ok(())
}

/// Whether the Go service would serve all of `records` from this directory and go on
/// behind them. A full index at the end, which a crash before a roll leaves, it
/// refuses by itself: so it is given room.
pub fn service_agrees(log: &Path, records: &[Numbered], limits: Limits) -> Result<(), String> {
    let directory = Directory::list(log).map_err(|error| error.to_string())?;
    let bases: Vec<u64> = directory
        .segments
        .iter()
        .map(|names| names.base.0)
        .collect();
    let held: Vec<Held> = bases
        .iter()
        .enumerate()
        .filter_map(|(at, base)| {
            let end = bases.get(at + 1).copied().unwrap_or(u64::MAX);
            let mine = records.iter().map(|(offset, _)| *offset);
            let mine: Vec<u64> = mine
                .filter(|offset| offset >= base && *offset < end)
                .collect();
            Some(Held {
                base: Offset(*base),
                range: OffsetRange {
                    first: Offset(*mine.first()?),
                    last: Offset(*mine.last()?),
                },
                plain_names: true,
            })
        })
        .collect();
    for edition in [Edition::First, Edition::Later] {
        let config = ServiceConfig {
            edition,
            max_store_bytes: limits.max_store_bytes,
            max_index_bytes: (limits.max_index_bytes / 12 + 2) * 12,
            initial_offset: Offset(bases.first().copied().unwrap_or(0)),
        };
        let view = model(DirFacts::of(&Dir::open(log).unwrap()), &config, &held)
            .map_err(|error| error.to_string())?;
        let next = records
            .last()
            .map_or(config.initial_offset.0, |(offset, _)| offset + 1);
        let works = view.next_append().map(|append| append.outcome.clone());
        if view.failure.is_some()
            || !view.hidden.is_empty()
            || !view.doubles.is_empty()
            || view.visible_records != records.len() as u64
            || works
                != Some(Outcome::Works {
                    offset: Offset(next),
                })
        {
            return Err(format!("the service ({edition:?}) disagrees: {view:?}"));
        }
    }
    Ok(())
}
