//! Other programs' layouts: healthy logs of each are recognised, logs of ours never are,
//! however damaged, and no command changes a byte of the former.

mod damaged;
mod healthy;
mod made;
