//! A manifest as it is written: one JSON object a line, distinguished by `kind`.
//!
//! ```text
//! {"kind":"manifest","version":1,"hash":"blake3","codec":"raw"}
//! {"kind":"run","segment":0,"first_offset":0,"last_offset":59,"bytes":2962,"digest":"9f.."}
//! {"kind":"segment","segment":0,"first_offset":0,"last_offset":59,"records":60,...}
//! {"kind":"summary","segments":1,"runs":1,"records":60,"bytes":2962,"digest":"51.."}
//! ```
//!
//! Reading believes nothing: a line has a greatest length, every number is checked, the
//! digests of segments and of the summary must be those of the runs before them, and
//! a manifest without a summary was cut off.

use std::io::{self, BufRead, Read};

use serde_json::{Map, Value, json};

use super::make::Part;
use super::{Digest, Gathered, Header, Run, Summary};
use crate::inspect::finding::OffsetRange;
use crate::log::units::Offset;

/// Which version of this is written.
const VERSION: u64 = 1;

/// The longest line that is read. Units: bytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It could not be read.
    #[error("cannot read the manifest: {0}")]
    Io(#[from] io::Error),
    /// Nothing is in it.
    #[error("the manifest is empty")]
    Empty,
    /// It is not a manifest, or it was changed.
    #[error("line {line} of the manifest: {why}")]
    Malformed {
        /// Which line, from 1.
        line: u64,
        /// The error in it.
        why: String,
    },
    /// It has no end.
    #[error("the manifest is cut off after line {line}: it has no summary")]
    CutOff {
        /// Its last complete line, from 1.
        line: u64,
    },
    /// It was made from a log with another codec.
    #[error("the manifest is of a {manifest} log, and this one is {log}")]
    OtherCodec {
        /// The manifest's.
        manifest: crate::log::record::Codec,
        /// The log's.
        log: crate::log::record::Codec,
    },
}

/// The first line.
#[must_use]
pub fn header(header: Header) -> String {
    json!({
        "kind": "manifest",
        "version": VERSION,
        "hash": "blake3",
        "codec": header.codec.map(crate::log::record::Codec::as_str),
    })
    .to_string()
}

/// A run's or a segment's line; `None` for what has none.
#[must_use]
pub fn part(part: &Part) -> Option<String> {
    let value = match part {
        Part::Unreadable(_) => return None,
        Part::Run(run) => json!({
            "kind": "run",
            "segment": run.segment.0,
            "first_offset": run.offsets.first.0,
            "last_offset": run.offsets.last.0,
            "bytes": run.bytes,
            "digest": text(run.digest),
        }),
        Part::Segment(segment) => json!({
            "kind": "segment",
            "segment": segment.segment.0,
            "first_offset": segment.offsets.first.0,
            "last_offset": segment.offsets.last.0,
            "records": segment.records,
            "bytes": segment.bytes,
            "digest": text(segment.digest),
        }),
    };
    Some(value.to_string())
}

/// The last line.
#[must_use]
pub fn summary(summary: &Summary) -> String {
    let mut value = json!({
        "kind": "summary",
        "segments": summary.segments,
        "runs": summary.runs,
        "records": summary.records,
        "bytes": summary.bytes,
        "digest": text(summary.digest),
    });
    if summary.damaged
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("damaged".to_owned(), true.into());
    }
    value.to_string()
}

/// A digest in hexadecimal.
#[must_use]
pub fn text(digest: Digest) -> String {
    blake3::Hash::from_bytes(digest).to_hex().to_string()
}

