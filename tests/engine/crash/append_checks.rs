//! What every crash state of an append must satisfy: nothing acknowledged is gone,
//! what is left is the beginning of what was sent, and both ways of going on work, the
//! next append and a repair.

use std::hash::{DefaultHasher, Hash};
use std::path::Path;
use std::sync::Arc;

use proglog::inspect::report::Report;
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::error::Error;
use proglog::log::record::Codec;
use proglog::log::writer::NewRecord;
use proglog::scan::account::Doubt;

use crate::crash::appending::{Size, Story, value, words};
use crate::crash::lab::{Bench, State};
use crate::crash::mending::{self, Mender};
use crate::crash::reading::{Numbered, names_are_legal, read_all, report, service_agrees, whole};
use crate::crash::recorder::{Mark, Recorder};
use crate::crash::states::{Rest, States};

/// What is appended to a log that was recovered.
const GOING_ON: [Size; 2] = [30, 5];

/// Repairs of a log that was written without syncs, until nothing is left to do.
const REPAIRS_MAX: usize = 3;

/// The number of the run that goes on after a crash.
const GOING_ON_RUN: usize = 9;

/// How an append is checked.
#[derive(Clone, Copy)]
pub struct Rules {
    /// Makes the plan of a repair.
    pub repair: Mender,
    /// One state of so many is crashed again.
    pub second_crash_of: u64,
    /// Whether the first of two crashes left bytes that nobody wrote.
    pub junk: bool,
}

/// Looks at one state. `acknowledged` must be there.
pub fn check(
    story: &Story,
    rules: Rules,
    bench: &Bench<'_>,
    state: &State<'_>,
) -> Result<(), String> {
    let power_cut_without_sync = story.script.no_sync && !States::is_kill(state.choice);
    let acknowledged = story.acknowledged(state.choice.at);
    let junk = rules.junk || matches!(state.choice.torn, Some((_, _, Rest::Junk)));
    let mut key = DefaultHasher::new();
    let script = &story.script;
    (state.digest, power_cut_without_sync, junk).hash(&mut key);
    (script.log, script.codec, script.base, script.no_sync).hash(&mut key);
    (script.limits.max_store_bytes, script.limits.max_index_bytes).hash(&mut key);
    if bench.lab.was_judged(key, acknowledged) {
        return Ok(());
    }
    if power_cut_without_sync {
        return after_a_gamble(story, acknowledged, bench, state);
    }
    let root = bench.put(state.tree);
    let looked = look(story, acknowledged, &root);
    let recovered = recover(story, acknowledged, bench, &root, junk);
    let repaired = repair(story, acknowledged, rules.repair, bench, state, junk);
    match (&recovered, &repaired) {
        // Where no record shows the codec, repair knows less than who says it.
        (Ok(Some(recovered)), Ok(Some((repaired, true)))) if recovered != repaired => {
            return Err(format!(
                "recovery keeps {recovered} records, repair {repaired}"
            ));
        }
        _ => {}
    }
    let results = [looked, recovered.map(drop), repaired.map(drop)];
    let wrong: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    if !wrong.is_empty() {
        return Err(wrong.join("; "));
    }
    if !bench.is_nested()
        && !story.script.no_sync
        && bench.lab.samples(state.digest, rules.second_crash_of)
    {
        crash_again(story, acknowledged, Rules { junk, ..rules }, bench, state);
    }
    Ok(())
}

/// Looking alone.
fn look(story: &Story, acknowledged: &[Vec<u8>], root: &Path) -> Result<(), String> {
    let log = story.log(root);
    if log.is_dir() {
        names_are_legal(&log)?;
        let records = whole(&log, story.script.codec);
        if !contains(story, &records, acknowledged) {
            return Err(lost("the state itself", &records, acknowledged));
        }
        // A reader shows what is acknowledged, without any recovery before it.
        if !records.is_empty() {
            let shown = read_all(&log, story.script.codec).map_err(words("read"))?;
            if !contains(story, &shown, acknowledged) {
                return Err(lost("the reader", &shown, acknowledged));
            }
        }
        // A log is verified where it is repaired.
        if records.is_empty()
            && let Err(error) = report(&log, None)
            && !matches!(error, Error::NotALog { .. })
        {
            return Err(format!("verify: {error}"));
        }
    } else if !acknowledged.is_empty() {
        return Err(format!(
            "the directory is gone, with {} records",
            acknowledged.len()
        ));
    }
    Ok(())
}

/// Whether the acknowledged values stand at their offsets.
fn contains(story: &Story, records: &[Numbered], acknowledged: &[Vec<u8>]) -> bool {
    let numbered = (story.script.base..).zip(acknowledged);
    records.len() >= acknowledged.len()
        && records
            .iter()
            .zip(numbered)
            .all(|((offset, value), (wanted, sent))| *offset == wanted && value == sent)
}

