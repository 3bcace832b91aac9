//! The usual tail: frame after frame and nothing to judge. Followed here at the speed of
//! a walk; what ends a run is for `tail`.

use super::{Frame, Scan, Tail, TailFrame};
use crate::inspect::run::{self, Run};
use crate::log::error::Error;
use crate::log::record::Codec;
use crate::log::units::Position;

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
        let from = Position(position);
        let run = run::follow::<E>(window, codec, from, carried, stop, |position, end| {
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
