//! `proglog append DIR [FILE...]`: records from files or stdin, appended in order.
//!
//! ```text
//! $ seq 1000 | proglog append log
//! created log (raw)
//! appended 1000 records at offsets 0..999
//! ```
//!
//! Records are committed at the end of input, when input pauses, and by the writer
//! when a batch is full. While input pauses nothing of the log is held.

mod framing;
mod input;
mod json;
pub(in crate::commands) mod report;
pub(in crate::commands) mod target;
mod trouble;

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use proglog::log::config::Config;
use proglog::log::error::{Error, reason};
use proglog::log::progress::Progress;
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::mend::session::OpenOptions;

use super::mending;
use super::options::SegmentSizes;
use super::progress::{self, Bar};
use super::signals::{self, Signals};
use super::waiting::Waiting;
use super::{Failure, Globals, Status, quote};
use crate::render::escape::delimiter;
use framing::{Format, Splitter, Stopped};
use input::{Buffer, Filled, Input};
use report::{Resume, Talk};
use target::{Target, Trouble};

const EXAMPLES: &str = "\
seq 100 | proglog append log               one record per line
find . -print0 | proglog append log -0     records that may contain newlines
proglog append log -m 'started' -m 'ready'  two records
proglog append log --expect-offset 42 --print-offsets < new.txt";

const NOTES: &str = "\
Each line is a record, without its newline. If append exits with 0, all records
are durable. While the input pauses, all records read so far are durable, and
other processes can read and append. A missing or empty directory becomes a new
log.

Formats of --input:
  lines   each line is one record
  null    each record ends with NUL
  whole   each input is one record
  frames  the output of `read --frames`: an 8-byte length before each record
  json    the output of `read --json`, of which value, term and type are used";

/// Append records from files or standard input
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = NOTES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Arguments {
    /// The log's directory
    pub dir: PathBuf,
    /// Files to read, in this order; standard input if absent or -
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Append TEXT as one record instead of reading an input; may be repeated
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    #[arg(conflicts_with_all = ["files", "null", "delimiter", "input"])]
    message: Vec<OsString>,
    /// End each record at a NUL byte instead of a newline
    #[arg(short = '0', long, conflicts_with_all = ["delimiter", "input"])]
    null: bool,
    /// End each record at this delimiter; accepts \n \r \t \0 \\ \xHH
    #[arg(
        short,
        long,
        value_name = "BYTE-OR-STRING",
        conflicts_with = "input",
        allow_hyphen_values = true
    )]
    delimiter: Option<OsString>,
    /// Read the input as lines, null, whole, frames or json (see below) [default: lines]
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    input: Option<InputFormat>,
    /// Create a new log with this codec, raw or protobuf; refuse a log with the other
    /// codec [default: the codec of the log, raw for a new one]
    #[arg(long, value_name = "CODEC")]
    codec: Option<Codec>,
    #[command(flatten)]
    sizes: SegmentSizes,
    /// Start a new log at offset N [default: 0]
    #[arg(long, value_name = "N", value_parser = super::options::number)]
    initial_offset: Option<u64>,
    /// Append only if the next offset is N, otherwise exit with status 1; lock the log
    /// until the end
    #[arg(long, value_name = "N", value_parser = super::options::number)]
    expect_offset: Option<u64>,
    /// Print the offset of each record once it is durable
    #[arg(long)]
    print_offsets: bool,
    /// Print JSON lines: the summary, and with --print-offsets each offset
    #[arg(long)]
    json: bool,
    /// Do not sync, except when a segment is full: faster, but a power cut may lose or
    /// corrupt acknowledged records
    #[arg(long)]
    no_sync: bool,
    /// Refuse a log that needs recovery instead of recovering it
    #[arg(long)]
    no_recover: bool,
    /// Do not create a new log
    #[arg(long)]
    no_create: bool,
    /// Save the bytes that a recovery removes in DIR [default: beside the log, if possible]
    #[arg(long, value_name = "DIR", conflicts_with = "no_save")]
    save_to: Option<PathBuf>,
    /// Do not save the bytes that a recovery removes
    #[arg(long)]
    no_save: bool,
    #[command(flatten)]
    waiting: Waiting,
}