/// Whether zeros follow an empty record: empty records without entries, or its value.
fn is_undecided(report: &Report) -> bool {
    let accounts = report.segments.iter().filter_map(|it| it.account.as_ref());
    accounts
        .into_iter()
        .any(|it| it.doubts.contains(&Doubt::ZerosOrRecord))
}

fn lost(where_: &str, records: &[Numbered], acknowledged: &[Vec<u8>]) -> String {
    let offsets: Vec<u64> = records.iter().map(|(offset, _)| *offset).collect();
    let count = acknowledged.len();
    format!("{where_} lacks acknowledged records: {count} were, it has {offsets:?}")
}

/// Whether these records are numbered without a gap and are the beginning of what was
/// sent, with all that was acknowledged; gives how many they are.
fn survivors(
    story: &Story,
    records: &[Numbered],
    acknowledged: &[Vec<u8>],
) -> Result<usize, String> {
    if !contains(story, records, acknowledged) {
        return Err(lost("the log", records, acknowledged));
    }
    let gap = (story.script.base..)
        .zip(records)
        .find(|(wanted, (offset, _))| wanted != offset);
    if let Some((wanted, (offset, _))) = gap {
        return Err(format!("offset {offset} stands where {wanted} should"));
    }
    let values: Vec<Vec<u8>> = records.iter().map(|(_, value)| value.clone()).collect();
    if !story.was_sent(&values) {
        let sent = story.histories.iter().map(|history| {
            history
                .iter()
                .zip(&values)
                .take_while(|(sent, value)| sent == value)
                .count()
        });
        let sent = sent.max().unwrap_or(0);
        let count = values.len();
        return Err(format!(
            "{count} survivors are not what was sent, only the first {sent} are"
        ));
    }
    Ok(values.len())
}

/// The next append recovers the log and goes on; gives how many records it found.
fn recover(
    story: &Story,
    acknowledged: &[Vec<u8>],
    bench: &Bench<'_>,
    root: &Path,
    junk: bool,
) -> Result<Option<usize>, String> {
    let log = story.log(root);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let found = match go_on(story, &log, &disk, None) {
        Ok(found) => found,
        // Bytes that nobody wrote are no tail that a crash leaves: repair is asked.
        Err(Error::CannotAppend { .. }) if junk => {
            bench
                .lab
                .note("append refuses what junk in a torn write left, and repair mends it");
            Bench::clear(root);
            return Ok(None);
        }
        Err(error) => return Err(format!("append: {error}")),
    };
    let codec = story.script.codec;
    let records = whole(&log, codec);
    let (before, new) = records.split_at(found.min(records.len()));
    let kept = survivors(story, before, acknowledged)?;
    let first = story.script.base + kept as u64;
    let sent: Vec<Numbered> = (first..)
        .zip(GOING_ON)
        .map(|(offset, size)| (offset, value(GOING_ON_RUN, offset, size)))
        .collect();
    if kept != found || new != sent {
        return Err(format!(
            "after {found} records the next append did not go on"
        ));
    }
    let shown = read_all(&log, codec).map_err(words("read after an append"))?;
    if shown != records {
        return Err("the reader does not show what the append left".to_owned());
    }
    let after = report(&log, Some(codec)).map_err(words("verify after an append"))?;
    if !after.is_clean() {
        return Err(format!("not clean after an append: {:?}", after.findings));
    }
    names_are_legal(&log)?;
    Bench::clear(root);
    Ok(Some(found))
}

/// Opens the log, appends two records and commits them.
fn go_on(
    story: &Story,
    log: &Path,
    disk: &Arc<dyn Disk>,
    recorder: Option<&Recorder>,
) -> Result<usize, Error> {
    let mut session = story.script.open(log, disk)?;
    let next = session.writer().next_offset().map_or(0, |next| next.0);
    let found = usize::try_from(next - story.script.base).unwrap();
    for (offset, size) in (next..).zip(GOING_ON) {
        let value = value(GOING_ON_RUN, offset, size);
        session.append(NewRecord {
            value: &value,
            ..NewRecord::default()
        })?;
    }
    session.commit()?;
    if let Some(recorder) = recorder {
        recorder.mark(Mark::Acked {
            history: 1,
            records: found + GOING_ON.len(),
        });
    }
    Ok(found)
}

