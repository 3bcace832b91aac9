//! Runs: frames that follow each other in a store, of records with consecutive
//! offsets. Which of them a copy of a log holds, whether two copies agree in them, the
//! segment that is put together of them, and how that is written over a damaged one.
//! `replica` and `salvage` decide which run is taken from where.

pub mod agree;
pub mod assembly;
pub mod fill;
pub mod holdings;
pub mod run;
