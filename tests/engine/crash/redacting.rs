//! Redaction, and what every crash state of it must satisfy: the bytes of the values are as
//! before or overwritten, no other byte is touched, and the same command completes it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proglog::inspect::finding::OffsetRange;
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::error::Error;
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::mend::apply::{ApplyOptions, Save, apply};
use proglog::mend::redact;
use proglog_testkit::{LogBuilder, Sandbox};

use crate::crash::appending::words;
use crate::crash::lab::{Bench, Job};
use crate::crash::mending::{LOG, files, lock, same};
use crate::crash::reading::report;
use crate::crash::recorder::Recorder;
use crate::crash::scenarios::{MakesDisk, as_it_is};
use crate::crash::states::Rest;
use crate::crash::tree::Tree;

/// Of each segment some: one that is empty, one in a sector, one over several.
const REDACTED: [u64; 5] = [1, 2, 4, 7, 8];

/// The bytes of redacted values; no other has them.
const SECRET: u8 = b'S';

fn builder(codec: Codec) -> LogBuilder {
    let secret = |bytes| vec![SECRET; bytes];
    let other = |bytes| vec![b'o'; bytes];
    let builder = match codec {
        Codec::Raw => LogBuilder::raw(),
        Codec::Protobuf => LogBuilder::protobuf(),
    };
    builder
        .segment(
            0,
            [
                other(9),
                secret(0),
                secret(70),
                other(400),
                secret(3000),
                other(5),
            ],
        )
        .segment(6, [other(3), secret(600), secret(2), other(1)])
}

fn redact_log(log: &Path, disk: &Arc<dyn Disk>) -> Result<(), Error> {
    let lock = lock(log)?;
    let ranges = REDACTED.map(|offset| OffsetRange {
        first: Offset(offset),
        last: Offset(offset),
    });
    let planned = redact::plan(&report(log, None)?, &ranges, b'*')?;
    let redaction = planned.map_err(|why| Error::Config(format!("refused: {why:?}")))?;
    let options = ApplyOptions {
        disk,
        save: Save::Nowhere,
        others: crate::others(),
        command: "redact",
    };
    apply(&redaction.plan, &lock, &options).map(|_| ())
}

/// Whether only bytes of values differ from `before`, and each is as before or overwritten;
/// or anything, where a torn write left `junk`.
fn is_between(
    here: &BTreeMap<String, Vec<u8>>,
    before: &BTreeMap<String, Vec<u8>>,
    junk: bool,
) -> Result<(), String> {
    if here.keys().ne(before.keys()) {
        return Err(format!("other files: {:?}", here.keys()));
    }
    for (name, bytes) in here {
        let old = &before[name];
        if bytes.len() != old.len() {
            return Err(format!("{name} has another size"));
        }
        let wrong = bytes.iter().zip(old).position(|(now, old)| {
            let is_value = *old == SECRET && name.contains("store");
            now != old && !(is_value && (junk || *now == b'*'))
        });
        if let Some(at) = wrong {
            return Err(format!("{name}: byte {at} is of no redacted value"));
        }
    }
    Ok(())
}

/// Explores how a log of this codec is redacted.
pub fn explore(codec: Codec, bench: &Bench<'_>, disk: &MakesDisk<'_>) {
    let sandbox = Sandbox::built(&builder(codec));
    let root = bench.put(&Tree::read(sandbox.path()));
    let before = files(&root);
    let recorder = Arc::new(Recorder::new(&root));
    let done = redact_log(&root.join(LOG), &disk(Arc::clone(&recorder)));
    let after = files(&root);
    Bench::clear(&root);
    if let Err(error) = done {
        return bench.violation(&error.to_string());
    }
    let recording = recorder.recording();
    let end = recording.ops.len();
    bench.explore(&recording, 0, &[end], &|bench, state| {
        let here = state.tree.within(Path::new(LOG));
        if state.choice.at == end {
            same(&here, &after, "what was done does not last")?;
        }
        let junk = matches!(state.choice.torn, Some((.., Rest::Zero | Rest::Junk)));
        is_between(&here, &before, junk)?;
        let root = bench.put(state.tree);
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        redact_log(&root.join(LOG), &disk).map_err(words("done again"))?;
        same(&files(&root), &after, "done again")?;
        Bench::clear(&root);
        Ok(())
    });
    let secret = after.values().any(|bytes| bytes.contains(&SECRET));
    if secret || after == before {
        bench.violation("the values are still there");
    }
}

/// One for each codec.
pub fn jobs() -> Vec<Job<'static>> {
    [Codec::Raw, Codec::Protobuf]
        .map(|codec| Job {
            part: "redacting",
            name: format!("redact/{codec}"),
            run: Box::new(move |bench| explore(codec, bench, &as_it_is)),
        })
        .into()
}
