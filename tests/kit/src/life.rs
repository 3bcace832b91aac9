//! The life of one log under appends that are cut short: what was sent, what was
//! acknowledged, and so what may be found in it. Reads it by the oracle alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fastrand::Rng;

use crate::append::{Append, Ended};
use crate::{Codec, proglog, whole_records};

/// The limits of a log: `--max-store-bytes` and `--max-index-bytes`. The first is
/// never filled; the others roll every few records, by store or by index.
const LIMITS: &[(u64, u64)] = &[
    (1 << 30, 1 << 20),
    (1 << 20, 1 << 20),
    (20_000, 1 << 20),
    (1 << 20, 12 * 40 + 7),
    (1500, 12 * 7),
];

/// One log, from its first append to its last.
pub struct Life {
    log: PathBuf,
    codec: Codec,
    initial_offset: u64,
    limits: (u64, u64),
    no_sync: bool,
    /// What every append so far was given.
    sent: Vec<Vec<Vec<u8>>>,
    /// What was acknowledged, by offset.
    acknowledged: BTreeMap<u64, Vec<u8>>,
    /// So many records must be there whatever happens.
    floor: usize,
}

impl Life {
    /// A log that is not there yet, of a random kind.
    #[must_use]
    pub fn new(log: PathBuf, rng: &mut Rng, no_sync: bool) -> Self {
        Self {
            log,
            codec: *choose(rng, &[Codec::Raw, Codec::Protobuf]),
            initial_offset: *choose(rng, &[0, 0, 1, 1000, u64::from(u32::MAX)]),
            limits: *choose(rng, LIMITS),
            no_sync,
            sent: Vec::new(),
            acknowledged: BTreeMap::new(),
            floor: 0,
        }
    }

    /// The log's directory.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What kind of log it is, for messages.
    #[must_use]
    pub fn kind(&self) -> String {
        let (store, index) = self.limits;
        let (codec, first) = (self.codec.as_str(), self.initial_offset);
        format!("{codec}, from {first}, limits {store} and {index}")
    }

    /// The next append: what it sends is counted as sent.
    pub fn next_append(&mut self, rng: &mut Rng) -> Append {
        let mut append = Append::random(rng, self.sent.len());
        let (store, index) = self.limits;
        append.options.extend([
            format!("--max-store-bytes={store}"),
            format!("--max-index-bytes={index}"),
        ]);
        // A log that tells its codec need not be told.
        if self.floor < 2 || rng.bool() {
            append
                .options
                .push(format!("--codec={}", self.codec.as_str()));
        }
        if self.sent.is_empty() || self.floor == 0 {
            append
                .options
                .push(format!("--initial-offset={}", self.initial_offset));
        }
        if self.no_sync {
            append.options.push("--no-sync".to_owned());
        }
        self.sent.push(append.values.clone());
        append
    }

    /// Takes over what an append acknowledged: the last one that was made.
    ///
    /// # Errors
    ///
    /// If it printed offsets that cannot be, or ended with 0 without all of them.
    pub fn take_over(&mut self, append: &Append, ended: &Ended) -> Result<(), String> {
        let offsets = ended.offsets()?;
        if offsets.len() > append.values.len() {
            return Err(format!(
                "{} offsets for {} records",
                offsets.len(),
                append.values.len()
            ));
        }
        if append.prints_offsets() && ended.is_ok() && offsets.len() != append.values.len() {
            return Err(format!(
                "status 0, and {} offsets for {} records",
                offsets.len(),
                append.values.len()
            ));
        }
        for (offset, value) in offsets.iter().zip(&append.values) {
            if let Some(before) = self.acknowledged.insert(*offset, value.clone()) {
                return Err(format!("offset {offset} again, it was {}", brief(&before)));
            }
        }
        if ended.is_ok() && !append.prints_offsets() {
            // Their offsets are the last ones; the check finds them there.
            let view = self.view()?;
            let first = view
                .len()
                .checked_sub(append.values.len())
                .ok_or("status 0 with too few records")?;
            for ((offset, found), value) in view[first..].iter().zip(&append.values) {
                if found != value {
                    return Err(format!("status 0, but {offset} is {}", brief(found)));
                }
                self.acknowledged.insert(*offset, value.clone());
            }
        }
        Ok(())
    }

