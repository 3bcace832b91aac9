//! Repair: findings become a plan, which is a value; a plan is carried out in an order
//! that a crash may interrupt anywhere, after every removed byte was saved; saved bytes
//! can be restored.
//!
//! report -> plan -> saved, apply -> (verify); saved -> undo. The recovery before an
//! append uses the same plan, limited to the results of a crash.

pub mod apply;
mod copying;
mod done;
mod entries;
pub mod exclusive;
#[doc(hidden)] // for the commands, which announce a repair
pub mod foresee;
mod gather;
mod guarded;
mod kept;
mod leases;
mod left;
pub mod lost;
mod named;
pub mod plan;
mod policy;
mod ranges;
pub mod recover;
pub mod redact;
mod rehearsal;
pub mod repair;
pub mod replica;
pub mod runs;
pub mod salvage;
pub mod saved;
pub mod session;
pub mod trim;
pub mod truncate;
pub mod undo;
