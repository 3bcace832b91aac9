//! New segments, for records of the other copy for which this one has no files.

use super::Work;
use super::layout::{Files, Wanted, anew, whole};
use crate::log::error::Result;
use crate::log::format::FileKind;
use crate::log::units::Offset;
use crate::mend::runs::assembly::Assembly;
use crate::mend::runs::run::Cursor;

impl Work<'_> {
    /// Pairs for the offsets that no segment here claims and the other copy has: a new
    /// one where the other copy begins one, and after each gap.
    pub(super) fn new_pairs(&mut self, from: u64, to: u64) -> Result<()> {
        let mut wanted = Wanted::new();
        self.between(from, to, &mut Cursor::default(), &mut wanted)?;
        let mut pairs: Vec<Wanted> = Vec::new();
        for (run, source) in wanted {
            match pairs.last_mut() {
                Some(pair)
                    if pair.last().is_some_and(|(last, _)| last.next == run.first)
                        && run.store.segment.0 < run.first =>
                {
                    pair.push((run, source));
                }
                _ => pairs.push(vec![(run, source)]),
            }
        }
        for pair in pairs {
            let Some((first, _)) = pair.first() else {
                continue;
            };
            let files = Files {
                base: Offset(first.first),
                store: None,
                index: None,
                dead: Vec::new(),
            };
            let Some(assembly) = anew(files.base, &pair) else {
                continue;
            };
            let number = self.plan.assemblies.len();
            for kind in [FileKind::Store, FileKind::Index] {
                self.plan.steps.push(whole(&files, &assembly, number, kind));
            }
            self.plan.assemblies.push(Assembly {
                closed: true,
                ..assembly
            });
            self.whole.insert(files.base);
        }
        Ok(())
    }
}
