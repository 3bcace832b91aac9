//! Selects the segments that are read by their account: those whose index gives fewer
//! records than their bytes hold.

use super::facts::SegmentFacts;
use super::report::{SegmentReport, TailDecision};
use super::tail::Tail;
use crate::log::directory::Directory;
use crate::log::error::Result;
use crate::log::format::ENTRY_BYTES;
use crate::log::record::Codec;
use crate::log::segment::Segment;
use crate::scan::account::{Account, Input};
use crate::scan::image;
use crate::scan::reading::{self, AsItIs};

/// The account of a pair; `None` where its files are as a clean commit leaves them, and
/// where there is more than is judged at once.
///
/// # Errors
///
/// Reading's.
pub(crate) fn of_pair(
    pair: &Segment,
    facts: &SegmentFacts,
    codec: Codec,
    tail: TailDecision,
) -> Result<Option<Account>> {
    if facts.is_clean() {
        return Ok(None);
    }
    if facts.damages.is_empty() && facts.tail().bytes == 0 && facts.dead_uncounted == 0 {
        // Nothing but what lies after the index's last entry, or between frames.
        return Ok(Some(Account::sound(
            facts.entries,
            facts.records,
            pair.store.file_bytes,
            pair.index.file_bytes != facts.entries * ENTRY_BYTES,
        )));
    }
    let sound = reading::sound_entries(&facts.damages, facts.entries);
    of_files(pair, true, (sound, codec), tail)
}

/// The account of a pair whose first entries are known to be right, or of a store alone.
///
/// # Errors
///
/// Reading's.
pub(crate) fn of_files(
    pair: &Segment,
    has_index: bool,
    (sound_entries, codec): (u64, Codec),
    tail: TailDecision,
) -> Result<Option<Account>> {
    let account = Account::of(&Input {
        index: Some(&pair.index).filter(|_| has_index),
        trust_tail: tail == TailDecision::Adopt,
        ..reading::input(pair, codec, sound_entries)
    })?;
    Ok(account.map(|account| decided(account, tail)))
}

/// The account of a store without an index that is nothing but frames, and what they are.
///
/// # Errors
///
/// Reading's.
pub(crate) fn of_frames_alone(
    store: &Segment,
    codec: Codec,
    tail: TailDecision,
) -> Result<Option<(Account, Tail)>> {
    let found = Account::of_frames_alone(&Input {
        index: None,
        ..reading::input(store, codec, 0)
    })?;
    Ok(found.map(|(account, last)| {
        let frames = Tail::of_frames(account.slots, last, store.store.file_bytes);
        (decided(account, tail), frames)
    }))
}

/// The account after a person's decision about the segment's end.
fn decided(account: Account, tail: TailDecision) -> Account {
    if tail == TailDecision::Drop {
        account.without_tail()
    } else {
        account
    }
}

/// Whether a segment is read by its account, not by the index as it is.
///
/// # Errors
///
/// Reading's.
pub(crate) fn is_read(
    account: &Account,
    pair: &Segment,
    facts: &SegmentFacts,
    codec: Codec,
) -> Result<bool> {
    let as_it_is = AsItIs {
        entries: facts.entries,
        records: facts.records,
        damages: &facts.damages,
    };
    Ok(as_it_is.hides(account) && !reading::is_read_as_it_is(pair, facts.entries, codec)?)
}

/// The segment with the index that its account gives; `None` if that is too large.
///
/// # Errors
///
/// Reading's.
pub(crate) fn by_account(
    account: &Account,
    pair: &Segment,
    has_index: bool,
) -> Result<Option<Segment>> {
    let index = Some(&pair.index).filter(|_| has_index);
    let read = image::of_account(account, &pair.store, index, pair.index.path())?;
    Ok(read.map(|index| Segment {
        index,
        entries: None,
        ..pair.clone()
    }))
}

impl SegmentReport {
    /// Opens the segment as its facts were found: no longer than it was, and by the index
    /// that it should have where its own is not read.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`].
    pub fn open(&self, directory: &Directory) -> Result<Segment> {
        let names = &self.listing.names;
        let mut pair = if self.listing.index.is_some() || !self.by_account {
            Segment::open(directory, names)?
        } else {
            Segment::without_index(directory, names)?
        };
        let Some(facts) = &self.facts else {
            return Ok(pair);
        };
        pair.store.file_bytes = pair.store.file_bytes.min(facts.store_bytes);
        if let Some(read) = self.by_own_account(&pair)? {
            return Ok(read);
        }
        pair.index.file_bytes = pair.index.file_bytes.min(facts.index_bytes);
        Ok(pair)
    }

    /// The segment with the index that its account gives, where it is read by that.
    ///
    /// # Errors
    ///
    /// Reading's.
    pub(crate) fn by_own_account(&self, pair: &Segment) -> Result<Option<Segment>> {
        match &self.account {
            Some(account) if self.by_account => {
                by_account(account, pair, self.listing.index.is_some())
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::inspect::tail::{self, TailStart};
    use crate::log::error::Error;
    use crate::log::record::Record;
    use crate::log::units::{Offset, Position};
    use crate::scan::image::Image;

    fn store(base: u64, payloads: &[Vec<u8>], rest: &[u8]) -> Segment {
        let mut image = Image::new(Path::new("0.store")).unwrap();
        for payload in payloads {
            let length = u64::try_from(payload.len()).unwrap().to_be_bytes();
            image.put(image.bytes, &length).unwrap();
            image.put(image.bytes, payload).unwrap();
        }
        image.put(image.bytes, rest).unwrap();
        Segment::of_store(Offset(base), image.read().unwrap(), None)
    }

    #[test]
    fn a_store_of_frames_alone_is_told_as_its_tail_and_its_account_are() {
        let raw = [b"a".to_vec(), Vec::new(), vec![0; 9000], b"last".to_vec()];
        let records = |base: u64| -> Vec<Vec<u8>> {
            let values = [&b""[..], b"b", &[0; 9000], b""];
            let record = |(offset, value): (u64, &[u8])| Record {
                value: value.to_vec(),
                offset: Offset(offset),
                ..Record::default()
            };
            let records = (base..).zip(values).map(record);
            records.map(|record| record.encode()).collect()
        };
        let (zero, seven) = (records(0), records(7));
        for (codec, base, payloads) in [
            (Codec::Raw, 0, &raw[..]),
            (Codec::Raw, 7, &raw[..1]),
            (Codec::Protobuf, 0, &zero[..]),
            (Codec::Protobuf, 7, &seven[..]),
        ] {
            let pair = store(base, payloads, b"");
            let leave = TailDecision::Leave;
            let (account, told) = of_frames_alone(&pair, codec, leave).unwrap().unwrap();
            let start = TailStart {
                base: pair.base,
                slot: 0,
                position: Position(0),
            };
            let looked = tail::look(&pair.store, codec, start, |_| Ok::<_, Error>(())).unwrap();
            assert_eq!(told, looked, "{codec:?} {base}");
            let whole = of_files(&pair, false, (0, codec), leave).unwrap();
            assert_eq!(Some(account), whole, "{codec:?} {base}");
            for rest in [&[0; 8][..], &[0; 3], b"\0\0\0\0\0\0\0\x09torn", &[0xff]] {
                let pair = store(base, payloads, rest);
                let found = of_frames_alone(&pair, codec, leave).unwrap();
                assert_eq!(found, None, "{codec:?} {base} {rest:?}");
            }
        }
    }
}
