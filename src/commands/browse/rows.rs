//! The rows of the middle pane: what a row is, and a window of them around a target. The rows
//! of records are here, those of entries and frames in `places`.

use std::ops::ControlFlow;

use proglog::log::error::{Error, Result};
use proglog::log::reader::{Content, Item, LogReader, Obstacle, RecordView};
use proglog::log::units::Offset;

use crate::commands::read::doubt::{Doubt, Outcome};
use crate::commands::read::obstacle::{GoesOn, describe};
use crate::render::prose::escaped;
use crate::render::text::one_line;

/// Rows on each side of the target that are loaded.
pub const AROUND: usize = 512;

/// The same where values are large: as many as a screen may have, in these bytes.
const AROUND_LEAST: usize = 128;
const AROUND_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes of a value that its row shows at most.
const HEAD_BYTES: usize = 512;

/// The columns of the middle pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// All records of the log.
    Records,
    /// The entries of a segment's index.
    Entries,
    /// The frames of a segment's store.
    Frames,
}

/// The place of a row in its view: an offset, or a position in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub at: u64,
    /// An obstacle may be followed by the record at the same offset.
    pub is_obstacle: bool,
}

/// Where a window is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Start,
    End,
    Offset(Offset),
    Row(Key),
}

/// How a row is colored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    /// Padding, a writer's buffer.
    Note,
    Damage,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub key: Key,
    /// The last offset of an obstacle.
    pub last: Option<Offset>,
    /// The segment that holds it.
    pub segment: Offset,
    pub offset: Option<Offset>,
    /// Position of its frame in the store, if it names one.
    pub frame: Option<u64>,
    /// The payload of that frame as it was. Bytes.
    pub payload_bytes: Option<u64>,
    pub text: String,
    pub tone: Tone,
}

/// Some rows in order, and whether more follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub view: View,
    pub segment: Offset,
    pub heading: String,
    pub rows: Vec<Row>,
    /// The row that was wanted.
    pub cursor: usize,
    pub is_start: bool,
    pub is_end: bool,
}

/// The records around a target, of all segments.
pub fn records(log: &mut LogReader, doubt: &mut Doubt, target: Target) -> Result<Window> {
    let lowest = log.lowest_offset();
    let last_base = log.directory().segments.last().map(|it| it.base);
    let end = last_base.map_or(lowest, |base| base.saturating_add(1));
    let end = log.claimed_end()?.max(end);
    let at = match target {
        Target::Start => lowest,
        Target::End => end,
        Target::Offset(offset) => offset.max(lowest).min(end),
        Target::Row(key) => Offset(key.at).max(lowest).min(end),
    };
    let mut rows = Gathered::of(log, doubt, end);
    let is_start = rows.before(at, lowest)?;
    let is_end = target == Target::End || rows.behind(at)?;
    let kept = rows.kept;
    let is_at = |kept: &Kept| kept.first <= at && kept.last.is_some_and(|last| at <= last);
    let wants_obstacle = matches!(target, Target::Row(key) if key.is_obstacle);
    let same = |it: &Kept| is_at(it) && (it.obstacle.is_some() == wants_obstacle);
    let cursor = match target {
        Target::Start => 0,
        Target::End => kept.len().saturating_sub(1),
        _ => {
            let exact = kept.iter().rposition(same);
            let any = || kept.iter().rposition(is_at);
            let next = || kept.iter().position(|it| it.first >= at);
            let last = kept.len().saturating_sub(1);
            exact.or_else(any).or_else(next).unwrap_or(last)
        }
    };
    let width = |number: u64| number.checked_ilog10().unwrap_or(0) as usize + 1;
    let offsets = width(end.0).max(6);
    let sizes = kept.iter().map(|it| width(it.bytes)).max();
    let sizes = sizes.unwrap_or(0).max(4);
    let rows = kept.into_iter().map(|it| it.row(offsets, sizes)).collect();
    Ok(Window {
        view: View::Records,
        segment: lowest,
        heading: format!("{:>offsets$}  {:>sizes$}  VALUE", "OFFSET", "SIZE"),
        rows,
        cursor,
        is_start,
        is_end,
    })
}

/// A record or an obstacle, before the widths of the columns are known.
struct Kept {
    first: Offset,
    last: Option<Offset>,
    segment: Offset,
    position: Option<u64>,
    bytes: u64,
    payload_bytes: u64,
    obstacle: Option<Obstacle>,
    text: String,
    tone: Tone,
}

impl Kept {
    fn of(record: &RecordView<'_>) -> Result<Self> {
        Ok(Self {
            first: record.offset,
            last: Some(record.offset),
            segment: record.segment,
            position: Some(record.position.0),
            bytes: record.value.len(),
            payload_bytes: record.payload.len(),
            obstacle: None,
            text: one_line(&head(&record.value)?),
            tone: Tone::Plain,
        })
    }

    fn row(self, offsets: usize, sizes: usize) -> Row {
        let is_obstacle = self.obstacle.is_some();
        let text = if is_obstacle {
            format!("! {}", self.text)
        } else {
            format!(
                "{:>offsets$}  {:>sizes$}  {}",
                self.first, self.bytes, self.text
            )
        };
        Row {
            key: Key {
                at: self.first.0,
                is_obstacle,
            },
            last: self.last,
            segment: self.segment,
            offset: Some(self.first),
            frame: self.position,
            payload_bytes: (!is_obstacle).then_some(self.payload_bytes),
            text,
            tone: self.tone,
        }
    }
}

