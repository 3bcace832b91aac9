//! Small pieces handed on as large ones: a call to the kernel for each entry would be
//! most of the work.

use crate::log::error::Result;

/// Bytes that are handed on at once.
const GATHER_BYTES: usize = 256 * 1024;

/// Pieces on their way to `put`.
pub(super) struct Gather<P> {
    gathered: Vec<u8>,
    put: P,
}

impl<P: FnMut(&[u8]) -> Result<()>> Gather<P> {
    pub(super) fn to(put: P) -> Self {
        Self {
            gathered: Vec::with_capacity(GATHER_BYTES),
            put,
        }
    }

    /// Takes a piece; hands on what there is, once it is worth it.
    ///
    /// # Errors
    ///
    /// `put`'s.
    pub(super) fn add(&mut self, piece: &[u8]) -> Result<()> {
        if piece.len() >= GATHER_BYTES {
            if !self.gathered.is_empty() {
                (self.put)(&self.gathered)?;
                self.gathered.clear();
            }
            return (self.put)(piece);
        }
        self.gathered.extend_from_slice(piece);
        if self.gathered.len() >= GATHER_BYTES {
            (self.put)(&self.gathered)?;
            self.gathered.clear();
        }
        Ok(())
    }

    /// Hands on the rest.
    ///
    /// # Errors
    ///
    /// `put`'s.
    pub(super) fn finish(mut self) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        (self.put)(&self.gathered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_come_in_order_and_in_large_pieces() {
        let bytes: Vec<u8> = (0..251).cycle().take(3 * GATHER_BYTES).collect();
        for size in [1000, GATHER_BYTES - 1, GATHER_BYTES, GATHER_BYTES + 1] {
            let (mut got, mut calls) = (Vec::new(), 0);
            let mut gather = Gather::to(|piece| {
                got.extend_from_slice(piece);
                calls += 1;
                Ok(())
            });
            for piece in bytes.chunks(size) {
                gather.add(piece).unwrap();
            }
            gather.finish().unwrap();
            assert!(got == bytes && calls <= 4, "{size}: {calls}");
        }
    }
}