/// The names of the formats.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum InputFormat {
    /// A record per line
    Lines,
    /// End each record at a NUL byte instead of a newline
    Null,
    /// Each input is one record
    Whole,
    /// As `read --frames` writes them: 8 bytes of length before each record
    Frames,
    /// Lines as `read --json` writes them; value, term and type count
    Json,
}

impl Arguments {
    fn format(&self) -> Result<Format, Failure> {
        if let Some(text) = &self.delimiter {
            let bytes = delimiter(text)
                .map_err(|what| Failure::new(Status::Failed, format!("--delimiter: {what}")))?;
            return Ok(match bytes.as_slice() {
                [byte] => Format::Byte(*byte),
                _ => Format::Text(bytes),
            });
        }
        Ok(match self.input {
            _ if !self.message.is_empty() => Format::Frames,
            _ if self.null => Format::Byte(0),
            None | Some(InputFormat::Lines) => Format::Byte(b'\n'),
            Some(InputFormat::Null) => Format::Byte(0),
            Some(InputFormat::Whole) => Format::Whole,
            Some(InputFormat::Frames) => Format::Frames,
            Some(InputFormat::Json) => Format::Json,
        })
    }

    fn open_options(&self) -> OpenOptions {
        OpenOptions {
            config: Config {
                max_store_bytes: self.sizes.max_store_bytes,
                max_index_bytes: self.sizes.max_index_bytes,
                initial_offset: self.initial_offset.map(Offset),
                codec: self.codec,
                no_sync: self.no_sync,
            },
            wait: self.waiting.for_proglog(),
            wait_for_others: self.waiting.for_others(),
            no_recover: self.no_recover,
            save_to: self.save_to.clone(),
            no_save: self.no_save,
            assume_unused: self.waiting.assume_unused,
        }
    }

    /// The options that continue the append in the same way. `codec` is the codec of the
    /// log if no record shows it.
    fn lasting_options(&self, codec: Option<Codec>) -> String {
        let mut options = String::new();
        for (name, value) in [
            ("max-store-bytes", self.sizes.max_store_bytes),
            ("max-index-bytes", self.sizes.max_index_bytes),
        ] {
            if let Some(value) = value {
                let _ = write!(options, " --{name} {value}");
            }
        }
        if let Some(codec) = self.codec.or(codec) {
            let _ = write!(options, " --codec {codec}");
        }
        options
    }
}

/// Why an append ended before its input did.
enum Stop {
    /// A signal.
    Signal(i32),
    /// The input cannot be read, or is wrong.
    Input(String),
    /// The log's side.
    Log(Trouble),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Log(trouble)
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let format = arguments.format()?;
    let options = arguments.open_options();
    options.config.check()?;
    // Before the signals are taken over: opening a named pipe may take long.
    let inputs = input::open_all(&arguments.files, &arguments.message)?;
    let signals = Signals::install().context("cannot watch for signals")?;
    let mut target = Target::new(
        &arguments.dir,
        options,
        arguments.expect_offset.map(Offset),
        arguments.no_create,
        &signals,
        Talk::new(arguments.print_offsets, arguments.json, globals.quiet),
    )?;
    target.set_inputs(inputs.iter().map(|input| input.identity).collect());
    let mut begun = Vec::with_capacity(inputs.len());
    let bar = bar(arguments, &inputs, globals);
    let lines = arguments.delimiter.is_none() && matches!(format, Format::Byte(b'\n'));
    let divided = (&format, arguments.input.is_some() || !lines);
    let copied = copy_all(&inputs, divided, &mut target, &signals, &mut begun);
    let ended = settle(copied, &mut target, &signals);
    drop(bar);
    let totals = target.totals();
    target
        .talk()
        .summary(&arguments.dir, &totals, ended.is_ok());
    let Err(stop) = ended else {
        return Ok(Status::Done);
    };
    let log = log_after(&stop, &arguments.dir).to_path_buf();
    let resume = Resume {
        log: &log,
        format: &format,
        // Texts are not said again.
        inputs: if arguments.message.is_empty() {
            &inputs
        } else {
            &[]
        },
        begun: &begun,
        options: &arguments.lasting_options(target.codec_to_say()),
        save_to: arguments.save_to.as_deref(),
        totals,
        mend_first: matches!(stop, Stop::Input(_)),
    };
    conclude(stop, &resume)
}

