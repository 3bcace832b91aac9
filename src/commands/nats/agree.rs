//! Whether a log and a stream hold the same records: compares the numbering of the
//! stream, the name of the log, and the records at both ends of the common range.

use std::ops::Range;

use proglog::inspect::finding::OffsetRange;
use proglog::log::record::Codec;
use proglog::log::units::Offset;

use super::message::Stamp;
use super::source::Source;
use super::stream::Stream;
use super::{Trouble, no};
use crate::commands::{Failure, Status, quote};
use crate::render::prose;

/// Which offsets a stream holds.
#[derive(Debug, Clone)]
pub struct Chart {
    /// The offset of sequence 1.
    pub base: Offset,
    /// The offset of the first message that it holds.
    pub first: Offset,
    /// The offset of the last one.
    pub last: Offset,
    /// The log's name.
    pub log: String,
    /// The log's codec.
    pub codec: Codec,
}

/// The sequence of an offset in a stream that begins with `base`.
pub fn sequence(base: Offset, offset: Offset) -> u64 {
    offset.since(base).saturating_add(1)
}

/// Reads the stream's numbering off its first and its last message; `None` if it never
/// got one.
pub async fn chart(stream: &Stream) -> Result<Option<Chart>, Trouble> {
    let (name, state) = (stream.name(), stream.state());
    let ends = (state.first_sequence, state.last_sequence);
    if ends.1 == 0 {
        return Ok(None);
    }
    if state.messages == 0 {
        return Err(no(format!(
            "stream {name} has dropped all its messages, the last was {}: which log it held is \
             unknown",
            ends.1
        )));
    }
    let stamp = async |sequence: u64| match stream.get(sequence).await? {
        Some((stamp, _)) => Ok(stamp),
        // Removed at the front since, or its leader is behind: ask again.
        None => Err(Trouble::Passing(format!(
            "stream {name} does not return message {sequence}"
        ))),
    };
    let first = stamp(ends.0).await?;
    if let Some(missing) = stream.hole().await? {
        let offset = first.offset.saturating_add(missing.saturating_sub(ends.0));
        return Err(hole(name, missing, offset, offset));
    }
    let last = stamp(ends.1).await?;
    // Offset - sequence + 1 is one number for the whole stream.
    let base = |stamp: &Stamp, sequence: u64| stamp.offset.0.checked_sub(sequence.checked_sub(1)?);
    let Some(base) = base(&last, ends.1).filter(|it| base(&first, ends.0) == Some(*it)) else {
        return Err(no(format!(
            "stream {name} is not a log: message {} is offset {}, and message {} offset {}",
            ends.0, first.offset, ends.1, last.offset
        )));
    };
    if first.log != last.log {
        return Err(no(format!(
            "stream {name} holds two logs: message {} is of {}, message {} of {}",
            ends.0, first.log, ends.1, last.log
        )));
    }
    Ok(Some(Chart {
        base: Offset(base),
        first: first.offset,
        last: last.offset,
        log: last.log,
        codec: last.codec,
    }))
}

/// A stream that lacks a message which it got.
pub fn hole(name: &str, sequence: u64, first: Offset, last: Offset) -> Trouble {
    let message = format!(
        "stream {name} has a gap: message {sequence} is missing, {}",
        prose::offsets(&[OffsetRange { first, last }])
    );
    Failure::new(Status::Damage, message).into()
}

/// Compares the log with the stream at both ends of the common range, and by the name of
/// the log. Returns whether anything could be compared.
pub async fn compare(
    stream: &Stream,
    chart: &Chart,
    source: Source<'_>,
    log_has: &Range<Offset>,
) -> Result<bool, Trouble> {
    let (name, log) = (stream.name(), quote(source.path));
    let is_there = log_has.contains(&chart.base);
    let named = is_there.then(|| source.name(chart.base));
    let named = named.transpose()?.flatten();
    if named.as_ref().is_some_and(|name| *name != chart.log) {
        return Err(no(format!(
            "stream {name} holds another log than {log}: it begins with another record at offset {}",
            chart.base
        )));
    }
    let first = chart.first.max(log_has.start);
    let last = chart.last.0.min(log_has.end.0.saturating_sub(1));
    if log_has.is_empty() || first.0 > last {
        return Ok(named.is_some());
    }
    let differs = async |offset: u64| {
        let (offset, sequence) = (Offset(offset), sequence(chart.base, Offset(offset)));
        let Some((stamp, message)) = stream.get(sequence).await? else {
            return Ok(false);
        };
        if stamp.offset != offset {
            return Err(no(format!(
                "message {sequence} of stream {name} is offset {}, not {offset}",
                stamp.offset
            )));
        }
        let record = source.record(offset)?;
        let same = record.is_some_and(|record| {
            (record.term, record.record_type) == (stamp.term, stamp.record_type)
                && record.value == message.payload
        });
        Ok(stamp.log != chart.log || !same)
    };
    // Two histories are one up to where they part.
    let (mut same, mut other) = (first.0, first.0);
    if !differs(first.0).await? {
        if !differs(last).await? {
            return Ok(true);
        }
        other = last;
    }
    while same + 1 < other {
        let middle = same + (other - same) / 2;
        if differs(middle).await? {
            other = middle;
        } else {
            same = middle;
        }
    }
    Err(no(format!(
        "{log} and stream {name} have diverged: they differ from offset {other} on (message {})",
        sequence(chart.base, Offset(other))
    )))
}
