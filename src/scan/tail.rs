//! The end of a store: what may be cut there, and what only a person can decide about.

use super::bytes::Bytes;
use super::cost::TORN_BYTES;
use super::evidence::Evidence;
use super::frames::{Doubt, State};
use super::path::Kind;
use crate::log::error::Result;
use crate::log::format::LENGTH_BYTES;
use crate::log::record::Codec;

/// Where the store may be cut: after it are only zeros, a torn frame, and frames that
/// were refused for certain.
pub(super) fn cut(store: &mut Bytes, evidence: &Evidence, doubts: &mut Vec<Doubt>) -> Result<u64> {
    let size = store.size;
    let segment = &evidence.segment;
    let mut end = size;
    let frames = &evidence.frames;
    let at = |start: u64| {
        let at = frames
            .binary_search_by_key(&start, |frame| frame.start)
            .ok()?;
        frames.get(at)
    };
    let ends_at = |end: u64| frames.iter().rev().find(|frame| frame.end == end);
    for piece in evidence.path.iter().rev() {
        let frame = at(piece.start);
        if piece.kind != Kind::Frame && frame.is_some() {
            // A record whose length alone is wrong.
            break;
        }
        match piece.kind {
            Kind::Zeros => {
                let before = ends_at(piece.start);
                if before.is_some_and(|frame| frame.state == State::Zeros) {
                    doubts.push(Doubt::ZerosOrRecord);
                    break;
                }
                let numbered = before.is_some_and(|frame| frame.slot.is_some());
                if segment.codec == Codec::Raw && piece.start > segment.from && !numbered {
                    break;
                }
            }
            Kind::Torn => {
                // A service may have gone on after it, and lost its entries since.
                let surely = segment.surely_torn(piece.start)
                    && !evidence
                        .table
                        .any_chain_to_the_end(store, piece.start + 1)?;
                // An entry after it shows that its frame was complete once.
                let named = segment.named.last();
                if named.is_some_and(|it| it.0 > piece.start) {
                    doubts.push(Doubt::HoldsFrames);
                    break;
                }
                // Nothing leads to it or was durable before it: it may be no frame at all.
                let is_all = piece.start == 0 && !segment.padded;
                if is_all && evidence.table.any_filled(LENGTH_BYTES) {
                    doubts.push(Doubt::HoldsFrames);
                    break;
                }
                // The zeros before it may be the beginning of a length.
                let zeros = ends_at(piece.start).filter(|frame| frame.is_empty());
                let inside = zeros.map_or(piece.start, |frame| frame.start) + 1;
                if !surely && evidence.table.any_frames(inside, size) {
                    doubts.push(Doubt::HoldsFrames);
                    break;
                }
                let bytes = piece.end - piece.start;
                let limit = (2 * segment.largest).max(TORN_BYTES);
                let in_one_commit = segment.is_within_commit(piece.start, bytes);
                if bytes > limit && !in_one_commit && !segment.is_named(piece.start) {
                    doubts.push(Doubt::LongRemainder);
                    break;
                }
            }
            Kind::Frame if frame.is_some_and(|frame| frame.state == State::Refused) => {}
            Kind::Gap if piece.end == end && end < size => {
                let zeros = store.nonzero_end(piece.end)? <= piece.start;
                let claimed = store.length(piece.start)?.unwrap_or(0).saturating_add(8);
                let torn = piece.end - piece.start < claimed && claimed <= TORN_BYTES;
                if !zeros && !torn {
                    break;
                }
            }
            Kind::Gap => {
                if piece.end == size {
                    doubts.push(Doubt::HoldsFrames);
                }
                break;
            }
            Kind::Frame | Kind::Row => break,
        }
        end = piece.start;
    }
    Ok(end)
}