    /// What must hold after a cut of any kind: names, the acknowledged records, and
    /// that what is there is a prefix of each append's input, in order. With `keeps`
    /// what is there now must be there from now on. Gives the number of records.
    ///
    /// # Errors
    ///
    /// What does not hold.
    pub fn check(&mut self, keeps: bool) -> Result<usize, String> {
        self.check_names()?;
        let view = self.view()?;
        for ((offset, _), expected) in view.iter().zip(self.initial_offset..) {
            if *offset != expected {
                return Err(format!("offset {offset} where {expected} should be"));
            }
        }
        self.all_acknowledged(&view)?;
        if view.len() < self.floor {
            return Err(format!("{} records, {} before", view.len(), self.floor));
        }
        self.check_prefixes(&view)?;
        if keeps {
            self.floor = view.len();
        }
        Ok(view.len())
    }

    /// Whether everything acknowledged is there, if no more can be asked yet: after a
    /// power cut there may be a hole among the entries behind, which recovery fills.
    ///
    /// # Errors
    ///
    /// Which record is lost.
    pub fn check_acknowledged(&self) -> Result<(), String> {
        self.check_names()?;
        self.all_acknowledged(&self.view()?)
    }

    fn all_acknowledged(&self, view: &[(u64, Vec<u8>)]) -> Result<(), String> {
        let found: BTreeMap<u64, &Vec<u8>> = view.iter().map(|(o, value)| (*o, value)).collect();
        for (offset, value) in &self.acknowledged {
            match found.get(offset) {
                None => return Err(format!("acknowledged record {offset} is lost")),
                Some(other) if *other != value => {
                    return Err(format!("acknowledged record {offset} is {}", brief(other)));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Whether verify ends with a status that is documented for what a cut leaves:
    /// 0, or 3 while a recovery is due.
    ///
    /// # Errors
    ///
    /// Any other status, with what verify said.
    pub fn verify(&self, must_be_clean: bool) -> Result<(), String> {
        let output = proglog()
            .args(["verify", "-q"])
            .arg(&self.log)
            .output()
            .expect("verify runs");
        match output.status.code() {
            Some(0) => Ok(()),
            Some(3) if !must_be_clean => Ok(()),
            // Killed before it made anything.
            Some(2) if !must_be_clean && self.is_nothing() => Ok(()),
            code => Err(format!(
                "verify: status {code:?}: {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }

    fn is_nothing(&self) -> bool {
        fs::read_dir(&self.log).map_or(true, |mut names| names.next().is_none())
    }

    fn view(&self) -> Result<Vec<(u64, Vec<u8>)>, String> {
        match fs::metadata(&self.log) {
            Ok(_) => Ok(whole_records(&self.log, self.codec)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(format!("{}: {error}", self.log.display())),
        }
    }

    /// Nothing but pairs, one of which may be unpaired.
    fn check_names(&self) -> Result<(), String> {
        let mut halves: BTreeMap<u64, usize> = BTreeMap::new();
        for entry in fs::read_dir(&self.log).into_iter().flatten() {
            let name = entry.map_err(|error| error.to_string())?.file_name();
            let name = name.to_string_lossy().into_owned();
            let stem = name
                .strip_suffix(".store")
                .or_else(|| name.strip_suffix(".index"));
            let base = stem.and_then(|stem| stem.parse::<u64>().ok());
            let Some(base) = base.filter(|base| Some(base.to_string().as_str()) == stem) else {
                return Err(format!("a stray name: {name}"));
            };
            *halves.entry(base).or_default() += 1;
        }
        let unpaired = halves.values().filter(|halves| **halves == 1).count();
        if unpaired > 1 {
            return Err(format!("{unpaired} unpaired files"));
        }
        Ok(())
    }

    fn check_prefixes(&self, view: &[(u64, Vec<u8>)]) -> Result<(), String> {
        let (mut append, mut next) = (0, 0);
        for (offset, value) in view {
            let goes_on = self.sent.get(append).and_then(|sent| sent.get(next));
            if goes_on == Some(value) {
                next += 1;
                continue;
            }
            let later = self.sent.iter().enumerate().skip(append + 1);
            let begun = later
                .filter(|(_, sent)| sent.first() == Some(value))
                .map(|(number, _)| number)
                .next();
            let Some(begun) = begun else {
                return Err(format!(
                    "record {offset} is {}, behind {next} records of append {append}",
                    brief(value)
                ));
            };
            (append, next) = (begun, 1);
        }
        Ok(())
    }
}

/// One of these.
pub fn choose<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}

/// The beginning of a value, for messages.
fn brief(value: &[u8]) -> String {
    let shown = &value[..value.len().min(24)];
    format!(
        "{:?} ({} bytes)",
        String::from_utf8_lossy(shown),
        value.len()
    )
}