/// Reads a manifest run by run, in constant memory.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    line: u64,
    buffer: Vec<u8>,
    all: Gathered,
    segments: u64,
    /// The runs since the last segment line.
    of_segment: Gathered,
    last: Option<Offset>,
    /// The last run's segment.
    segment: Option<Offset>,
    header: Header,
    summary: Option<Summary>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    ///
    /// [`ManifestError`].
    pub fn open(input: R) -> Result<Self, ManifestError> {
        let mut reader = Self {
            input,
            line: 0,
            buffer: Vec::new(),
            all: Gathered::default(),
            segments: 0,
            of_segment: Gathered::default(),
            last: None,
            segment: None,
            header: Header { codec: None },
            summary: None,
        };
        let Some(fields) = reader.next_line()? else {
            return Err(ManifestError::Empty);
        };
        if fields.get("kind").and_then(Value::as_str) != Some("manifest") {
            return Err(reader.wrong("it does not begin a manifest"));
        }
        let version = reader.number(&fields, "version")?;
        if version != VERSION || fields.get("hash").and_then(Value::as_str) != Some("blake3") {
            let why = format!("version {version} and its hash are not supported");
            return Err(reader.wrong(&why));
        }
        reader.header.codec = match fields.get("codec") {
            None => return Err(reader.wrong("no codec")),
            Some(Value::Null) => None,
            Some(codec) => match codec.as_str().map(str::parse) {
                Some(Ok(codec)) => Some(codec),
                _ => return Err(reader.wrong("no such codec")),
            },
        };
        Ok(reader)
    }

    /// The first line, parsed.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// The last line, once it was read.
    #[must_use]
    pub fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    /// The next run; `None` after the summary.
    ///
    /// # Errors
    ///
    /// [`ManifestError`].
    pub fn next_run(&mut self) -> Result<Option<Run>, ManifestError> {
        loop {
            let Some(fields) = self.next_line()? else {
                let line = self.line;
                let whole = self.summary.is_some();
                return if whole {
                    Ok(None)
                } else {
                    Err(ManifestError::CutOff { line })
                };
            };
            if self.summary.is_some() {
                return Err(self.wrong("something follows the summary"));
            }
            match fields.get("kind").and_then(Value::as_str) {
                Some("run") => return self.run(&fields).map(Some),
                Some("segment") => {
                    let gathered = std::mem::take(&mut self.of_segment);
                    self.holds(&fields, &gathered)?;
                    self.is_segment(&fields, &gathered)?;
                    self.segments += 1;
                }
                Some("summary") => {
                    let digest = self.holds(&fields, &self.all)?;
                    if self.number(&fields, "runs")? != self.all.runs
                        || self.number(&fields, "segments")? != self.segments
                        || self.of_segment.runs > 0
                    {
                        return Err(self.wrong("lines are missing before it"));
                    }
                    self.summary = Some(Summary {
                        segments: self.segments,
                        runs: self.all.runs,
                        records: self.all.records,
                        bytes: self.all.bytes,
                        damaged: fields.get("damaged") == Some(&Value::Bool(true)),
                        digest,
                    });
                }
                Some("manifest") => return Err(self.wrong("a second manifest begins here")),
                // Fields that a later version may add.
                Some(_) => {}
                None => return Err(self.wrong("it has no kind")),
            }
        }
    }

    fn run(&mut self, fields: &Map<String, Value>) -> Result<Run, ManifestError> {
        let first = Offset(self.number(fields, "first_offset")?);
        let last = Offset(self.number(fields, "last_offset")?);
        if first > last {
            return Err(self.wrong("its last offset is below the first"));
        }
        if self.last.is_some_and(|before| before >= first) {
            return Err(self.wrong("its offsets do not follow those before it"));
        }
        let run = Run {
            segment: Offset(self.number(fields, "segment")?),
            offsets: OffsetRange { first, last },
            bytes: self.number(fields, "bytes")?,
            digest: self.digest(fields)?,
        };
        self.last = Some(last);
        self.segment = Some(run.segment);
        self.all.add(&run);
        self.of_segment.add(&run);
        Ok(run)
    }

    /// Whether a line's digest and count are those of the runs before it.
    fn holds(
        &self,
        fields: &Map<String, Value>,
        gathered: &Gathered,
    ) -> Result<Digest, ManifestError> {
        let digest = self.digest(fields)?;
        if digest != gathered.digest()
            || self.number(fields, "records")? != gathered.records
            || self.number(fields, "bytes")? != gathered.bytes
        {
            return Err(
                self.wrong("it does not match the runs before it: the manifest was changed")
            );
        }
        Ok(digest)
    }

    /// Whether the runs before a segment's line are those that it speaks of.
    fn is_segment(
        &self,
        fields: &Map<String, Value>,
        gathered: &Gathered,
    ) -> Result<(), ManifestError> {
        let first = Offset(self.number(fields, "first_offset")?);
        let last = Offset(self.number(fields, "last_offset")?);
        let segment = Some(Offset(self.number(fields, "segment")?));
        if gathered.offsets != Some(OffsetRange { first, last }) || segment != self.segment {
            return Err(
                self.wrong("it does not match the runs before it: the manifest was changed")
            );
        }
        Ok(())
    }

    fn number(&self, fields: &Map<String, Value>, name: &str) -> Result<u64, ManifestError> {
        let number = fields.get(name).and_then(Value::as_u64);
        number.ok_or_else(|| self.wrong(&format!("no number {name:?}")))
    }

    fn digest(&self, fields: &Map<String, Value>) -> Result<Digest, ManifestError> {
        let digest = fields.get("digest").and_then(Value::as_str);
        // As it is written, in small letters.
        let digest = digest.and_then(|digest| {
            let hash = blake3::Hash::from_hex(digest).ok()?;
            (hash.to_hex().as_str() == digest).then_some(hash)
        });
        let digest = digest.ok_or_else(|| self.wrong("not a digest of 64 hexadecimal digits"))?;
        Ok(*digest.as_bytes())
    }

    fn wrong(&self, why: &str) -> ManifestError {
        ManifestError::Malformed {
            line: self.line,
            why: why.to_owned(),
        }
    }

    /// The next line that is not blank; `None` at the end.
    fn next_line(&mut self) -> Result<Option<Map<String, Value>>, ManifestError> {
        loop {
            self.buffer.clear();
            let mut limited = self.input.by_ref().take(LINE_BYTES_MAX);
            if limited.read_until(b'\n', &mut self.buffer)? == 0 {
                return Ok(None);
            }
            let whole = self.buffer.ends_with(b"\n");
            if !whole && (self.buffer.len() as u64) < LINE_BYTES_MAX && self.line > 0 {
                // Its last bytes may be missing.
                let parses = serde_json::from_slice::<Map<String, Value>>(&self.buffer).is_ok();
                if !parses {
                    return Err(ManifestError::CutOff { line: self.line });
                }
            }
            self.line += 1;
            if self.buffer.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return match serde_json::from_slice(&self.buffer) {
                Ok(fields) => Ok(Some(fields)),
                Err(_) => Err(self.wrong("no JSON object")),
            };
        }
    }
}
