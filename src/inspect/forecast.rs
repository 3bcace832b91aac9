//! Forecasts the behavior of the Go service for a log in a report: with the directory as
//! it is, and with the result of a repair. Facts only; `service` is the model.

use std::io;

use super::finding::OffsetRange;
use super::report::{Report, SegmentReport};
use super::scan::SegmentFacts;
use super::service::{
    DirFacts, Edition, Given, Held, Planned, Reads, ServiceConfig, ServiceView, Source, Sources,
    assume, model, reads, reads_of,
};
use crate::log::damage::{Damage, DamageKind};

/// The forecast for one edition of the service.
#[derive(Debug, Clone)]
pub struct Forecast {
    /// How it is configured, or taken to be.
    pub config: ServiceConfig,
    /// The sources of the configuration values.
    pub sources: Sources,
    /// With the directory as it is.
    pub now: StateForecast,
    /// With the directory as a repair leaves it; `None` where none was given.
    pub repaired: Option<StateForecast>,
}

/// The directory as a repair leaves it, from the repair's own plan.
pub struct Repaired<'a> {
    /// Its files.
    pub files: Planned<DirFacts>,
    /// Number of frames after the last committed one of a segment that become records.
    pub adopted: &'a dyn Fn(&SegmentReport) -> u64,
}

/// The forecast for one state of the directory.
#[derive(Debug, Clone)]
pub struct StateForecast {
    /// The segments it loads, its offsets, hidden records, and the next appends.
    pub view: ServiceView,
    /// The runs of intact records that it should serve.
    pub held: Vec<OffsetRange>,
    /// Its answers for the offsets with invalid entries or frames.
    pub doubtful: Reads,
    /// Number of intact records with a wrong entry.
    pub misnamed: u64,
    /// Offsets of intact records that no reader finds, since misaligned entries name
    /// them.
    pub buried: Vec<OffsetRange>,
    /// Its answers for every offset, if requested.
    pub all: Option<Reads>,
}

impl StateForecast {
    /// Records of the log that it would serve.
    #[must_use]
    pub fn readable(&self) -> u64 {
        let served_all_the_same = self.doubtful.own.offsets.min(self.misnamed);
        self.view
            .visible_records
            .saturating_add(served_all_the_same)
    }

    /// Intact records of the log that it would not serve.
    #[must_use]
    pub fn hidden(&self) -> u64 {
        let misnamed = self.misnamed.saturating_sub(self.doubtful.own.offsets);
        let buried: u64 = self.buried.iter().map(|range| range.records()).sum();
        self.view
            .hidden_records
            .saturating_add(misnamed)
            .saturating_add(buried)
    }

    /// Whether it would serve every record, and take new ones.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let wrong = |reads: &Reads| {
            !(reads.foreign.is_empty() && reads.errors.is_empty() && reads.panics.is_empty())
        };
        self.view.is_sound()
            && self.hidden() == 0
            && !wrong(&self.doubtful)
            && !self.all.as_ref().is_some_and(wrong)
    }
}

impl Forecast {
    /// The forecast for `edition`, with the known configuration. With `in_full`, reads
    /// every record as the service does.
    ///
    /// # Errors
    ///
    /// When the directory or one of its files cannot be read.
    pub fn of(
        report: &Report,
        edition: Edition,
        given: &Given,
        in_full: bool,
        repaired: Option<Repaired<'_>>,
    ) -> io::Result<Self> {
        let mut facts = DirFacts::of(&report.listing.directory.dir);
        let (config, sources) = assume(&mut facts, edition, given)?;
        let now_held = held(report, None);
        let now = StateForecast {
            view: model(&mut facts, &config, &now_held)?,
            held: ranges(&now_held),
            doubtful: reads_of(&mut facts, &config, &doubtful(report))?,
            misnamed: misnamed(report),
            buried: buried(report),
            all: in_full.then(|| reads(&mut facts, &config)).transpose()?,
        };
        let repaired = repaired
            .map(|repaired| -> io::Result<StateForecast> {
                let held = held(report, Some(repaired.adopted));
                let mut planned = repaired.files;
                let config = after_repair(config, sources, given, &mut planned)?;
                Ok(StateForecast {
                    view: model(&mut planned, &config, &held)?,
                    held: ranges(&held),
                    doubtful: Reads::default(),
                    misnamed: 0,
                    buried: buried(report),
                    all: None,
                })
            })
            .transpose()?;
        Ok(Self {
            config,
            sources,
            now,
            repaired,
        })
    }
}

