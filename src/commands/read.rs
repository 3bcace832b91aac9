//! `proglog read`: prints all records, or the selected ones.
//!
//! ```console
//! $ proglog read log 42
//! $ proglog read log -n 10
//! $ proglog read log 100..199 --json
//! $ proglog read log -5.. -r --format '%o %s\n'
//! ```
//!
//! Everything before damage is printed, then the finding is reported on stderr, with the
//! offset where the log continues; `--on-error skip` continues there. Nothing is locked
//! and nothing in the directory changes. The end of the log is fixed when the command
//! begins, so that a busy log ends too. The selection is in `select`, the output of
//! records in `deliver`, the messages in `obstacle`. A read that continues (`-f`, a
//! cursor file, a command) is in `follow`.

pub mod cursor;
mod deliver;
pub mod doubt;
mod fingerprint;
mod follow;
mod going_on;
mod lookups;
pub mod obstacle;
pub mod open;
mod output;
pub mod pattern;
pub mod range;
pub mod resume;
mod search;
mod select;
mod session;
mod wait;
mod worker;

use std::io::BufWriter;
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use proglog::log::error::Error;
use proglog::log::live::{self, PAUSES};
use proglog::log::lookup::OpenSegments;
use proglog::log::reader::{Item, LogReader};
use proglog::log::record::Codec;
use proglog::log::units::Offset;

use self::deliver::Delivery;
use self::doubt::Doubt;
use self::going_on::GoingOn;
use self::output::Output as Out;
use self::range::{OnError, Range};
use self::search::Search;
use self::select::Selection;
use super::offsets::{Place, Selected, Span, not_yet};
use super::progress::Bar;
use super::{Failure, Globals, OUTPUT_BYTES, Status, is_closed_pipe, options, quote, raw_stdout};
use crate::render::field::WriteError;
use crate::render::record::{Printer, Shape};
use crate::render::template::Template;

const EXAMPLES: &str = "\
proglog read log 42                      one record
proglog read log -n 10                   the last ten
proglog read log 100..199                a hundred, both ends included
proglog read log -g 'time ?out' -C 2     what matches, with two records around it
proglog read log --offsets list          the records of a list
proglog read log -5.. --json             the last five offsets, as JSON lines
proglog read log --frames | proglog append copy --input frames
proglog read log -n 10 -f                the last ten, then new ones
proglog read log --cursor-file c -c 100 -- ./work
                                         a work queue: the next hundred";

/// Print records, in order
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub struct Arguments {
    /// The log's directory
    pub dir: PathBuf,

    #[command(flatten)]
    selected: Selected,
    /// Print only the record at offset N; -1 is the last
    #[arg(long, value_name = "N")]
    #[arg(conflicts_with_all = ["range", "negative_range"])]
    offset: Option<Place>,
    /// Print the records whose offsets are in FILE (- is standard input), one offset a
    /// line, in the order of the lines
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["range", "negative_range", "from", "to", "offset", "tail"])]
    #[arg(conflicts_with_all = ["reverse", "follow", "retry", "cursor_file", "command"])]
    #[arg(conflicts_with_all = ["after_context", "before_context", "context"])]
    offsets: Option<PathBuf>,
    /// Print only the first K of the selected records
    #[arg(short, long, value_name = "K", value_parser = options::number)]
    count: Option<u64>,
    /// Print only the last K of the selected records
    #[arg(short = 'n', long, value_name = "K", value_parser = options::number)]
    tail: Option<u64>,
    /// Print the selected records in reverse order
    #[arg(short, long)]
    reverse: bool,

    #[command(flatten)]
    output: Output,

    /// Print the protobuf message instead of the value in it
    #[arg(long)]
    no_decode: bool,
    /// Stop at damage, or skip it and continue
    #[arg(long, value_name = "stop|skip", default_value = "stop")]
    on_error: OnError,
    #[arg(long, value_name = "CODEC", help = options::CODEC)]
    codec: Option<Codec>,
    #[command(flatten)]
    search: search::Options,
    #[command(flatten)]
    going_on: GoingOn,
}

impl Arguments {
    /// How records are printed on stdout.
    fn printer(&self, globals: Globals, search: Option<&Search>) -> Printer {
        let highlight = search
            .and_then(Search::highlight)
            .filter(|_| globals.color_on_stdout() && !self.no_decode);
        Printer {
            shape: self.output.shape(),
            no_decode: self.no_decode,
            terminal: super::stdout_is_terminal(),
            highlight: highlight.map(|pattern| pattern.regex().clone()),
        }
    }

    /// The single requested record.
    fn one(&self) -> Option<Place> {
        self.offset.or_else(|| self.selected.typed()?.single())
    }

