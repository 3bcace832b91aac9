//! The data of the rows, the same bytes on every machine: made from a fixed seed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;

/// Text lines whose lengths are spread evenly over a range.
#[derive(Clone, Copy)]
pub struct Lines {
    /// How many.
    pub count: u64,
    /// Bytes of the shortest, without the newline.
    pub shortest: u64,
    /// Bytes of the longest.
    pub longest: u64,
}

impl Lines {
    /// Writes them to `out`.
    pub fn write(self, out: impl Write) -> Result<()> {
        let mut out = BufWriter::with_capacity(1 << 20, out);
        let mut random = SplitMix(0x9E37_79B9);
        let text = alphabet(&mut random);
        for _ in 0..self.count {
            let draw = random.next();
            let length = self.shortest + draw % (self.longest - self.shortest + 1);
            let mut from = usize::try_from((draw >> 32) % 4096)?;
            let mut left = usize::try_from(length)?;
            while left > 0 {
                let piece = left.min(text.len() - from);
                out.write_all(&text[from..from + piece])?;
                left -= piece;
                from = 0;
            }
            out.write_all(b"\n")?;
        }
        Ok(out.flush()?)
    }

    /// Writes them to a new file.
    pub fn file(self, path: &Path) -> Result<()> {
        self.write(File::create(path)?)
    }
}

/// 8 KiB of words, from which the lines are cut.
fn alphabet(random: &mut SplitMix) -> Vec<u8> {
    (0..8192)
        .map(|_| match random.next() % 32 {
            letter @ 0..26 => b'a' + u8::try_from(letter).unwrap_or_default(),
            _ => b' ',
        })
        .collect()
}

/// The generator `SplitMix64` of Steele, Lea and Flood.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
