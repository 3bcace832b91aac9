//! The cost model: what each fault of an account costs, in bits.
//!
//! A cost is roughly minus the logarithm of the probability that an intact log comes to
//! look so; only the order of magnitude matters. One cause is one fault: a destroyed
//! stretch of a store costs [`FAULT`] however long it is, up to a small charge for its
//! length that prefers the shorter of two stretches. Evidence is a negative cost: bytes
//! that chance rarely produces. Of all paths through the store the cheapest is taken.
//!
//! | what | cost |
//! |---|---|
//! | a gap: a stretch of the store that holds no frame | [`FAULT`] + its bytes x [`PER_BYTE`] |
//! | ... whose first length is one flipped bit away from leading to its end | + [`ONE_BIT`] |
//! | ... any other | + [`UNEXPLAINED`] |
//! | a torn frame at the store's end; zeros at its end | [`TORN`]; [`ZEROS`] |
//! | ... a torn frame in front of intact frames that reach the end | + [`FAULT`] |
//! | a frame that leads to a frame, to a named place or to the end | - [`LINK`] |
//! | a frame that leads nowhere; an empty one | - [`LONE`]; 0 |
//! | an entry names the start of a frame or of a gap | - [`NAMED`] |
//! | the record carries an offset of this segment | - [`CARRIED`] |
//! | an entry names an intact frame inside the frame | + [`INSIDE`] |
//!
//! Entries of a raw log that are displaced, all by the same number of bytes, are one fault too
//! (`displaced`): the sizes of their frames must be worth [`DISPLACED`]; [`DISPLACED_LAST`] if
//! they lead from the last frame back, and nothing if they lead to the first one that is
//! displaced.

/// One cause of damage.
pub const FAULT: f64 = 64.0;
/// A byte of a gap.
pub const PER_BYTE: f64 = 1.0 / 4096.0;
/// A gap that one flipped bit of a length explains.
pub const ONE_BIT: f64 = 4.0;
/// A gap that it does not.
pub const UNEXPLAINED: f64 = 16.0;
/// A frame that an interrupted append left at the end of the store.
pub const TORN: f64 = 16.0;
/// Zeros at the end of the store.
pub const ZEROS: f64 = 8.0;
/// The eight bytes of a length that leads to another frame, or to the end.
pub const LINK: f64 = 24.0;
/// The eight bytes of a length that leads nowhere.
pub const LONE: f64 = 4.0;
/// The twelve bytes of an entry.
pub const NAMED: f64 = 40.0;
/// An offset of this segment in a canonical record.
pub const CARRIED: f64 = 40.0;
/// A named frame that another frame would swallow.
pub const INSIDE: f64 = 40.0;
/// Sizes of frames that are those of displaced entries, beyond what chance finds among all of
/// them.
pub const DISPLACED: f64 = 16.0;
/// The same where the last frame is that of the last entry.
pub const DISPLACED_LAST: f64 = 12.0;
/// An empty payload in a protobuf log, which only offset 0 has.
pub const EMPTY_RECORD: f64 = 9.0;
/// The part of a frame's gain that it keeps in a protobuf log without an offset.
pub const NO_OFFSET: f64 = 1.0 / 3.0;

/// A torn frame is at most twice the largest frame of the segment or this long, and so is
/// the length that it claims. Units: bytes.
pub const TORN_BYTES: u64 = 64 * 1024;
/// Empty records of a raw log in a row that no entry names, up to which they count.
pub const EMPTY_ROW: u64 = 16;
/// Ends of frames, before the cheapest one, at which a gap may begin.
pub const OPEN_PLACES: usize = 16;
