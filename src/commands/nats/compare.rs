//! Whether a log and a stream hold the same records, and where one continues with the
//! records of the other.

use std::cell::Cell;
use std::ops::Range;

use proglog::inspect::finding::OffsetRange;
use proglog::log::reader::Obstacle;
use proglog::log::record::Codec;
use proglog::log::units::Offset;

use super::headers::{Headers, named_by};
use super::source::Source;
use super::stream::Stream;
use super::{Trouble, no};
use crate::commands::{Failure, Status, quote};
use crate::render::prose;

/// Which offsets the messages of a stream have.
#[derive(Debug, Clone)]
pub struct OffsetMap {
    /// The offset of sequence 0, modulo 2^64.
    base: u64,
    /// From the first message that the stream holds to the last.
    pub held: Range<Offset>,
    /// The offset of the next message.
    pub next: Offset,
    /// The log's name; `None` until it has a record.
    pub log: Option<String>,
    /// The log's codec.
    pub codec: Codec,
}

impl OffsetMap {
    /// Maps a stream without messages: the next one has this offset.
    pub fn starting(next: Offset, stream: &Stream, source: Source<'_>) -> Result<Self, Trouble> {
        let base = next.0.wrapping_sub(stream.state().last_sequence + 1);
        let first = Offset(base.wrapping_add(1));
        let log = source.name(first)?;
        Ok(Self {
            base,
            held: next..next,
            next,
            log: log.map_or_else(|| source.name(next), |log| Ok(Some(log)))?,
            codec: source.codec()?,
        })
    }

    /// Reads the numbering of a stream from its first and its last message; `None` if it
    /// has no messages.
    pub async fn read(stream: &Stream) -> Result<Option<Self>, Trouble> {
        let Some(ends) = stream.ends() else {
            return Ok(None);
        };
        let name = stream.name();
        let headers = async |sequence: u64| match stream.get(sequence).await? {
            Some((headers, _)) => Ok(headers),
            // Removed since, or its leader is behind: ask again.
            None => Err(Trouble::Passing(format!(
                "stream {name} does not return message {sequence}"
            ))),
        };
        let (first, last) = (headers(ends.0).await?, headers(ends.1).await?);
        // Offset - sequence is one number for the whole stream.
        let base = |headers: &Headers, sequence: u64| headers.offset.0.wrapping_sub(sequence);
        let map = Self {
            base: base(&last, ends.1),
            held: first.offset..last.offset.saturating_add(1),
            next: (last.offset).saturating_add(stream.state().last_sequence - ends.1 + 1),
            log: Some(last.log.clone()),
            codec: last.codec,
        };
        if base(&first, ends.0) != map.base || first.log != last.log {
            return Err(no(format!(
                "stream {name} is not one log: message {} is offset {} of {}, message {} offset {} \
                 of {}",
                ends.0, first.offset, first.log, ends.1, last.offset, last.log
            )));
        }
        Ok(Some(map))
    }

    /// The sequence of an offset.
    pub fn sequence(&self, offset: Offset) -> u64 {
        offset.0.wrapping_sub(self.base)
    }

    /// The offset of a sequence.
    pub fn offset(&self, sequence: u64) -> Offset {
        Offset(self.base.wrapping_add(sequence))
    }
}

/// The error for a stream without a message that it had.
pub fn gap(name: &str, sequence: u64, offsets: OffsetRange) -> Failure {
    let offsets = prose::offsets(&[offsets]);
    let message = format!("stream {name} has a gap: message {sequence} is missing, {offsets}");
    Failure::new(Status::Damage, message)
}

/// Compares a log with a stream at both ends of the common range, and by the name of the
/// log. Returns whether anything could be compared.
pub async fn compare(
    stream: &Stream,
    map: &OffsetMap,
    source: Source<'_>,
    log_has: &Range<Offset>,
) -> Result<bool, Trouble> {
    let (name, log) = (stream.name(), quote(source.path));
    let compared = Cell::new(false);
    if let Some(origin) = map.log.as_deref().and_then(named_by)
        && let Some(named) = source.name(origin)?
    {
        compared.set(true);
        if map.log.as_ref() != Some(&named) {
            return Err(no(format!(
                "stream {name} holds another log than {log}, with another record at offset {origin}"
            )));
        }
    }
    let (first, end) = (
        map.held.start.max(log_has.start),
        map.held.end.min(log_has.end),
    );
    if end <= first {
        return Ok(compared.get());
    }
    // A message at an end may have been erased.
    let differs = async |offset: u64| {
        let offset = Offset(offset);
        let Some((headers, message)) = stream.get(map.sequence(offset)).await? else {
            return Ok::<_, Trouble>(false);
        };
        let Some(record) = source.record(offset)? else {
            let (first, last) = (offset, offset);
            return Err(source.obstructed(&Obstacle::Gap, OffsetRange { first, last }));
        };
        compared.set(true);
        let numbers = (headers.offset, headers.term, headers.record_type);
        Ok(map.log.as_ref() != Some(&headers.log)
            || numbers != (offset, record.term(), record.record_type())
            || record.value() != message.payload)
    };
    let last = end.0 - 1;
    let (mut same, mut other) = if differs(first.0).await? {
        (first.0, first.0)
    } else if differs(last).await? {
        (first.0, last)
    } else {
        return Ok(compared.get());
    };
    // Two histories are one up to where they part.
    while same + 1 < other {
        let middle = same.midpoint(other);
        if differs(middle).await? {
            other = middle;
        } else {
            same = middle;
        }
    }
    Err(no(format!(
        "{log} and stream {name} have diverged: they differ from offset {other} on (message {})",
        map.sequence(Offset(other))
    )))
}

/// Checks that one side continues with the records of the other. `compared` tells whether
/// they have something in common.
pub fn continues(
    (one, end): (&str, Offset),
    (other, its): (&str, &Range<Offset>),
    compared: bool,
) -> Result<(), Trouble> {
    Err(no(if end > its.end {
        format!(
            "{one} is ahead of {other}: its next offset is {end}, and that of {other} is {}",
            its.end
        )
    } else if end < its.start {
        format!(
            "{one} ends before offset {end}, and {other} begins with {}: the records between are \
             gone",
            its.start
        )
    } else if !compared {
        format!(
            "{one} and {other} have no record in common: cannot tell whether they are the same log"
        )
    } else {
        return Ok(());
    }))
}