/// The current path of the log: it may have been moved.
fn log_after<'a>(stop: &'a Stop, log: &'a Path) -> &'a Path {
    match stop {
        Stop::Log(Trouble::Log(Error::Moved { now: Some(now), .. })) => now,
        _ => log,
    }
}

/// How far an append has come, for the progress bar.
static APPENDED: Progress = Progress::new();

/// A bar for the inputs; where one may pause, the end is not known.
fn bar(arguments: &Arguments, inputs: &[Input], globals: Globals) -> Option<Bar> {
    // Offsets on a terminal are progress enough, and a bar is in the way of one that
    // types.
    let prints = arguments.print_offsets || arguments.json;
    let typed = inputs.iter().any(Input::is_terminal);
    if typed || (prints && super::stdout_is_terminal()) {
        return None;
    }
    let total: Option<u64> = inputs.iter().map(|input| input.file_bytes).sum();
    let handled = progress::Signals::Handled;
    Some(Bar::new(
        "append",
        &APPENDED,
        move || total,
        handled,
        globals,
    ))
}

/// Appends the records of all inputs. `begun` gets how many came before each.
fn copy_all(
    inputs: &[Input],
    (format, chosen): (&Format, bool),
    target: &mut Target<'_>,
    signals: &Signals,
    begun: &mut Vec<u64>,
) -> Result<(), Stop> {
    let mut buffer = Buffer::new();
    let mut records = 0;
    for input in inputs {
        begun.push(records);
        buffer.clear();
        if input.is_terminal() {
            let each = match format {
                Format::Byte(b'\n') | Format::Json => ", one per line",
                _ => "",
            };
            let note = format!("reading records from the terminal{each}; Ctrl-D ends");
            target.talk().say(&note);
        }
        let mut splitter = Splitter::new(format);
        copy(input, &mut splitter, &mut buffer, (target, signals), chosen)?;
        records += splitter.records;
    }
    Ok(target.check_without_records()?)
}

/// Prints a note if an input that is divided into lines by default looks like the output
/// of `read --json` or `read --frames`.
fn note_other_format(bytes: &[u8], target: &mut Target<'_>) {
    if let Some(format) = input::other_format(bytes) {
        target.talk().say(&format!(
            "note: the input looks like the output of `read --{format}`; its lines are appended \
             as they are; to append the records in it, use --input {format}"
        ));
    }
}

