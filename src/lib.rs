//! An append-only log on disk: the format of *Distributed Services with Go*.
pub mod inspect;
pub mod log;
pub mod mend;
