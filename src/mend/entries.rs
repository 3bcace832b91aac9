//! Entries built from the frames of a store: the frames that the plan counted are read
//! again, and any difference is an error.

use super::plan::NewEntries;
use crate::log::error::{Error, Result};
use crate::log::format::Entry;
use crate::log::units::Position;
use crate::log::window::{ReadFile, STREAM_BYTES, Window};

/// Makes the entries that a plan asks for and hands them over in order.
///
/// # Errors
///
/// The callback's; [`Error::CannotAppend`] if the store does not hold the frames that
/// the plan counted.
pub fn make(
    store: &ReadFile,
    wanted: &NewEntries,
    mut each: impl FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let mut window = Window::new(store.clone(), STREAM_BYTES);
    for run in wanted.runs.iter() {
        run.each(&mut window, |entry, is_there| {
            if is_there {
                each(entry)
            } else {
                Err(gone(store, entry.position))
            }
        })?;
    }
    Ok(())
}

fn gone(store: &ReadFile, position: Position) -> Error {
    Error::CannotAppend {
        path: store.path().to_path_buf(),
        why: format!("the frame at {position} changed since the plan was made"),
    }
}