/// Appends the records of one input; `chosen` is whether the format was given.
fn copy(
    input: &Input,
    splitter: &mut Splitter<'_>,
    buffer: &mut Buffer,
    (target, signals): (&mut Target<'_>, &Signals),
    chosen: bool,
) -> Result<(), Stop> {
    let mut counted = 0;
    loop {
        let filled = input.fill(buffer, signals, target.patience());
        match filled.map_err(|error| {
            Stop::Input(format!("{}: cannot read: {}", input.name(), reason(&error)))
        })? {
            Filled::Bytes => {
                if !chosen && splitter.records == 0 && counted == 0 {
                    note_other_format(buffer.waiting(), target);
                }
                let taken = splitter
                    .split(buffer.waiting(), |record| target.append(record))
                    .map_err(|stopped| stop(stopped, input, splitter.records))?;
                buffer.take(taken);
                APPENDED.add_bytes(taken as u64);
                APPENDED.add_records(splitter.records - counted);
                counted = splitter.records;
                refuse_overreaching(input, splitter, buffer)?;
                target.breathe()?;
            }
            Filled::Paused => target.rest()?,
            Filled::End => {
                return splitter
                    .finish(buffer.waiting(), |record| target.append(record))
                    .map_err(|stopped| stop(stopped, input, splitter.records));
            }
            Filled::Signal(signal) => return Err(Stop::Signal(signal)),
        }
    }
}

/// A damaged length in a file is found at once, not after all the rest was read.
fn refuse_overreaching(
    input: &Input,
    splitter: &Splitter<'_>,
    buffer: &Buffer,
) -> Result<(), Stop> {
    let Some(left) = input
        .file_bytes
        .and_then(|bytes| bytes.checked_sub(splitter.position()))
    else {
        return Ok(());
    };
    match splitter.overreach(buffer.waiting(), left) {
        Some(what) => Err(Stop::Input(format!("{}: {what}", input.name()))),
        None => Ok(()),
    }
}

/// Reports in which input it was that dividing stopped.
fn stop(stopped: Stopped<Trouble>, input: &Input, record: u64) -> Stop {
    match stopped {
        Stopped::Malformed(what) => Stop::Input(format!("{}: {what}", input.name())),
        Stopped::Refused(Trouble::Log(error @ Error::RawHoldsValuesOnly)) => {
            Stop::Input(format!("{}: line {}: {error}", input.name(), record + 1))
        }
        Stopped::Refused(trouble) => Stop::Log(trouble),
    }
}

/// Commits all complete records, or removes those that cannot be committed.
fn settle(
    copied: Result<(), Stop>,
    target: &mut Target<'_>,
    signals: &Signals,
) -> Result<(), Stop> {
    let stop = match copied {
        Err(Stop::Log(Trouble::Log(error))) if !matches!(error, Error::OffsetsExhausted { .. }) => {
            target.abandon(&error);
            return Err(match signals.raised() {
                // It was a signal that ended the waiting.
                Some(signal) if matches!(error, Error::InUse { .. }) => Stop::Signal(signal),
                _ => Stop::Log(Trouble::Log(error)),
            });
        }
        Err(Stop::Log(refused @ Trouble::Refused(_))) => return Err(Stop::Log(refused)),
        Ok(()) => None,
        Err(stop) => Some(stop),
    };
    if let Err(trouble) = target.finish() {
        if let Trouble::Log(error) = &trouble {
            target.abandon(error);
        }
        return Err(Stop::Log(trouble));
    }
    stop.map_or(Ok(()), Err)
}

/// Makes the end of an append that did not go through: a signal or an error.
fn conclude(stop: Stop, resume: &Resume<'_>) -> anyhow::Result<Status> {
    let (message, status) = match stop {
        Stop::Signal(signal) => {
            super::say(&format!(
                "ended by {}{}",
                signals::name(signal),
                standing(resume)
            ));
            super::say_hints(&resume.hints());
            signals::end_by(signal).context("cannot end by the signal")?;
            return Ok(Status::Failed);
        }
        Stop::Input(message) => (message, Status::Failed),
        Stop::Log(Trouble::Refused(failure)) => return Err(failure.into()),
        // Before the first commit the engine's error says it all.
        Stop::Log(Trouble::Log(error)) if resume.totals.is_untouched() => {
            return Err(match unsaved(&error, resume.save_to) {
                Some(hint) => Failure::new(super::status_of(&error), error.to_string())
                    .hint(hint)
                    .into(),
                None => error.into(),
            });
        }
        Stop::Log(Trouble::Log(error)) => (error.to_string(), super::status_of(&error)),
    };
    let failure = Failure::new(status, format!("{message}{}", standing(resume)));
    Err(failure.hints(resume.hints()).into())
}

/// The hint if a recovery cannot save the bytes that it removes.
fn unsaved(error: &Error, save_to: Option<&Path>) -> Option<&'static str> {
    let Error::Io { source, path, .. } = error else {
        return None;
    };
    let is_ours = |part: Component<'_>| {
        let name = part.as_os_str().to_string_lossy();
        name.ends_with(".proglog-saved") || name.starts_with("proglog-saved-")
    };
    let saving = save_to.is_some_and(|place| path.starts_with(place));
    let ends_it = mending::is_full(source) || mending::is_forbidden(source.kind());
    (ends_it && (saving || path.components().any(is_ours))).then_some(mending::ELSEWHERE)
}

/// Number of records that this run appended, and the next offset.
fn standing(resume: &Resume<'_>) -> String {
    let totals = &resume.totals;
    let records = match totals.records {
        0 => "no record was".to_owned(),
        1 => "1 record was".to_owned(),
        records => format!("{records} records were"),
    };
    let log = quote(resume.log);
    match totals.next_offset {
        Some(next) => format!("; {records} appended to {log}, next offset {next}"),
        None => format!("; {records} appended to {log}"),
    }
}
