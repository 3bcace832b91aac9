//! The program in a system that fails, is in use, or trusts nobody: killed, out of space, next
//! to a service, without power, without permissions; and random damage that it repairs.

mod kills;
mod live;
mod mending;
mod power;
mod security;
