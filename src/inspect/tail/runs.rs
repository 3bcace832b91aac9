//! The usual tail: frame behind frame and nothing to judge. Followed here at the speed
//! of a walk, and by several threads where it is long; what ends a run is for `tail`.

use super::{Frame, Scan, Tail, TailFrame, TailStart, look_behind};
use crate::inspect::run::{self, Mark, Run, Until};
use crate::log::error::{Error, Result};
use crate::log::record::Codec;
use crate::log::units::Position;
use crate::log::window::ReadFile;

/// Looks as [`look`](super::look) does, with up to `threads` threads, each for `part_bytes` at least, which changes
/// nothing in what is found; and places at which the work can be divided again.
///
/// # Errors
///
/// Reading's; unreadable bytes count as torn.
pub fn look_in_parts(
    store: &ReadFile,
    codec: Codec,
    start: TailStart,
    threads: usize,
    part_bytes: u64,
) -> Result<(Tail, Vec<Mark>)> {
    let mut marks = Vec::new();
    let ahead = |stop| {
        let found = run::in_parts(store, codec, start, stop, threads, part_bytes)?;
        Ok(found.map(|(run, places)| {
            marks = places;
            run
        }))
    };
    let tail = look_behind::<Error>(store, codec, start, ahead, |_| Ok(()))?;
    Ok((tail, marks))
}

impl Scan {
    /// Follows the frames from `position` on of which nothing need be asked; the usual
    /// case, and the one that must be fast. Gives where the first other one begins.
    pub(super) fn run<E: From<Error>>(
        &mut self,
        position: u64,
        stop: u64,
        tail: &mut Tail,
        mut continuing: impl FnMut(TailFrame) -> std::result::Result<(), E>,
    ) -> std::result::Result<u64, E> {
        let Self {
            window,
            next,
            waiting,
            ..
        } = self;
        let codec = self.codec;
        let carried = self.base.0.checked_add(*next);
        let carried = carried.and_then(|next| next.checked_add(u64::from(waiting.is_some())));
        let until = Until {
            stop,
            frames: u64::MAX,
        };
        let from = Position(position);
        let run = run::follow::<E>(window, codec, from, carried, until, |position, end| {
            let frame = Frame {
                position,
                end,
                offset: None,
            };
            let confirmed = match codec {
                Codec::Raw => Some(frame),
                // Each confirms the one before.
                Codec::Protobuf => waiting.replace((frame, 1)).map(|(before, _)| before),
            };
            if let Some(Frame { position, end, .. }) = confirmed {
                let frame = TailFrame {
                    slot: *next,
                    position,
                    end,
                };
                *next += 1;
                tail.goes_on(frame);
                continuing(frame)?;
            }
            Ok(())
        })?;
        self.counted(&run, from, tail);
        Ok(run.end.0)
    }

    /// Takes a run that was followed elsewhere from where the look begins.
    pub(super) fn pass(&mut self, run: &Run, tail: &mut Tail) {
        let from = Position(tail.position);
        let confirmed = match self.codec {
            Codec::Raw => run.frames,
            Codec::Protobuf => run.frames.saturating_sub(1),
        };
        if confirmed > 0 {
            tail.continuing = confirmed;
            tail.continuing_position = from.0;
            let all = confirmed == run.frames;
            tail.continuing_end = if all { run.end.0 } else { run.last.0 };
        }
        if self.codec == Codec::Protobuf && run.frames > 0 {
            let last = Frame {
                position: run.last,
                end: run.end,
                offset: None,
            };
            self.waiting = Some((last, 1));
        }
        self.next += confirmed;
        self.counted(run, from, tail);
    }

    /// Counts the frames of a run.
    fn counted(&mut self, run: &Run, from: Position, tail: &mut Tail) {
        if run.frames == 0 {
            return;
        }
        if tail.frames == 0 {
            tail.frames_position = from.0;
        }
        tail.frames += run.frames;
        tail.last_frame_position = run.last.0;
        tail.frames_end = run.end.0;
        self.fuel = self.fuel.saturating_sub(run.field_bytes);
    }
}
