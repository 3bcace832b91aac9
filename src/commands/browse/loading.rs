//! What is read for the screen, in a thread of its own: a window of rows, the bytes of the
//! chosen one, and whether the log has changed. Between two reads no file of the log is open.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use proglog::inspect::finding::{Finding, Place};
use proglog::inspect::listing::{Listing, SegmentListing};
use proglog::log::directory::{Directory, SegmentNames};
use proglog::log::error::{Error, Result};
use proglog::log::follow::{Follower, Pass, Step};
use proglog::log::live;
use proglog::log::reader::LogReader;
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::scan::layouts;

use super::anchors::Places;
use super::detail::{self, Detail};
use super::places::Shown;
use super::rows::{self, Row, Target, View, Window};
use super::{entries, frames};
use crate::commands::read::doubt::Doubt;
use crate::commands::verify::bytes_at;
use crate::render::prose::escaped;
use crate::render::{hexlines, words};

/// How often the log is checked for changes.
const CHECK: Duration = Duration::from_millis(200);

/// What the screen wants to show.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Rows around a target; a later number replaces an earlier one.
    Load {
        number: u64,
        view: View,
        segment: Offset,
        target: Target,
    },
    /// The bytes of a row.
    Detail(View, Box<Row>),
    /// The words and the bytes of a finding.
    Explain(Box<Finding>),
}

/// How a log changed since it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Records came, or files changed.
    Grew,
    /// The oldest records are gone.
    Trimmed,
    /// Records that were there are other ones, or gone.
    Rewritten,
}

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// The log, each time that it is listed.
    Listed(Vec<Offset>, Option<Codec>),
    Window(u64, Window),
    Detail(Box<Detail>),
    Explained(Vec<String>),
    /// A request failed.
    Failed(u64, String),
    Changed(Change),
    /// The log cannot be opened now.
    Vanished(String),
    Scan(super::scan::Message),
    Search(super::search::Message),
}

/// The reading half.
pub struct Loader {
    path: PathBuf,
    codec: Option<Codec>,
    /// The newest request, by which an older one ends.
    newest: Arc<AtomicU64>,
    out: Sender<Message>,
    log: Option<LogReader>,
    foreign: Option<String>,
    /// What is in the way is checked again, up to a limit between two changes.
    doubt: Doubt,
    places: Places,
    follower: Option<Follower>,
    /// The files of the segment that is on the screen, as they were before they were read.
    shown: Option<SegmentListing>,
    has_vanished: bool,
}

impl Loader {
    pub fn new(
        path: PathBuf,
        codec: Option<Codec>,
        newest: Arc<AtomicU64>,
        out: Sender<Message>,
    ) -> Self {
        Self {
            path,
            codec,
            newest,
            out,
            log: None,
            foreign: None,
            doubt: Doubt::new(codec),
            places: Places::default(),
            follower: None,
            shown: None,
            has_vanished: false,
        }
    }

