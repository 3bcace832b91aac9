//! Records on their way out of the log, read ahead by a thread of its own in batches of
//! bounded size. Dropping the feed ends it.

use std::ops::ControlFlow;
use std::path::Path;

use proglog::log::error::Error;
use proglog::log::reader::{Item, Obstacle};
use proglog::log::threads;
use proglog::log::units::Offset;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Trouble;
use super::source::Source;
use crate::commands::{Failure, Status, quote};

/// Limits of a batch: bytes of values, and records.
const BATCH: (usize, usize) = (512 * 1024, 1024);

/// Batches that wait.
const WAITING: usize = 2;

/// A record to be sent.
#[derive(Debug)]
pub struct Outgoing {
    /// Its offset.
    pub offset: Offset,
    /// Its value.
    pub value: Vec<u8>,
    /// The Raft term.
    pub term: u64,
    /// The Raft log's type of record.
    pub record_type: u32,
}

/// The items of the feed: records, and possibly an obstacle at the end.
pub type Fed = Result<Vec<Outgoing>, Trouble>;

/// Records from an offset up to another, in order.
pub struct Feed {
    batches: Receiver<Fed>,
}

impl Feed {
    /// Begins to read.
    pub fn begin(source: &Source, from: Offset, end: Offset) -> Result<Self, Error> {
        let mut log = source.reader()?;
        let directory = source.path().to_path_buf();
        let (sender, batches) = channel(WAITING);
        let reads_ahead = move || {
            let mut batch = Batch::default();
            let read = log.read::<Trouble>(from, end, |item| match item {
                Item::Record(record) => {
                    let mut value =
                        Vec::with_capacity(usize::try_from(record.value.len()).unwrap_or(0));
                    record.value.pieces(|piece| {
                        value.extend_from_slice(piece);
                        Ok::<(), Error>(())
                    })?;
                    batch.bytes += value.len();
                    batch.records.push(Outgoing {
                        offset: record.offset,
                        value,
                        term: record.term,
                        record_type: record.record_type,
                    });
                    Ok(batch.hand_over_if(&sender, BATCH))
                }
                Item::Obstacle {
                    obstacle: what,
                    first,
                    last,
                } => Err(obstacle(&directory, what, first, last)),
            });
            let ended = batch.hand_over_if(&sender, (0, 1));
            if let Err(trouble) = read
                && ended.is_continue()
            {
                // The receiver may be gone.
                let _ = sender.blocking_send(Err(trouble));
            }
        };
        threads::start(reads_ahead).map_err(Error::io("start a thread to read", source.path()))?;
        Ok(Self { batches })
    }

    /// The next batch; `None` at the end.
    pub async fn next(&mut self) -> Option<Fed> {
        self.batches.recv().await
    }
}

#[derive(Default)]
struct Batch {
    records: Vec<Outgoing>,
    bytes: usize,
}

impl Batch {
    /// Sends the batch if it has that many bytes or records, and waits for room; breaks
    /// if the receiver is gone.
    fn hand_over_if(
        &mut self,
        sender: &Sender<Fed>,
        (bytes, records): (usize, usize),
    ) -> ControlFlow<()> {
        let full = self.records.len() >= records || (bytes > 0 && self.bytes >= bytes);
        if !full {
            return ControlFlow::Continue(());
        }
        self.bytes = 0;
        match sender.blocking_send(Ok(std::mem::take(&mut self.records))) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// The obstacle that ends the feed.
pub fn obstacle(
    directory: &Path,
    obstacle: Obstacle,
    first: Offset,
    last: Option<Offset>,
) -> Trouble {
    let offsets = match last {
        Some(last) if last > first => format!("offsets {first}..{last}"),
        _ => format!("offset {first}"),
    };
    let (path, verify) = (
        quote(directory),
        format!("proglog verify {}", quote(directory)),
    );
    let what = match obstacle {
        Obstacle::Damage { damage, .. } => damage.to_string(),
        Obstacle::Contested { .. } => "two records claim each of them".to_owned(),
        Obstacle::Unindexed { .. } => "the index has no entries for them".to_owned(),
        Obstacle::Gap => "no segment contains them".to_owned(),
        Obstacle::Overlap { newer } => format!("segment {newer} claims them too"),
        Obstacle::Unpaired { segment, missing } => {
            format!("segment {segment} has no {missing:?}").to_lowercase()
        }
    };
    Failure::new(
        Status::Damage,
        format!("{path}: {offsets} cannot be read: {what}"),
    )
    .hint(verify)
    .into()
}
