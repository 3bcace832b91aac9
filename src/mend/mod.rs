//! Mending: what a log needs before it can be appended to, planned and carried out.

pub mod session;