    /// Serves requests until the other side is gone.
    pub fn run(mut self, requests: &Receiver<Request>) {
        let mut checked = Instant::now();
        loop {
            match requests.recv_timeout(CHECK) {
                Ok(first) => {
                    // Of several at once only the last counts.
                    let (mut load, mut lower) = (None, None);
                    for request in std::iter::once(first).chain(requests.try_iter()) {
                        match request {
                            Request::Load { .. } => load = Some(request),
                            _ => lower = Some(request),
                        }
                    }
                    for request in load.into_iter().chain(lower) {
                        self.serve(&request);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if checked.elapsed() >= CHECK {
                self.check();
                checked = Instant::now();
            }
        }
    }

    fn tell(&self, message: Message) {
        // The other side may be gone.
        let _ = self.out.send(message);
    }

    /// Serves one request.
    pub fn serve(&mut self, request: &Request) {
        let message = match request {
            Request::Load {
                number,
                view,
                segment,
                target,
            } => match self.load(*number, *view, *segment, *target) {
                Ok(None) => return,
                Ok(Some(window)) => Message::Window(*number, window),
                Err(error) => Message::Failed(*number, escaped(&error.to_string())),
            },
            Request::Detail(view, row) => match self.detail(*view, row) {
                Ok(None) => return,
                Ok(Some(detail)) => Message::Detail(Box::new(detail)),
                Err(error) => Message::Explained(vec![escaped(&error.to_string())]),
            },
            Request::Explain(finding) => Message::Explained(self.explain(finding)),
        };
        self.tell(message);
    }

    /// The log, listed again if it has changed.
    fn log(&mut self) -> Result<&mut LogReader> {
        if self.log.is_none() {
            let mut log = LogReader::open(&self.path)?;
            if let Some(codec) = self.codec {
                log.set_codec(codec);
            }
            self.foreign = match layouts::require_any_ours(log.directory()) {
                Err(error @ Error::ForeignLayout { .. }) => Some(error.to_string()),
                Err(error) => return Err(error),
                Ok(()) => None,
            };
            let bases = log.directory().segments.iter().map(|it| it.base).collect();
            let codec = log.codec()?;
            self.tell(Message::Listed(bases, Some(codec)));
            return Ok(self.log.insert(log));
        }
        self.log.as_mut().ok_or_else(|| Error::NotALog {
            path: self.path.clone(),
        })
    }

    /// Repeats what a file that shrinks or vanishes disturbs.
    fn undisturbed<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        live::undisturbed(|| {
            let done = read(self);
            if done.is_err() {
                self.log = None;
            }
            done
        })
    }

    fn load(
        &mut self,
        number: u64,
        view: View,
        segment: Offset,
        target: Target,
    ) -> Result<Option<Window>> {
        self.undisturbed(|this| {
            let log = this.log()?;
            let directory = log.directory();
            let at = match (view, target) {
                (_, Target::Offset(offset)) => offset,
                (View::Records, Target::Start) => Offset(0),
                (View::Records, Target::End) => Offset::MAX,
                (View::Records, Target::Row(key)) => Offset(key.at),
                (View::Entries | View::Frames, _) => segment,
            };
            let Some(names) = names_at(directory, at) else {
                return Ok(None);
            };
            let listing = Listing::segment(&directory.dir, &names);
            let directory = directory.clone();
            let codec = log.codec()?;
            let window = match view {
                View::Records => {
                    if let Some(foreign) = &this.foreign {
                        return Err(foreign_error(&directory, foreign));
                    }
                    let (log, doubt) = (this.log.as_mut(), &mut this.doubt);
                    log.map(|log| rows::records(log, doubt, target))
                        .transpose()?
                }
                View::Entries | View::Frames => {
                    let shown = Shown {
                        directory: &directory,
                        names: &names,
                        codec,
                    };
                    if view == View::Entries {
                        Some(entries::entries(shown, target)?)
                    } else {
                        let newest = Arc::clone(&this.newest);
                        let is_over = || newest.load(Ordering::Relaxed) > number;
                        frames::frames(shown, target, &mut this.places, &is_over)?
                    }
                }
            };
            this.shown = Some(listing);
            Ok(window)
        })
    }

    fn detail(&mut self, view: View, row: &Row) -> Result<Option<Detail>> {
        self.undisturbed(|this| {
            let log = this.log()?;
            let codec = log.codec()?;
            let directory = log.directory();
            let Some(names) = names_at(directory, row.segment) else {
                return Ok(None);
            };
            let shown = Shown {
                directory,
                names: &names,
                codec,
            };
            detail::read(shown, view, row).map(Some)
        })
    }

    /// The text of `explain`, below what `verify -v` prints about the finding.
    fn explain(&mut self, finding: &Finding) -> Vec<String> {
        let mut text = format!("{} {}: ", finding.severity, finding.id).into_bytes();
        text.extend_from_slice(words::message(finding).as_bytes());
        text.push(b'\n');
        if let (Some(place), Ok(log)) = (&finding.place, self.log())
            && place.bytes > 0
        {
            let Place { file, .. } = place;
            text.extend_from_slice(
                format!("{}\n", words::place(finding).unwrap_or_default()).as_bytes(),
            );
            let path = log.directory().dir.at(file);
            let bytes_of = |position, bytes| bytes_at(&path, position, bytes);
            let _ = hexlines::print(&mut text, place, 0, 1, &bytes_of);
        }
        text.push(b'\n');
        text.extend_from_slice(finding.id.explanation().as_bytes());
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().map(escaped).collect()
    }

    /// Checks whether the log is still as it was read.
    pub fn check(&mut self) {
        match self.change() {
            Ok(None) => {}
            Ok(Some(change)) => {
                self.log = None;
                self.doubt = Doubt::new(self.codec);
                self.has_vanished = false;
                self.tell(Message::Changed(change));
            }
            // Found out by the next check.
            Err(error) if live::is_disturbed(&error) => self.follower = None,
            Err(error) => {
                self.follower = None;
                self.log = None;
                if !std::mem::replace(&mut self.has_vanished, true) {
                    self.tell(Message::Vanished(escaped(&error.to_string())));
                }
            }
        }
    }

    fn change(&mut self) -> Result<Option<Change>> {
        let Some(follower) = &mut self.follower else {
            let mut log = LogReader::open(&self.path)?;
            if let Some(codec) = self.codec {
                log.set_codec(codec);
            }
            let next = log.next_offset()?;
            let mut follower = Follower::of(&mut log, next)?;
            if let Some(codec) = self.codec {
                follower.set_codec(codec);
            }
            follower.pass(|_| Ok::<_, Error>(Step::Next))?;
            self.follower = Some(follower);
            // It may have changed since it was read.
            return Ok(Some(Change::Grew));
        };
        if !follower.changed() {
            let other = self.shown.as_ref().is_some_and(|shown| {
                let now = Listing::segment(&follower.directory().dir, &shown.names);
                now != *shown
            });
            self.shown = self.shown.take().filter(|_| !other);
            return Ok(other.then_some(Change::Grew));
        }
        let change = match follower.pass(|_| Ok::<_, Error>(Step::Next))? {
            Pass::End | Pass::Stopped | Pass::Blocked(_) => Change::Grew,
            Pass::Gone { .. } => Change::Trimmed,
            Pass::Rewritten(_) => Change::Rewritten,
        };
        if change != Change::Grew {
            self.follower = None;
        }
        Ok(Some(change))
    }
}

/// The segment that holds an offset, or the first one.
fn names_at(directory: &Directory, offset: Offset) -> Option<SegmentNames> {
    let at = directory.segment_of(offset).unwrap_or(0);
    directory.segments.get(at).cloned()
}

fn foreign_error(directory: &Directory, layout: &str) -> Error {
    Error::ForeignLayout {
        path: directory.path.clone(),
        layout: layout.to_owned(),
    }
}
