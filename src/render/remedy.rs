//! The command that repairs a finding, with the real path, ready for a shell; and the
//! findings without one.

use std::fmt::Write as _;
use std::path::Path;

use proglog::inspect::finding::{Detail, Finding, FindingId, Severity};
use proglog::inspect::report::Report;
use proglog::log::format::{FileKind, file_name};
use proglog::log::units::Offset;

/// How commands are written for one log.
#[derive(Clone, Copy)]
pub struct Remedies<'a> {
    /// The facts about the log.
    pub report: &'a Report,
    /// Its directory, quoted for a shell.
    pub dir: &'a str,
    /// Quotes any other path.
    pub quote: fn(&Path) -> String,
}

impl Remedies<'_> {
    /// Whether offsets of a segment are claimed twice.
    fn has_overlap_in(&self, segment: Option<Offset>) -> bool {
        let findings = &self.report.findings;
        let key = |finding: &Finding| (finding.severity, finding.segment);
        let wanted = (Severity::Error, segment);
        // In this order; there may be very many of them.
        let first = findings.partition_point(|finding| key(finding) < wanted);
        let mut of_segment = findings
            .iter()
            .skip(first)
            .take_while(|finding| key(finding) == wanted);
        of_segment.any(|finding| finding.id == FindingId::SegmentOverlap)
    }

    /// The command that repairs a finding, or `None` where there is nothing to type:
    /// nothing to do, or the service's configuration to change.
    pub fn of(&self, finding: &Finding) -> Option<String> {
        let dir = self.dir;
        let repair = || Some(format!("proglog repair {dir}"));
        let replica = || Some(format!("proglog repair {dir} --replica COPY"));
        match finding.id {
            FindingId::StoreDeadBytes | FindingId::OffsetOverflow => {
                Some(format!("proglog salvage {dir} NEW"))
            }
            // The normal state beside a running writer needs no repair.
            _ if finding.severity == Severity::Note => None,
            // Only its owner or root can open the file.
            _ if finding.is_closed() => None,
            FindingId::IndexEntryDamaged
                if matches!(
                    finding.detail,
                    Detail::Entry {
                        record_whole: false,
                        ..
                    }
                ) =>
            {
                replica()
            }
            FindingId::NeedsDecision => Some(format!("proglog salvage {dir} NEW")),
            // Only another copy has the records before them.
            FindingId::StoreUnindexedTail
                if matches!(finding.detail, Detail::UnindexedTail { ahead: 1.., .. }) =>
            {
                replica()
            }
            // Two histories in one segment: repair leaves the choice to a human.
            FindingId::IndexMisaligned if self.has_overlap_in(finding.segment) => {
                Some(format!("proglog salvage {dir} NEW --prefer old"))
            }
            FindingId::IndexPadded
            | FindingId::IndexPartialEntry
            | FindingId::IndexDangling
            | FindingId::IndexEntryDamaged
            | FindingId::IndexMissing
            | FindingId::IndexMisaligned
            | FindingId::StoreTornTail
            | FindingId::StoreUnindexedTail
            | FindingId::StoreZeroTail => repair(),
            FindingId::StoreMissing
            | FindingId::StoreUnreadable
            | FindingId::FrameLengthDamaged
            | FindingId::RecordUndecodable
            | FindingId::RecordOffsetMismatch
            | FindingId::SegmentGap => replica(),
            // Without the manifest the right copy is unknown.
            FindingId::RecordChanged | FindingId::RecordsMissing => Some(format!(
                "proglog repair {dir} --replica COPY --manifest FILE"
            )),
            FindingId::SegmentOverlap => Some(format!("proglog salvage {dir} NEW --prefer old")),
            FindingId::StrayName | FindingId::DuplicateBase | FindingId::NotAFile => {
                self.moved_away(finding)
            }
            FindingId::PaddedName => self.renamed(finding),
            FindingId::OwnerDiffers => self.chown(finding),
            FindingId::IndexFull | FindingId::IndexOverLimit | FindingId::ForeignDialect => None,
        }
    }

    /// The commands to type next, each once, in the order of the findings; at most `max`.
    pub fn next<'f>(
        &self,
        findings: impl IntoIterator<Item = &'f Finding>,
        max: usize,
    ) -> Vec<String> {
        let findings: Vec<&Finding> = findings.into_iter().collect();
        let gaps = findings
            .iter()
            .filter(|finding| finding.id == FindingId::SegmentGap)
            .count();
        let mut commands: Vec<String> = Vec::new();
        let mut add = |command: String| {
            if !commands.contains(&command) {
                commands.push(command);
            }
            commands.len() < max
        };
        for finding in findings {
            let Some(command) = self.of(finding) else {
                continue;
            };
            // A command that changes the log is first shown as a dry run.
            let command = if command.starts_with("proglog repair") {
                format!("{command} --dry-run")
            } else {
                command
            };
            if !add(command) {
                break;
            }
            // A gap that nothing fills is allowed; many gaps need a decision.
            if let (FindingId::SegmentGap, Some(gap), 1) = (finding.id, finding.offsets, gaps) {
                let dir = self.dir;
                let _ = add(format!("proglog verify {dir} --allow segment-gap={gap}"));
            }
        }
        commands
    }

    fn path(&self, name: &str) -> String {
        (self.quote)(&self.report.listing.path().join(name))
    }

    fn moved_away(&self, finding: &Finding) -> Option<String> {
        let name = &finding.place.as_ref()?.file;
        // Shown in place of bytes that are no text: such a name cannot be typed.
        if name.contains(char::REPLACEMENT_CHARACTER) {
            return None;
        }
        Some(format!("mv -n {} {}", self.path(name), self.path("..")))
    }

    fn renamed(&self, finding: &Finding) -> Option<String> {
        let base = finding.segment?;
        let names = self.report.listing.directory.segment(base)?;
        let mut command = String::new();
        for kind in [FileKind::Index, FileKind::Store] {
            let name = names.name(kind);
            if let Some(name) = name.filter(|name| *name != *file_name(base, kind)) {
                let and = if command.is_empty() { "" } else { " && " };
                let from = self.path(&name.display().to_string());
                let to = self.path(&file_name(base, kind));
                let _ = write!(command, "{and}mv -n {from} {to}");
            }
        }
        (!command.is_empty()).then_some(command)
    }

    fn chown(&self, finding: &Finding) -> Option<String> {
        let Detail::Owner {
            files,
            uid,
            gid,
            mode,
        } = &finding.detail
        else {
            return None;
        };
        let names: Vec<String> = files.iter().map(|name| self.path(name)).collect();
        let names = names.join(" ");
        Some(format!(
            "chown {uid}:{gid} {names} && chmod {mode:o} {names}"
        ))
    }
}
