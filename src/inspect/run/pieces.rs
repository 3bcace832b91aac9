//! A long run followed by several threads, piece by piece. Each piece is begun where a
//! frame seems to stand; when all before it is known and the run did not followed by there,
//! it is followed again from where the run did. So what is handed on is sure.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::{Mark, Run, Until, follow};
use crate::inspect::tail::TailStart;
use crate::log::error::{Error, Result};
use crate::log::format::{LENGTH_BYTES, frame_end};
use crate::log::record::{Codec, layout_of};
use crate::log::threads;
use crate::log::units::Position;
use crate::log::window::{LOOKUP_BYTES, ReadFile, STREAM_BYTES, Window};

/// Bytes of a piece: much against what it costs to begin one, and little against what
/// the places of its frames take in memory.
const PIECE_BYTES: u32 = 4 * 1024 * 1024;

/// Threads beyond which the memory for such places would be too much.
const THREADS_MAX: usize = 8;

/// Bytes in which the beginning of a piece is looked for.
const SEARCH_BYTES: u64 = 1024 * 1024;

/// The largest frame that a piece may begin with, for a search must not read much.
const FIRST_FRAME_BYTES: u64 = 256 * 1024;

/// Places at which a piece is tried to begin, at most.
const TRIES: u32 = 256;

/// Frames that must follow a place at which a piece begins.
const SEEN_FRAMES: u64 = 8;

/// Takes the frames of a run while it is followed.
pub trait FrameSink: Sync {
    /// Frames one behind the other, of which the first has the slot `first_slot`; each
    /// begins as many bytes behind `from` as `starts` says. Called by several threads,
    /// for each slot once, in any order.
    fn take(&self, first_slot: u64, from: Position, starts: &[u32]);

    /// At the end, if the run stands: all frames before this place surely continue the
    /// sequence. One more may have been taken.
    fn end(&self, next: Mark);
}

/// How a run is divided.
#[derive(Clone, Copy)]
pub struct Pieces<'a> {
    /// Threads to use.
    pub threads: usize,
    /// Bytes of the store in one piece.
    pub piece_bytes: u32,
    /// What takes the frames.
    pub sink: Option<&'a dyn FrameSink>,
}

impl<'a> Pieces<'a> {
    /// For so many threads.
    #[must_use]
    pub fn of(threads: usize, sink: Option<&'a dyn FrameSink>) -> Self {
        Self {
            threads,
            piece_bytes: PIECE_BYTES,
            sink,
        }
    }

    /// Whether a store of so many bytes may be divided.
    #[must_use]
    pub fn are_several(store_bytes: u64) -> bool {
        store_bytes > u64::from(PIECE_BYTES)
    }
}

/// Follows the run that begins at `start`, whose frames begin before `stop`. `None`
/// where that is not worth being divided. Whoever keeps the run ends the sink.
///
/// # Errors
///
/// Reading's.
pub fn in_pieces(
    store: &ReadFile,
    codec: Codec,
    start: TailStart,
    stop: u64,
    pieces: Pieces<'_>,
) -> Result<Option<Run>> {
    let bytes = stop.saturating_sub(start.position.0);
    let count = bytes.div_ceil(u64::from(pieces.piece_bytes.max(1)));
    let threads = (pieces.threads as u64).min(count).min(THREADS_MAX as u64);
    if count < 2 || (threads < 2 && pieces.sink.is_none()) {
        return Ok(None);
    }
    let work = Work {
        store,
        codec,
        start,
        stop,
        pieces,
        count,
        next: AtomicU64::new(0),
        followed: Mutex::new(Followed {
            pieces: 0,
            run: Run::none_at(start.position),
            ended: None,
        }),
        went_on: Condvar::new(),
    };
    let threads = usize::try_from(threads).unwrap_or(1);
    threads::together(threads, || work.follow_pieces());
    let followed = work.followed.into_inner();
    let followed = followed.unwrap_or_else(PoisonError::into_inner);
    followed.ended.unwrap_or(Ok(()))?;
    Ok(Some(followed.run))
}

/// A run that is being followed.
struct Work<'a> {
    store: &'a ReadFile,
    codec: Codec,
    start: TailStart,
    stop: u64,
    pieces: Pieces<'a>,
    count: u64,
    /// The piece that nobody has begun.
    next: AtomicU64,
    followed: Mutex<Followed>,
    /// Told whenever that changes.
    went_on: Condvar,
}

/// How far the run is known.
struct Followed {
    /// All pieces before this one.
    pieces: u64,
    run: Run,
    /// Set where it ends before the last piece does, or cannot be read.
    ended: Option<Result<()>>,
}

/// A place where a run seems to begin, and the offset that its first frame carries
/// (protobuf).
#[derive(Debug, Clone, Copy)]
struct Begin {
    from: Position,
    carried: Option<u64>,
}

/// Ends the waiting of all others if a thread is lost.
struct Lost<'w, 'a>(&'w Work<'a>);

impl Drop for Lost<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().ended = Some(Ok(()));
            self.0.went_on.notify_all();
        }
    }
}

