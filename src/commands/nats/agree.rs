//! Whether a log and a stream hold the same records: compares the numbering of the
//! stream, the name of the log, and the records at both ends of the common range.

use proglog::log::record::Codec;
use proglog::log::units::Offset;

use super::link::Link;
use super::message::{LogId, Stamp};
use super::source::{Bounds, Likeness, Source};
use super::stream::Stream;
use super::{Trouble, no};
use crate::commands::{Failure, Status, quote};

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
    pub log: LogId,
    /// The log's codec.
    pub codec: Codec,
}

impl Chart {
    /// The sequence of an offset that the stream has got or will get.
    pub fn sequence(&self, offset: Offset) -> u64 {
        sequence(self.base, offset)
    }
}

/// The sequence of an offset in a stream that begins with `base`.
pub fn sequence(base: Offset, offset: Offset) -> u64 {
    offset.since(base).saturating_add(1)
}

/// Reads the stream's numbering off its first and its last message; `None` if it never
/// got one.
pub async fn chart(link: &Link, stream: &Stream) -> Result<Option<Chart>, Trouble> {
    if stream.is_new() {
        return Ok(None);
    }
    let name = stream.name();
    if stream.messages == 0 {
        return Err(no(format!(
            "stream {name} has dropped all its messages, the last was {}: which log it held is \
             unknown",
            stream.last
        )));
    }
    let first = stamp(link, stream, stream.first).await?;
    if let Some(missing) = stream.hole(link).await? {
        let offset = first
            .offset
            .saturating_add(missing.saturating_sub(stream.first));
        return Err(hole(name, missing, offset, None));
    }
    let last = stamp(link, stream, stream.last).await?;
    // Offset - sequence + 1 is one number for the whole stream.
    let base = |stamp: &Stamp, sequence: u64| {
        let before = sequence.checked_sub(1)?;
        stamp.offset.0.checked_sub(before).map(Offset)
    };
    let base = base(&last, stream.last).filter(|it| base(&first, stream.first) == Some(*it));
    let Some(base) = base else {
        return Err(no(format!(
            "stream {name} is not a log: message {} is offset {}, and message {} offset {}",
            stream.first, first.offset, stream.last, last.offset
        )));
    };
    if first.log != last.log {
        return Err(no(format!(
            "stream {name} holds two logs: message {} is of {}, message {} of {}",
            stream.first, first.log, stream.last, last.log
        )));
    }
    Ok(Some(Chart {
        base,
        first: first.offset,
        last: last.offset,
        log: last.log,
        codec: last.codec,
    }))
}

/// A stream that lacks a message which it got.
pub fn hole(name: &str, sequence: u64, first: Offset, last: Option<Offset>) -> Trouble {
    let offsets = match last {
        Some(last) if last > first => format!("offsets {first}..{last}"),
        _ => format!("offset {first}"),
    };
    Failure::new(
        Status::Damage,
        format!("stream {name} has a gap: message {sequence} is missing, {offsets}"),
    )
    .into()
}

async fn stamp(link: &Link, stream: &Stream, sequence: u64) -> Result<Stamp, Trouble> {
    match stream.get(link, sequence).await? {
        Some(message) => Stamp::of(Some(&message.headers), sequence),
        // Removed at the front since, or its leader is behind: ask again.
        None => Err(Trouble::Passing(format!(
            "stream {} does not return message {sequence}",
            stream.name()
        ))),
    }
}

/// Compares the log with the stream at both ends of the common range, and by the name of
/// the log. Returns whether anything could be compared.
pub async fn compare(
    link: &Link,
    stream: &Stream,
    chart: &Chart,
    source: &Source,
    bounds: Bounds,
) -> Result<bool, Trouble> {
    let log = quote(source.path());
    let named = if bounds.hold(chart.base) {
        source.id(chart.base)?
    } else {
        None
    };
    if let Some(id) = &named
        && *id != chart.log
    {
        return Err(no(format!(
            "stream {} holds another log than {log}: it begins with another record at offset {}",
            stream.name(),
            chart.base
        )));
    }
    let first = chart.first.max(bounds.lowest);
    let Some(last) = bounds
        .next
        .0
        .checked_sub(1)
        .map(|last| chart.last.min(Offset(last)))
    else {
        return Ok(named.is_some());
    };
    if bounds.is_empty() || first > last {
        return Ok(named.is_some());
    }
    let differ = |offset: Offset| async move {
        let sequence = chart.sequence(offset);
        let Some(message) = stream.get(link, sequence).await? else {
            return Ok::<_, Trouble>(false);
        };
        let stamp = Stamp::of(Some(&message.headers), sequence)?;
        if stamp.offset != offset {
            return Err(no(format!(
                "message {sequence} of stream {} is offset {}, not {offset}",
                stream.name(),
                stamp.offset
            )));
        }
        let likeness = source.compare(offset, (stamp.term, stamp.record_type), &message.payload)?;
        Ok(likeness != Likeness::Same || stamp.log != chart.log)
    };
    if differ(last).await? || differ(first).await? {
        // Two histories are one up to where they part.
        let (mut same, mut other) = (first.0, last.0);
        if differ(first).await? {
            other = first.0;
        }
        while same + 1 < other {
            let middle = same + (other - same) / 2;
            if differ(Offset(middle)).await? {
                other = middle;
            } else {
                same = middle;
            }
        }
        return Err(no(format!(
            "{log} and stream {} have diverged: they differ from offset {other} on (message {})",
            stream.name(),
            chart.sequence(Offset(other))
        )));
    }
    Ok(true)
}