    /// Whether no part of the log is left out.
    fn selects_all(&self) -> bool {
        let whole = self.offset.is_none()
            && self.offsets.is_none()
            && self.selected.span() == Span::default();
        whole && self.count.is_none() && self.tail.is_none()
    }
}

/// The formats; a record and a newline where none is named.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
#[expect(clippy::struct_excessive_bools, reason = "one of them at most")]
struct Output {
    /// End each record with NUL instead of a newline
    #[arg(short = '0', long)]
    null: bool,
    /// End each record with this delimiter; accepts \n \r \t \0 \\ \xHH
    #[arg(short, long, value_name = "BYTE-OR-STRING", allow_hyphen_values = true)]
    #[arg(value_parser = OsStringValueParser::new().try_map(|text| Shape::ended_by(&text)))]
    delimiter: Option<Shape>,
    /// Print the bytes of the records, nothing else
    #[arg(long)]
    raw: bool,
    /// Print an 8-byte big-endian length before each record (lossless)
    #[arg(long)]
    frames: bool,
    /// Print a hex dump with offset and position
    #[arg(long)]
    hex: bool,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    /// Print each record as FMT: %o offset, %s value, %S length of the value, %x value in
    /// hex, %t term, %T type, %p position, %b base of the segment, %% percent; \n \t \0 \xHH
    #[arg(long, value_name = "FMT")]
    format: Option<Template>,
}

impl Output {
    fn shape(&self) -> Shape {
        match &self.format {
            Some(template) => Shape::Template(template.clone()),
            None if self.null => Shape::Byte(0),
            None if self.raw => Shape::Raw,
            None if self.frames => Shape::Frames,
            None if self.hex => Shape::Hex,
            None if self.json => Shape::Json,
            None => self.delimiter.clone().unwrap_or(Shape::Byte(b'\n')),
        }
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    check(arguments)?;
    going_on::check(arguments)?;
    if arguments.going_on.is_asked() {
        return follow::run(arguments, globals);
    }
    let search = arguments.search.search()?;
    let printer = arguments.printer(globals, search.as_ref());
    let out = Out::plain(raw_stdout().map_err(WriteError::from)?);
    let out = BufWriter::with_capacity(OUTPUT_BYTES, out);
    let mut log = open::open(arguments)?;
    let directory = log.directory().clone();
    let doubt = Doubt::new(arguments.codec);
    let (on_error, doubt) = (arguments.on_error, Some(doubt));
    let mut delivery = Delivery::new(directory, printer, out, on_error, doubt, search.clone());
    let counted = arguments.selects_all().then_some(0);
    let bar = Bar::for_output("read", &arguments.dir, counted, globals);
    delivery.limit(arguments.count.filter(|_| !arguments.reverse));
    let read = match (arguments.one(), &arguments.offsets) {
        (Some(place), _) => undisturbed(&mut log, arguments, |log| {
            one(log, &mut OpenSegments::default(), place, &mut delivery)
        }),
        (_, Some(list)) => lookups::run(&mut log, arguments, list, &mut delivery),
        _ => range(&mut log, arguments, globals, search.as_ref(), &mut delivery),
    };
    let read = read.map(|outcome| outcome.searched(arguments, delivery.is_in_vain()));
    // Records read before an error are printed all the same.
    let flushed = delivery.flush().map_err(anyhow::Error::from);
    drop(bar);
    let ended = read.and_then(|outcome| flushed.map(|()| outcome));
    Outcome::status(ended, delivery.damaged())
}

/// Opens the log again and runs `read` again while a file shrinks or vanishes under it.
fn undisturbed<T>(
    log: &mut LogReader,
    arguments: &Arguments,
    mut read: impl FnMut(&mut LogReader) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    for pause in PAUSES {
        match read(log) {
            Err(error) if is_disturbed(&error) => std::thread::sleep(pause),
            other => return other,
        }
        *log = open::open(arguments)?;
    }
    read(log)
}

/// The errors of the engine unchanged, because messages and hints depend on them.
fn unwrapped(error: WriteError) -> anyhow::Error {
    match error {
        WriteError::Log(error) => error.into(),
        other => other.into(),
    }
}

/// Whether a file shrank or vanished while it was read.
fn is_disturbed(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Error>()
        .is_some_and(live::is_disturbed)
}

/// How a read ended, damage aside.
enum Outcome {
    Done,
    /// Why none of the requested records exists.
    No(String),
}

impl Outcome {
    /// The end of a search, which found something or did not.
    fn searched(self, arguments: &Arguments, in_vain: bool) -> Self {
        match (self, arguments.search.in_vain()) {
            (Self::Done, Some(message)) if in_vain => Self::No(message),
            (outcome, _) => outcome,
        }
    }

    /// The exit status of an end; a closed stdout hides no damage.
    fn status(ended: anyhow::Result<Self>, damaged: bool) -> anyhow::Result<Status> {
        match ended {
            Err(error) if damaged && is_closed_pipe(&error) => Ok(Status::Damage),
            ended => ended?.into_status(damaged),
        }
    }

