//! The small vocabulary of damage: each verb does one thing to one of the log's files
//! and fails the test where it would do nothing.

use std::fs;
use std::os::unix::fs::FileExt;

use crate::Sandbox;

impl Sandbox {
    /// Cuts a file down to its first `bytes` bytes.
    pub fn cut(&self, name: &str, bytes: u64) {
        let before = self.bytes(name);
        assert!(bytes < before, "{name}: {before} bytes, cut to {bytes}");
        self.open(name).set_len(bytes).expect("a shorter file");
    }

    /// Turns one bit over. Bit 0 is the highest of the file's first byte, as a hex dump
    /// shows them; bit 8 is the highest of the second.
    pub fn flip(&self, name: &str, bit: u64) {
        let position = bit / 8;
        let file = self.open(name);
        let mut byte = [0];
        file.read_exact_at(&mut byte, position)
            .unwrap_or_else(|error| panic!("{name}: bit {bit}: {error}"));
        byte[0] ^= 0x80 >> (bit % 8);
        file.write_all_at(&byte, position).expect("a byte written");
    }

    /// Overwrites what stands at `position`; the size stays as it is.
    pub fn put(&self, name: &str, position: u64, bytes: &[u8]) {
        let end = position + bytes.len() as u64;
        let size = self.bytes(name);
        assert!(end <= size, "{name}: {size} bytes, put up to {end}");
        let before = self.read(name);
        self.open(name)
            .write_all_at(bytes, position)
            .expect("bytes written");
        assert!(before != self.read(name), "{name}: these bytes were there");
    }

    /// Adds `count` zeros at the end.
    pub fn pad_zeros(&self, name: &str, count: u64) {
        assert!(count > 0, "{name}: no zeros added");
        let size = self.bytes(name);
        self.open(name)
            .set_len(size + count)
            .expect("a longer file");
    }

    /// Adds bytes at the end.
    pub fn append_bytes(&self, name: &str, bytes: &[u8]) {
        assert!(!bytes.is_empty(), "{name}: nothing added");
        let size = self.bytes(name);
        self.open(name)
            .write_all_at(bytes, size)
            .expect("bytes written");
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Gives a file another name, which nothing may have yet.
    pub fn rename(&self, from: &str, to: &str) {
        assert!(!self.file(to).exists(), "{to} is there already");
        fs::rename(self.file(from), self.file(to))
            .unwrap_or_else(|error| panic!("{from}: {error}"));
    }
}
