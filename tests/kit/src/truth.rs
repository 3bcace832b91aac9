//! What `fixtures/<case>/truth.json` says, and where the cases are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Codec;

/// What is known about a case of `fixtures/`.
#[derive(Debug, Clone)]
pub struct Truth {
    /// What the payloads are.
    pub codec: Codec,
    /// Offset and value of each record that was acknowledged, in that order. In a
    /// forked log an offset stands here twice.
    pub acknowledged: Vec<(u64, Vec<u8>)>,
    /// Every name in the log's directory. Units: bytes (of no meaning for a directory).
    pub files: BTreeMap<String, u64>,
    /// The steps that made it.
    pub how: Vec<String>,
    /// What is to be known about it.
    pub note: String,
}

/// The names of all cases, sorted.
#[must_use]
pub fn cases() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(fixtures())
        .expect("fixtures/")
        .map(|entry| entry.expect("a case").path())
        .filter(|path| path.is_dir())
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

/// What is known about the case `case`.
#[must_use]
pub fn truth(case: &str) -> Truth {
    let path = case_path(case).join("truth.json");
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(&text).unwrap_or_else(|| panic!("{}: not as expected", path.display()))
}

/// The directory of a case.
pub(crate) fn case_path(case: &str) -> PathBuf {
    fixtures().join(case)
}

fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures"))
}

fn parse(text: &str) -> Option<Truth> {
    let json: Value = serde_json::from_str(text).ok()?;
    let codec = match json.get("codec")?.as_str()? {
        "raw" => Codec::Raw,
        "protobuf" => Codec::Protobuf,
        _ => return None,
    };
    let how = json
        .get("how")?
        .as_array()?
        .iter()
        .map(|step| step.as_str().map(str::to_owned))
        .collect::<Option<Vec<_>>>()?;
    let hexadecimal = how.iter().any(|step| step.contains("values below are hex"));
    let acknowledged = json
        .get("acknowledged")?
        .as_array()?
        .iter()
        .map(|record| {
            let value = record.get("value")?.as_str()?;
            let value = if hexadecimal {
                hex::decode(value).ok()?
            } else {
                value.as_bytes().to_vec()
            };
            Some((record.get("offset")?.as_u64()?, value))
        })
        .collect::<Option<Vec<_>>>()?;
    let files = json
        .get("files")?
        .as_object()?
        .iter()
        .map(|(name, size)| Some((name.clone(), size.as_u64()?)))
        .collect::<Option<BTreeMap<_, _>>>()?;
    Some(Truth {
        codec,
        acknowledged,
        files,
        how,
        note: json.get("note")?.as_str()?.to_owned(),
    })
}