    /// The exit status; damage outweighs a negative result.
    fn into_status(self, damaged: bool) -> anyhow::Result<Status> {
        match self {
            _ if damaged => Ok(Status::Damage),
            Self::Done => Ok(Status::Done),
            Self::No(message) => Err(Failure::new(Status::No, message).into()),
        }
    }
}

/// Refuses options that contradict each other, and a search of no record.
fn check(arguments: &Arguments) -> Result<(), Failure> {
    let none = match (arguments.count, arguments.tail) {
        (Some(0), _) => Some("-c 0"),
        (_, Some(0)) if !arguments.going_on.follows() => Some("-n 0"),
        _ => None,
    };
    if let (Some(none), Some(_)) = (none, arguments.search.in_vain()) {
        let message = format!("{none} selects no record: nothing was searched");
        return Err(
            Failure::new(Status::No, message).hint("choose a number from 1 on, or omit the option")
        );
    }
    let Some(offset) = arguments.one() else {
        return Ok(());
    };
    let span = arguments.selected.span();
    let is_typed = arguments.offset.is_none();
    let asks = if is_typed {
        format!("{offset} selects")
    } else {
        "--offset selects".to_owned()
    };
    let given = |place: Option<Place>| place.filter(|_| !is_typed);
    let others = [
        ("--from", given(span.from).map(|from| format!("{from}.."))),
        (
            "--to",
            given(span.to).map(|to| match (offset, to) {
                (Place::At(offset), Place::At(to)) if offset > to => format!("..{to}"),
                _ => format!("{offset}..{to}"),
            }),
        ),
        (
            "--count",
            arguments
                .count
                .map(|count| format!("{offset}.. -c {count}")),
        ),
        ("--tail", arguments.tail.map(|tail| format!("-n {tail}"))),
    ];
    let Some((other, Some(range))) = others.into_iter().find(|(_, range)| range.is_some()) else {
        return Ok(());
    };
    let message = format!("{asks} one record, {other} a range");
    let hint = format!("proglog read {} {range}", quote(&arguments.dir));
    Err(Failure::new(Status::Failed, message).hint(hint))
}

/// Prints the one record at an offset.
fn one(
    log: &mut LogReader,
    open: &mut OpenSegments,
    place: Place,
    delivery: &mut Delivery,
) -> anyhow::Result<Outcome> {
    delivery.begin_one();
    let lowest = log.lowest_offset();
    let offset = match place {
        Place::At(offset) => offset,
        Place::FromEnd(back) => {
            let next = log.next_offset()?;
            match next.0.checked_sub(back).map(Offset) {
                Some(offset) if offset >= lowest => offset,
                _ if next == lowest => {
                    return Ok(Outcome::No("the log has no records".to_owned()));
                }
                _ => {
                    return Ok(Outcome::No(format!(
                        "offset {place} from the end is before the log, which begins at {lowest}"
                    )));
                }
            }
        }
    };
    if offset < lowest {
        return Ok(Outcome::No(format!(
            "offset {offset} is no longer in the log, which begins at {lowest}"
        )));
    }
    let found = log.lookup_in::<WriteError>(open, offset, |item| match item {
        Item::Record(_) => delivery.item(item).map(|_| ControlFlow::Break(())),
        Item::Obstacle { .. } => Ok(ControlFlow::Break(())),
    });
    let _ = found.map_err(unwrapped)?;
    if delivery.came() {
        return Ok(Outcome::Done);
    }
    // The index alone is not enough: find the obstacle.
    let range = Range {
        from: offset,
        last: Some(offset),
    };
    delivery.run(log, range)?;
    if delivery.came() || delivery.damaged() {
        return Ok(Outcome::Done);
    }
    Ok(Outcome::No(not_yet(offset, log.next_offset()?)))
}

/// Prints the records of a range.
fn range(
    log: &mut LogReader,
    arguments: &Arguments,
    globals: Globals,
    search: Option<&Search>,
    delivery: &mut Delivery,
) -> anyhow::Result<Outcome> {
    let (range, matching) = match undisturbed(log, arguments, |log| {
        select::select(log, arguments, globals, search, None)
    })? {
        Selection::Records { read, matching } => (read, matching),
        Selection::Nothing(outcome) => return Ok(outcome),
    };
    delivery.search_in(matching);
    if arguments.reverse {
        delivery.run_backwards(log, range)?;
    } else {
        delivery.run(log, range)?;
    }
    let next = undisturbed(log, arguments, |log| Ok(log.next_offset()?))?;
    if matching.from > next && !delivery.came() {
        return Ok(Outcome::No(not_yet(matching.from, next)));
    }
    Ok(Outcome::Done)
}