/// The first bytes of a value.
fn head(content: &Content<'_>) -> Result<Vec<u8>> {
    let cut = |bytes: &[u8]| bytes.get(..HEAD_BYTES).unwrap_or(bytes).to_vec();
    match content {
        Content::Memory(bytes) => Ok(cut(bytes)),
        Content::File(file, start, bytes) => {
            let bytes = (*bytes).min(HEAD_BYTES as u64);
            Content::File(file.clone(), *start, bytes).to_vec()
        }
    }
}

/// What has been read around the target.
struct Gathered<'a> {
    log: &'a mut LogReader,
    doubt: &'a mut Doubt,
    end: Offset,
    kept: Vec<Kept>,
}

impl<'a> Gathered<'a> {
    fn of(log: &'a mut LogReader, doubt: &'a mut Doubt, end: Offset) -> Self {
        Self {
            log,
            doubt,
            end,
            kept: Vec::new(),
        }
    }

    /// Takes what is before `at`; returns whether that is the start of the log.
    fn before(&mut self, at: Offset, lowest: Offset) -> Result<bool> {
        let mut low = at;
        for around in [AROUND_LEAST, AROUND] {
            let from = Offset(at.0.saturating_sub(around as u64)).max(lowest);
            let mut read = Vec::new();
            let mut bytes = 0;
            let _ = self.log.read::<Error>(from, low, |item| {
                bytes += add(&mut read, item)?;
                Ok(ControlFlow::Continue(()))
            })?;
            read.append(&mut self.kept);
            self.kept = read;
            low = from;
            if bytes > AROUND_BYTES || from == lowest {
                break;
            }
        }
        let begins_with_record = self.kept.first().is_none_or(|it| it.obstacle.is_none());
        if begins_with_record || low == lowest {
            self.judge();
            return Ok(low == lowest);
        }
        // A range without records may be long: it is passed in larger steps.
        self.kept.clear();
        let mut read = Vec::new();
        let flow = self.log.read_reverse::<Error>(lowest, at, |item| {
            add(&mut read, item)?;
            // Parts of one obstacle come one by one.
            let joined = read.windows(2).filter(|pair| !is_joined(pair)).count();
            Ok(if joined >= AROUND_LEAST {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        read.reverse();
        self.kept = read;
        self.judge();
        Ok(flow.is_continue())
    }

    /// Takes what begins at `at`; returns whether that is all there is.
    fn behind(&mut self, at: Offset) -> Result<bool> {
        let mut read = Vec::new();
        let mut bytes = 0;
        let flow = self.log.read::<Error>(at, self.end, |item| {
            bytes += add(&mut read, item)?;
            let enough = bytes > AROUND_BYTES && read.len() >= AROUND_LEAST;
            Ok(if enough || read.len() >= AROUND {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        self.kept.append(&mut read);
        self.judge();
        Ok(flow.is_continue())
    }

    /// Joins the parts of obstacles, and gives each its words, as `read` judges it.
    fn judge(&mut self) {
        let mut kept: Vec<Kept> = Vec::with_capacity(self.kept.len());
        for it in self.kept.drain(..) {
            let before = it.obstacle.as_ref().and_then(|_| {
                let mut before = kept.iter_mut().rev();
                before.find(|before| before.obstacle == it.obstacle && follows(before, &it))
            });
            match before {
                Some(before) => before.last = it.last,
                None => kept.push(it),
            }
        }
        let directory = self.log.directory();
        let doubt = &mut *self.doubt;
        kept.retain_mut(|it| {
            let Some(obstacle) = &it.obstacle else {
                return true;
            };
            let Some(mut trouble) = describe(directory, obstacle, it.first, it.last) else {
                return false;
            };
            it.tone = Tone::Damage;
            if let Outcome::Buffered(buffered) = doubt.judge(directory, obstacle, it.first) {
                trouble.buffered = Some(buffered);
                it.tone = Tone::Note;
            }
            let line = escaped(&trouble.line(GoesOn::Unknown));
            let words = line
                .split_once(": ")
                .map_or(line.as_str(), |(_, words)| words);
            words.clone_into(&mut it.text);
            let segments = &directory.segments;
            let at = directory.segment_of(it.first);
            it.segment = at
                .and_then(|at| segments.get(at))
                .map_or(it.first, |it| it.base);
            true
        });
        self.kept = kept;
    }
}

fn follows(before: &Kept, it: &Kept) -> bool {
    before
        .last
        .is_some_and(|last| last.checked_add(1) == Some(it.first))
}

fn is_joined(pair: &[Kept]) -> bool {
    match pair {
        [one, other] => one.obstacle.is_some() && one.obstacle == other.obstacle,
        _ => false,
    }
}

/// Keeps an item; returns the bytes that were read for it.
fn add(kept: &mut Vec<Kept>, item: Item<'_>) -> Result<u64> {
    match item {
        Item::Record(record) => {
            let it = Kept::of(record)?;
            let bytes = it.bytes;
            kept.push(it);
            Ok(bytes)
        }
        Item::Obstacle {
            obstacle,
            first,
            last,
        } => {
            kept.push(Kept {
                first,
                last,
                segment: first,
                position: None,
                bytes: 0,
                payload_bytes: 0,
                obstacle: Some(obstacle),
                text: String::new(),
                tone: Tone::Damage,
            });
            Ok(0)
        }
    }
}