impl Work<'_> {
    fn lock(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all before a piece is known; `None` once the run has ended.
    fn wait_for(&self, piece: u64) -> Option<MutexGuard<'_, Followed>> {
        let followed = self.went_on.wait_while(self.lock(), |followed| {
            followed.ended.is_none() && followed.pieces < piece
        });
        let followed = followed.unwrap_or_else(PoisonError::into_inner);
        followed.ended.is_none().then_some(followed)
    }

    /// Follows piece after piece until none is left.
    fn follow_pieces(&self) {
        let _lost = Lost(self);
        let window = |read_bytes| Window::new(self.store.clone(), read_bytes);
        let (mut search, mut window) = (window(LOOKUP_BYTES), window(STREAM_BYTES));
        let mut starts = Vec::new();
        loop {
            let piece = self.next.fetch_add(1, Ordering::Relaxed);
            if piece >= self.count {
                return;
            }
            let piece_bytes = u64::from(self.pieces.piece_bytes);
            let from = self.start.position.0 + piece * piece_bytes;
            let stop = from.saturating_add(piece_bytes).min(self.stop);
            let guess = self.known(piece).or_else(|| {
                // What goes wrong on a guess says nothing.
                let guess = begin(&mut search, &mut window, self.codec, from, stop);
                guess.ok().flatten()
            });
            let guess = guess.and_then(|begin| {
                let run = self.follow(&mut window, begin, stop, &mut starts);
                Some((begin, run.ok()?))
            });
            let Some(mut followed) = self.wait_for(piece) else {
                return;
            };
            let known = self.begin_at(followed.run.end, followed.run.frames);
            let right = |begin: Begin| {
                let carries_on = self.codec == Codec::Raw || begin.carried == known.carried;
                begin.from == known.from && carries_on
            };
            let run = match guess {
                Some((begin, run)) if right(begin) => Ok(run),
                _ => self.follow(&mut window, known, stop, &mut starts),
            };
            let first_slot = self.start.slot.saturating_add(followed.run.frames);
            match run {
                Ok(run) => {
                    followed.run = followed.run.and(run);
                    // A frame may reach beyond its piece.
                    followed.ended = (followed.run.end.0 < stop).then_some(Ok(()));
                }
                Err(error) => {
                    starts.clear();
                    followed.ended = Some(Err(error));
                }
            }
            followed.pieces += 1;
            drop(followed);
            self.went_on.notify_all();
            if let Some(sink) = self.pieces.sink {
                sink.take(first_slot, known.from, &starts);
            }
        }
    }

    /// Where the run goes on, if a piece is the next one to be known.
    fn known(&self, piece: u64) -> Option<Begin> {
        let followed = self.lock();
        let run = followed.run;
        (followed.pieces == piece).then(|| self.begin_at(run.end, run.frames))
    }

    /// The place at which the run goes on behind `frames` frames.
    fn begin_at(&self, from: Position, frames: u64) -> Begin {
        let slot = self.start.slot.checked_add(frames);
        Begin {
            from,
            carried: slot.and_then(|slot| self.start.base.0.checked_add(slot)),
        }
    }

    /// Follows one piece; `starts` gets where its frames begin, if somebody wants that.
    fn follow(
        &self,
        window: &mut Window,
        Begin { from, carried }: Begin,
        stop: u64,
        starts: &mut Vec<u32>,
    ) -> Result<Run> {
        starts.clear();
        let until = Until {
            stop,
            frames: u64::MAX,
        };
        if self.pieces.sink.is_none() {
            return follow(window, self.codec, from, carried, until, |_, _| Ok(()));
        }
        follow(window, self.codec, from, carried, until, |position, _| {
            #[expect(clippy::cast_possible_truncation, reason = "within one piece")]
            starts.push((position.0 - from.0) as u32);
            Ok(())
        })
    }
}

/// The first place from `from` on at which several frames stand one behind the other.
/// A guess: a value may hold what looks like frames.
fn begin(
    search: &mut Window,
    beyond: &mut Window,
    codec: Codec,
    from: u64,
    stop: u64,
) -> Result<Option<Begin>> {
    let mut tries = TRIES;
    let end = from.saturating_add(SEARCH_BYTES).min(stop);
    for at in from..end {
        if at.saturating_add(LENGTH_BYTES) > search.file_bytes() {
            break;
        }
        let payload_bytes = search.length_at(at)?;
        if payload_bytes == 0 || payload_bytes > FIRST_FRAME_BYTES {
            continue;
        }
        tries -= 1;
        let carried = match codec {
            Codec::Raw => None,
            Codec::Protobuf => carried_at(beyond, at, payload_bytes)?,
        };
        let until = Until {
            stop,
            frames: SEEN_FRAMES,
        };
        let from = Position(at);
        let run = follow::<Error>(beyond, codec, from, carried, until, |_, _| Ok(()))?;
        if run.frames == SEEN_FRAMES || (run.frames > 0 && run.end.0 >= stop) {
            return Ok(Some(Begin { from, carried }));
        }
        if tries == 0 {
            break;
        }
    }
    Ok(None)
}

/// The offset that the record in a frame of a protobuf log carries, if one is there.
fn carried_at(window: &mut Window, frame: u64, payload_bytes: u64) -> Result<Option<u64>> {
    let there = frame_end(Position(frame), payload_bytes, window.file_bytes());
    let (Some(_), Ok(count)) = (there, usize::try_from(payload_bytes)) else {
        return Ok(None);
    };
    let payload = window.bytes(frame + LENGTH_BYTES, count)?;
    Ok(layout_of(payload).ok().map(|layout| layout.offset))
}
