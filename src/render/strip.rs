//! The strip of a damaged file: its bytes from left to right in cells, 48 if there is
//! room, each valid, damaged or padding. Damage shows in at least one cell, however small
//! it is.

use std::collections::{BTreeMap, BTreeSet};

use proglog::inspect::finding::{Finding, FindingId, Severity};
use proglog::inspect::report::{Report, SegmentReport};
use proglog::log::damage::DamageKind;
use proglog::log::format::{ENTRY_BYTES, FileKind};
use proglog::log::units::Offset;

/// Cells of a strip, where the terminal has room for them.
pub const CELLS: usize = 48;

/// The legend of the cells.
pub const LEGEND: &str = "# valid  ! damaged  . padding";

/// One file drawn.
#[derive(Debug, PartialEq, Eq)]
pub struct Strip {
    /// The file's name.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// `#`, `!` and `.`, in the requested number.
    pub cells: String,
}

/// A run of bytes and their state.
#[derive(Debug, Clone, Copy)]
struct Run {
    position: u64,
    bytes: u64,
    padding: bool,
}

/// A strip of each file in which bytes are damaged or padding, in the order of the
/// segments.
pub fn strips(report: &Report, findings: &[&Finding], width: usize) -> Vec<Strip> {
    let mut runs: BTreeMap<&str, Vec<Run>> = BTreeMap::new();
    for finding in findings.iter().filter(|f| f.severity != Severity::Note) {
        if let Some(place) = &finding.place
            && place.bytes > 0
        {
            runs.entry(&place.file).or_default().push(Run {
                position: place.position,
                bytes: place.bytes,
                padding: matches!(
                    finding.id,
                    FindingId::IndexPadded | FindingId::StoreZeroTail
                ),
            });
        }
    }
    let dangling: BTreeSet<Option<Offset>> = findings
        .iter()
        .filter(|it| it.id == FindingId::IndexDangling && it.severity == Severity::Error)
        .map(|it| it.segment)
        .collect();
    let mut strips = Vec::new();
    for segment in &report.segments {
        for kind in [FileKind::Index, FileKind::Store] {
            let Some(file) = segment.listing.file(kind) else {
                continue;
            };
            let name = segment.listing.file_name(kind);
            let mut runs = runs.remove(name.as_str()).unwrap_or_default();
            runs.extend(match kind {
                FileKind::Store => {
                    let dangles = dangling.contains(&Some(segment.listing.base()));
                    cut_frame(segment).filter(|_| dangles)
                }
                FileKind::Index => zeros_between(segment),
            });
            if !runs.is_empty() && file.bytes > 0 {
                strips.push(Strip {
                    file: name,
                    bytes: file.bytes,
                    cells: cells(file.bytes, &runs, width),
                });
            }
        }
    }
    strips
}

/// The beginning of the frame that the first dangling entry names, if any: the finding's
/// place is in the index, the bytes are in the store.
fn cut_frame(segment: &SegmentReport) -> Option<Run> {
    let tail = segment.facts.as_ref()?.tail();
    (tail.bytes > 0).then_some(Run {
        position: tail.position,
        bytes: tail.bytes,
        padding: false,
    })
}

/// The padding that misaligned entries are after it, which is not a finding of its own.
fn zeros_between(segment: &SegmentReport) -> Option<Run> {
    let facts = segment.facts.as_ref()?;
    let misaligned = facts.first_damage(DamageKind::Misaligned)?;
    let position = facts.entries * ENTRY_BYTES;
    let bytes = misaligned.position.checked_sub(position)?;
    (bytes > 0).then_some(Run {
        position,
        bytes,
        padding: true,
    })
}

/// Each cell shows what most of its bytes are; a damaged run that comes out nowhere
/// takes the cell in which it begins.
fn cells(bytes: u64, runs: &[Run], width: usize) -> String {
    let mut cells = vec!['#'; width];
    let mut damaged = vec![0_u64; width];
    let mut padding = vec![0_u64; width];
    let bounds = |at| bounds(at, bytes, width);
    for run in runs {
        let sums = if run.padding {
            &mut padding
        } else {
            &mut damaged
        };
        for (at, sum) in sums.iter_mut().enumerate() {
            *sum = sum.saturating_add(shared(*run, bounds(at)));
        }
    }
    for (at, cell) in cells.iter_mut().enumerate() {
        let (begin, end) = bounds(at);
        let of = |sums: &[u64]| sums.get(at).copied().unwrap_or(0);
        let sound = (end - begin).saturating_sub(of(&damaged).saturating_add(of(&padding)));
        if of(&damaged) > 0 && of(&damaged) >= sound.max(of(&padding)) {
            *cell = '!';
        } else if of(&padding) > 0 && of(&padding) >= sound {
            *cell = '.';
        }
    }
    for run in runs.iter().filter(|run| !run.padding) {
        let mut first = None;
        let mut shown = false;
        for (at, cell) in cells.iter().enumerate() {
            if shared(*run, bounds(at)) > 0 {
                first = first.or(Some(at));
                shown |= *cell == '!';
            }
        }
        if let Some(cell) = first.filter(|_| !shown).and_then(|at| cells.get_mut(at)) {
            *cell = '!';
        }
    }
    cells.iter().collect()
}

/// The bytes that a cell represents. In a file of fewer bytes than cells several
/// represent the same byte.
fn bounds(cell: usize, bytes: u64, width: usize) -> (u64, u64) {
    let edge = |cell: usize| {
        let wide = u128::from(bytes) * cell as u128 / width.max(1) as u128;
        u64::try_from(wide).unwrap_or(bytes)
    };
    let begin = edge(cell);
    (begin, edge(cell + 1).max(begin + 1))
}

/// Number of bytes of a run between two positions.
fn shared(run: Run, (begin, end): (u64, u64)) -> u64 {
    let run_end = run.position.saturating_add(run.bytes);
    run_end.min(end).saturating_sub(run.position.max(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(position: u64, bytes: u64, padding: bool) -> Run {
        Run {
            position,
            bytes,
            padding,
        }
    }

    #[test]
    fn a_cell_shows_what_most_of_it_is() {
        let runs = [run(2916, 684, false), run(3600, 8688, true)];
        let expected = format!("{}{}{}", "#".repeat(11), "!".repeat(3), ".".repeat(34));
        assert_eq!(cells(12288, &runs, CELLS), expected);
    }

    #[test]
    fn the_smallest_damage_shows() {
        let expected = format!("{}!", "#".repeat(47));
        assert_eq!(cells(12288, &[run(12272, 16, false)], CELLS), expected);
        let one = cells(1 << 40, &[run(1 << 39, 1, false)], CELLS);
        assert_eq!(one.matches('!').count(), 1);
        assert_eq!(one.find('!'), Some(24));
    }

    #[test]
    fn files_smaller_than_a_strip() {
        assert_eq!(cells(1, &[run(0, 1, true)], CELLS), ".".repeat(48));
        let half = cells(2, &[run(1, 1, false)], CELLS);
        assert_eq!(half, format!("{}{}", "#".repeat(24), "!".repeat(24)));
        assert_eq!(cells(0, &[], CELLS), "#".repeat(48));
    }
}