/// The configuration to model a repaired directory with. What padding showed goes with
/// the padding; a limit that nothing showed must leave room for a rebuilt index.
fn after_repair(
    now: ServiceConfig,
    sources: Sources,
    given: &Given,
    planned: &mut Planned<DirFacts>,
) -> io::Result<ServiceConfig> {
    let (assumed, _) = assume(planned, now.edition, given)?;
    let known = matches!(sources.max_index_bytes, Source::Given | Source::PaddedIndex);
    Ok(ServiceConfig {
        max_index_bytes: if known {
            now.max_index_bytes
        } else {
            now.max_index_bytes.max(assumed.max_index_bytes)
        },
        ..now
    })
}

/// The offsets of runs, ascending.
fn ranges(held: &[Held]) -> Vec<OffsetRange> {
    let mut ranges: Vec<OffsetRange> = held.iter().map(|held| held.range).collect();
    ranges.sort_by_key(|range| (range.first, range.last));
    ranges
}

/// Whether misaligned entries give offsets again that aligned ones gave before.
fn doubles(facts: &SegmentFacts, damage: &Damage) -> bool {
    damage.kind == DamageKind::Misaligned && damage.first_slot < facts.entries
}

/// The runs of records that the log holds: the committed ones and those that continue
/// after them. Once repaired: those that the repair adopts in each segment, and those
/// whose entries were wrong.
fn held(report: &Report, adopted: Option<&dyn Fn(&SegmentReport) -> u64>) -> Vec<Held> {
    let mut held = Vec::new();
    for segment in &report.segments {
        let base = segment.listing.base();
        let plain_names = segment.listing.names.are_plain();
        let mut add = |slot: u64, end: u64| {
            if let (Some(first), Some(last)) = (
                base.checked_add(slot).filter(|_| slot < end),
                end.checked_sub(1).and_then(|last| base.checked_add(last)),
            ) {
                held.push(Held {
                    base,
                    range: OffsetRange { first, last },
                    plain_names,
                });
            }
        };
        let Some(facts) = &segment.facts else {
            let goes_on = segment.lone_store().map_or(0, |tail| tail.continuing);
            add(0, adopted.map_or(goes_on, |adopted| adopted(segment)));
            continue;
        };
        let mut slot = 0;
        for damage in &facts.damages {
            let mended = adopted.is_some() && misnames(facts, damage);
            if damage.kind != DamageKind::Misaligned && !mended {
                add(slot, damage.first_slot);
                slot = damage.last_slot + 1;
            }
        }
        let next = facts.next_slot();
        // After a misaligned index, the continuation is unknown.
        let misaligned = facts.first_damage(DamageKind::Misaligned).is_some();
        let goes_on = if misaligned {
            0
        } else {
            facts.tail().continuing
        };
        let goes_on = adopted.map_or(goes_on, |adopted| adopted(segment));
        add(slot.min(next), next + goes_on);
    }
    held
}

/// Whether the records of a damage are intact, and a repair finds them again.
fn misnames(facts: &SegmentFacts, damage: &Damage) -> bool {
    damage.record_whole
        && match damage.kind {
            DamageKind::Entry => true,
            DamageKind::Misaligned => !doubles(facts, damage),
            _ => false,
        }
}

/// The offsets whose entries or frames are not valid, ascending.
fn doubtful(report: &Report) -> Vec<OffsetRange> {
    let doubtful = damages(report).filter(|(facts, damage)| !doubles(facts, damage));
    doubtful.map(offsets).collect()
}

/// The offsets that misaligned entries give once more.
fn buried(report: &Report) -> Vec<OffsetRange> {
    let buried = damages(report).filter(|(facts, damage)| doubles(facts, damage));
    buried.map(offsets).collect()
}

/// Number of intact records with a wrong entry.
fn misnamed(report: &Report) -> u64 {
    let misnamed = damages(report).filter(|(facts, damage)| misnames(facts, damage));
    misnamed.map(|(_, damage)| damage.slots()).sum()
}

fn damages(report: &Report) -> impl Iterator<Item = (&SegmentFacts, &Damage)> {
    let facts = report.segments.iter().filter_map(|s| s.facts.as_ref());
    facts.flat_map(|facts| facts.damages.iter().map(move |damage| (facts, damage)))
}

fn offsets((facts, damage): (&SegmentFacts, &Damage)) -> OffsetRange {
    OffsetRange {
        first: facts.base.saturating_add(damage.first_slot),
        last: facts.base.saturating_add(damage.last_slot),
    }
}
