//! The directory as a plan would leave it, in memory: to show the result of a repair
//! before it is made. It follows the same steps as `apply`.

use std::io;

use super::entries;
use super::plan::{NewEntries, Plan, Step};
use crate::inspect::report::{Report, SegmentReport};
use crate::inspect::scan::SegmentFacts;
use crate::inspect::service::{DirFacts, Planned};
use crate::log::dir::FilePath;
use crate::log::format::{ENTRY_BYTES, Entry, FileKind, file_name};
use crate::log::units::Offset;
use crate::log::window::ReadFile;

/// The files as the plan would leave them, or `None` where it changes nothing. Of each
/// run of new entries only the last is there, which is the one that the model of the
/// service inspects.
///
/// # Errors
///
/// If a store cannot be read, or does not hold the frames that the plan counted.
pub fn files(plan: &Plan, report: &Report) -> io::Result<Option<Planned<DirFacts>>> {
    if plan.steps.is_empty() {
        return Ok(None);
    }
    let mut planned = Planned::new(DirFacts::of(&report.listing.directory.dir));
    for step in &plan.steps {
        let (base, kind) = step.file();
        let name = name(report, base, kind);
        match step.clone() {
            Step::CreateEmpty { .. } => planned.set_len(&name, 0)?,
            Step::Cut { to, .. } => planned.set_len(&name, to)?,
            // The service reads no value when it starts.
            Step::Overwrite { .. } => {}
            Step::MoveAway { .. } => planned.remove(name.as_ref()),
            Step::Fill { assembly, .. } | Step::Assemble { assembly, .. } => {
                let made = plan.assemblies.get(assembly);
                let Some(made) = made else { continue };
                if let Step::Assemble { to, .. } = *step {
                    planned.set_len(&name, to)?;
                }
                let end = made.entries();
                let mut last = None;
                made.each_entry(end.saturating_sub(1), end, None, |entry| {
                    last = Some(entry);
                    Ok(())
                })
                .map_err(io::Error::other)?;
                if let (FileKind::Index, Some(entry)) = (kind, last) {
                    let slot = u64::from(entry.relative.0);
                    planned.put(&name, slot * ENTRY_BYTES, &entry.encode())?;
                }
            }
            Step::BuildIndex { entries, .. } | Step::WriteEntries { entries, .. } => {
                let store =
                    report
                        .listing
                        .directory
                        .dir
                        .at(self::name(report, base, FileKind::Store));
                match last_entry(&store, &entries)? {
                    Some(entry) => {
                        let slot = u64::from(entry.relative.0);
                        planned.put(&name, slot * ENTRY_BYTES, &entry.encode())?;
                    }
                    None => planned.set_len(&name, 0)?,
                }
            }
        }
    }
    Ok(Some(planned))
}

/// Number of frames after the last committed one of a segment that the plan turns into
/// records.
#[must_use]
pub fn adopted(plan: &Plan, segment: &SegmentReport) -> u64 {
    if segment.by_account {
        // Its facts have them already.
        return 0;
    }
    let next_slot = segment.facts.as_ref().map_or(0, SegmentFacts::next_slot);
    let of_segment = |step: &&Step| step.file().0 == segment.listing.base();
    let counts = plan.steps.iter().filter(of_segment).map(|step| match step {
        Step::BuildIndex { entries, .. } => entries.count,
        Step::WriteEntries { entries, .. } if entries.first_slot == next_slot => entries.count,
        _ => 0,
    });
    counts.sum()
}

fn name(report: &Report, base: Offset, kind: FileKind) -> String {
    let segments = &report.listing.segments;
    let segment = segments.iter().find(|segment| segment.base() == base);
    segment.map_or_else(|| file_name(base, kind), |segment| segment.file_name(kind))
}

fn last_entry(store: &FilePath, wanted: &NewEntries) -> io::Result<Option<Entry>> {
    let store = ReadFile::open(store).map_err(io::Error::other)?;
    let mut last = None;
    entries::make(&store, wanted, |entry| {
        last = Some(entry);
        Ok(())
    })
    .map_err(io::Error::other)?;
    Ok(last)
}