/// A repair makes the log clean, and a second one finds nothing to do; gives how many
/// records are left, and whether the codec was known.
fn repair(
    story: &Story,
    acknowledged: &[Vec<u8>],
    repair: Mender,
    bench: &Bench<'_>,
    state: &State<'_>,
    junk: bool,
) -> Result<Option<(usize, bool)>, String> {
    let root = bench.put(state.tree);
    let log = story.log(&root);
    let is_log = log.is_dir() && log.read_dir().is_ok_and(|mut names| names.next().is_some());
    if !is_log {
        return Ok(None);
    }
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let plan = mending::carry_out(&log, repair, &disk).map_err(words("repair"))?;
    names_are_legal(&log)?;
    let after = report(&log, None).map_err(words("verify after a repair"))?;
    let undecided = is_undecided(&after);
    if (junk || undecided) && !after.is_clean() {
        if !contains(story, &whole(&log, story.script.codec), acknowledged) {
            return Err("a repair of junk loses acknowledged records".to_owned());
        }
        bench.lab.note(if undecided {
            "repair leaves zeros that may have been a value"
        } else {
            "repair leaves what junk in a torn write left to a human"
        });
        Bench::clear(&root);
        return Ok(None);
    }
    if !after.is_clean() {
        return Err(format!("not clean after a repair: {:?}", after.findings));
    }
    let again = repair(&after).map_err(words("plan again"))?;
    if !again.steps.is_empty() {
        return Err(format!("a second repair does more: {:?}", again.steps));
    }
    let records = whole(&log, story.script.codec);
    let kept = survivors(story, &records, acknowledged)?;
    let limits = story.script.limits;
    if story.script.codec == Codec::Protobuf {
        service_agrees(&log, &records, limits)?;
    }
    Bench::clear(&root);
    Ok(Some((kept, plan.codec == Some(story.script.codec))))
}

/// After a power cut without syncs only what a roll closed is promised; the rest may be
/// anything, but a look at it and a repair end well.
fn after_a_gamble(
    story: &Story,
    promised: &[Vec<u8>],
    bench: &Bench<'_>,
    state: &State<'_>,
) -> Result<(), String> {
    let root = bench.put(state.tree);
    look(story, promised, &root)?;
    let log = story.log(&root);
    let is_log = log.is_dir() && log.read_dir().is_ok_and(|mut names| names.next().is_some());
    if is_log {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        mending::carry_out(&log, mending::repair, &disk).map_err(words("repair"))?;
        let records = whole(&log, story.script.codec);
        if !contains(story, &records, promised) {
            return Err(lost("the repaired log", &records, promised));
        }
        for _ in 0..REPAIRS_MAX {
            let again = mending::carry_out(&log, mending::repair, &disk).map_err(words("again"))?;
            if again.steps.is_empty() {
                Bench::clear(&root);
                return Ok(());
            }
            bench
                .lab
                .note("after a power cut without syncs, one more repair was needed");
        }
        return Err("repair never ends".to_owned());
    }
    Bench::clear(&root);
    Ok(())
}

/// Goes on below a recorder, and gives how many records it found.
type Work<'w> = dyn Fn(&Path, &Arc<Recorder>) -> Result<usize, Error> + 'w;

/// Crashes while the next append recovers, and while a repair is at work.
fn crash_again(
    story: &Story,
    acknowledged: &[Vec<u8>],
    rules: Rules,
    bench: &Bench<'_>,
    state: &State<'_>,
) {
    let works: [&Work<'_>; 2] = [
        &|log, recorder| {
            let disk: Arc<dyn Disk> = Arc::clone(recorder) as Arc<dyn Disk>;
            go_on(story, log, &disk, Some(recorder))
        },
        &|log, recorder| {
            let disk: Arc<dyn Disk> = Arc::clone(recorder) as Arc<dyn Disk>;
            mending::carry_out(log, rules.repair, &disk).map(|_| 0)
        },
    ];
    for (number, work) in works.into_iter().enumerate() {
        let root = bench.put(state.tree);
        let log = story.log(&root);
        let recorder = Arc::new(Recorder::new(&root));
        let before: Vec<Vec<u8>> = acknowledged.to_vec();
        // What cannot be done here was judged before.
        let Ok(found) = work(&log, &recorder) else {
            continue;
        };
        let records = whole(&log, story.script.codec);
        let mut histories = story.histories.clone();
        if number == 0 {
            histories.push(records.into_iter().map(|(_, value)| value).collect());
        }
        let mut recording = recorder.recording();
        let last = histories.len() - 1;
        for (_, mark) in &mut recording.marks {
            *mark = Mark::Acked {
                history: last,
                records: found + GOING_ON.len(),
            };
        }
        Bench::clear(&root);
        // Until then, what was acknowledged before the first crash.
        let history = histories
            .iter()
            .position(|history| history.starts_with(&before));
        recording.marks.insert(
            0,
            (
                0,
                Mark::Acked {
                    history: history.unwrap_or(0),
                    records: before.len(),
                },
            ),
        );
        let again = Story {
            script: story.script.clone(),
            recording,
            histories,
        };
        let suffix = ["append", "repair"][number];
        bench.within(suffix, || {
            bench.explore(&again.recording, 0, &[], &|bench, state| {
                check(&again, rules, bench, state)
            });
        });
    }
}
