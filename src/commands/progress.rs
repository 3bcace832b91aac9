//! The progress bar on stderr: only on a terminal, only for work over a second. Its own
//! thread reads counters from time to time, so the work does not know of it. However the
//! work ends, the line is cleared: by the drop of the guard, messages on stderr
//! ([`suspended`]), or a signal.

use std::io::{self, IsTerminal, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use proglog::inspect::listing::Listing;
use proglog::log::progress::{Progress, WALKED};
use proglog::log::threads;
use proglog::log::units::Offset;
use rustix::fs::FileType;
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM};

use super::Globals;
use super::signals;
use crate::render::prose::count;

/// Work that is done sooner shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the bar is drawn.
const INTERVAL: Duration = Duration::from_millis(100);

/// The template if the total is known; [`words`] makes the text.
const BAR: &str = "{prefix} [{bar:12}] {wide_msg}";

/// Columns of the bar, with its surroundings.
const BAR_COLUMNS: usize = 15;

/// The template if the total is unknown.
const COUNT: &str = "{prefix} {wide_msg}";

/// The bar that is on the terminal now.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Shows how far work has come, until it is dropped.
pub struct Bar {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The thread that ends the process at SIGINT and the like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Signals {
    /// The signal does; the bar must see to its line.
    Default,
    /// The command, in its own time.
    Handled,
}

impl Bar {
    /// For a scan of a log: all of it, or one segment.
    pub fn for_look(
        verb: &'static str,
        dir: &Path,
        segment: Option<u64>,
        globals: Globals,
    ) -> Self {
        Self::for_passes(verb, dir, (segment, 0), globals)
    }

    /// For a scan of a log, or one segment, and further passes over its stores.
    pub fn for_passes(
        verb: &'static str,
        dir: &Path,
        (segment, passes): (Option<u64>, u64),
        globals: Globals,
    ) -> Self {
        let dir = dir.to_path_buf();
        let total = move || {
            let [stores, indexes] = log_bytes(&dir, segment)?;
            Some(indexes + stores * (1 + passes))
        };
        Self::new(verb, &WALKED, total, Signals::Default, globals)
    }

    /// For output that is written to a file; `passes` over the stores beside the one
    /// scan. Where only a part is printed (`None`) the end is not known.
    pub fn for_output(
        verb: &'static str,
        dir: &Path,
        passes: Option<u64>,
        globals: Globals,
    ) -> Self {
        // A pager at the end of a pipe has the terminal to itself.
        let stdout = rustix::fs::fstat(io::stdout());
        let is_file = |stat: rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode).is_file();
        if !stdout.is_ok_and(is_file) {
            return Self::none();
        }
        match passes {
            Some(passes) => Self::for_passes(verb, dir, (None, passes), globals),
            None => Self::new(verb, &WALKED, || None, Signals::Default, globals),
        }
    }

    /// For any work that counts. `total` is asked once, when the bar is first drawn.
    pub fn new(
        verb: &'static str,
        counter: &'static Progress,
        total: impl FnOnce() -> Option<u64> + Send + 'static,
        signals: Signals,
        globals: Globals,
    ) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if globals.quiet || dumb || !io::stderr().is_terminal() {
            return Self::none();
        }
        let (end, ended) = mpsc::channel();
        let before = counter.now();
        let begun = Instant::now();
        let run = move || {
            if ended.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let raised = (signals == Signals::Default).then(Watch::install).flatten();
            let shown = || {
                show(verb, total());
                while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    draw(counter, before, begun.elapsed());
                    if let Some(signal) = raised.as_ref().and_then(Watch::raised) {
                        clear();
                        let _ = signals::end_by(signal);
                    }
                }
                clear();
            };
            if raised.is_some() {
                // The terminal may be held (Ctrl-S).
                signals::interruptible(shown);
            } else {
                shown();
            }
            if let Some(watch) = raised {
                watch.leave();
            }
        };
        Self {
            end: Some(end),
            thread: threads::start(run).ok(),
        }
    }

    fn none() -> Self {
        Self {
            end: None,
            thread: None,
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Does something on stderr while no bar is in its way.
pub fn suspended(say: impl FnOnce()) {
    match &*shown() {
        Some(bar) => bar.suspend(say),
        None => say(),
    }
}

fn shown() -> MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn show(verb: &'static str, total: Option<u64>) {
    let target = ProgressDrawTarget::term_like(Box::new(Stderr));
    let bar = ProgressBar::with_draw_target(total, target);
    let template = if total.is_some() { BAR } else { COUNT };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("#>."));
    }
    bar.set_prefix(verb);
    *shown() = Some(bar);
}

fn draw(counter: &Progress, before: (u64, u64), elapsed: Duration) {
    let (records, bytes) = counter.now();
    if let Some(bar) = &*shown() {
        let records = records.saturating_sub(before.0);
        let total = bar.length();
        // Bytes that are read twice do not exceed the total.
        let bytes = bytes
            .saturating_sub(before.1)
            .min(total.unwrap_or(u64::MAX));
        let bar_width = if total.is_some() { BAR_COLUMNS } else { 0 };
        let taken = bar.prefix().len() + 1 + bar_width;
        let room = usize::from(Stderr.width()).saturating_sub(taken);
        bar.set_message(words(records, bytes, total, elapsed, room));
        bar.set_position(bytes);
    }
}

/// Records and bytes done, the rate since the beginning and, where the end is known,
/// the time left; on a narrow terminal without the rate, then without the records.
fn words(records: u64, bytes: u64, total: Option<u64>, elapsed: Duration, room: usize) -> String {
    let records = count(records, "record");
    let milliseconds = elapsed.as_millis().max(1);
    let rate = u64::try_from(u128::from(bytes) * 1000 / milliseconds).unwrap_or(u64::MAX);
    let rate_text = format!("{}/s", size(rate));
    let (done, left) = match total {
        Some(total) => {
            let seconds = (total - bytes).checked_div(rate).unwrap_or(0);
            let unit = Unit::of(total);
            let (bytes, total) = (unit.count(bytes), unit.count(total));
            (
                format!("{bytes} of {total} {}", unit.name),
                Some(format!("{}:{:02} left", seconds / 60, seconds % 60)),
            )
        }
        None => (size(bytes), None),
    };
    let all = [Some(records), Some(done), Some(rate_text), left];
    let shown = |which: &[usize]| {
        let parts: Vec<&str> = which
            .iter()
            .filter_map(|&at| all.get(at)?.as_deref())
            .collect();
        parts.join(", ")
    };
    let choices: [&[usize]; 4] = [&[0, 1, 2, 3], &[0, 1, 3], &[1, 3], &[3]];
    let mut texts = choices.into_iter().map(shown);
    texts.find(|text| text.len() <= room).unwrap_or_default()
}

/// The unit for bytes, so that the text fits in 80 columns.
struct Unit {
    name: &'static str,
    bytes: u64,
}

impl Unit {
    /// The one in which a size has four digits at most.
    fn of(size: u64) -> Self {
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
        let fits = |(_, shift): &(_, u32)| size >> shift < 10_000;
        let (name, shift) = units.into_iter().find(fits).unwrap_or(("PiB", 50));
        Self {
            name,
            bytes: 1 << shift,
        }
    }

    fn count(&self, size: u64) -> u64 {
        size / self.bytes
    }
}

fn size(bytes: u64) -> String {
    let unit = Unit::of(bytes);
    format!("{} {}", unit.count(bytes), unit.name)
}

fn clear() {
    if let Some(bar) = shown().take() {
        bar.finish_and_clear();
    }
}

/// The terminal, a little narrower than it is: after a line that fills it the `^C` of the
/// terminal would be on the next one, and the line could not be cleared.
#[derive(Debug)]
struct Stderr;

/// Columns that stay free.
const ROOM: u16 = 4;

impl Stderr {
    /// Moves the cursor; a terminal takes 0 for 1.
    fn step(&self, by: usize, direction: char) -> io::Result<()> {
        match by {
            0 => Ok(()),
            by => self.write_str(&format!("\x1b[{by}{direction}")),
        }
    }
}

impl TermLike for Stderr {
    fn width(&self) -> u16 {
        let columns = rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col);
        let columns = if columns == 0 { 80 } else { columns };
        columns.saturating_sub(ROOM).max(1)
    }

    fn move_cursor_up(&self, rows: usize) -> io::Result<()> {
        self.step(rows, 'A')
    }

    fn move_cursor_down(&self, rows: usize) -> io::Result<()> {
        self.step(rows, 'B')
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.step(columns, 'C')
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.step(columns, 'D')
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.write_str(&format!("{line}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        io::stderr().lock().write_all(text.as_bytes())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.write_str("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// Bytes of a log's stores, and of its indexes.
fn log_bytes(dir: &Path, segment: Option<u64>) -> Option<[u64; 2]> {
    let listing = Listing::of(dir).ok()?;
    let wanted = listing
        .segments
        .iter()
        .filter(|listed| segment.is_none_or(|base| listed.base() == Offset(base)));
    let mut bytes = [0; 2];
    for listed in wanted {
        for (sum, file) in bytes.iter_mut().zip([&listed.store, &listed.index]) {
            *sum += file.as_ref().map_or(0, |file| file.bytes);
        }
    }
    Some(bytes)
}

/// Signals that would leave half a line: handled while a bar is shown, with their
/// previous action before and after.
struct Watch {
    raised: Arc<AtomicUsize>,
    /// Whether a signal ends the process at once.
    at_once: Arc<AtomicBool>,
}

impl Watch {
    fn install() -> Option<Self> {
        let watch = Self {
            raised: Arc::new(AtomicUsize::new(0)),
            at_once: Arc::new(AtomicBool::new(false)),
        };
        let (wake, waker) = UnixStream::pair().ok()?;
        signals::watch(wake, Arc::clone(&watch.raised));
        for signal in signals::not_ignored(&[SIGINT, SIGTERM, SIGHUP]) {
            let number = usize::try_from(signal).ok()?;
            let at_once = Arc::clone(&watch.at_once);
            signal_hook::flag::register_conditional_default(signal, at_once).ok()?;
            let raised = Arc::clone(&watch.raised);
            signal_hook::flag::register_usize(signal, raised, number).ok()?;
            let waker = waker.try_clone().ok()?;
            signal_hook::low_level::pipe::register(signal, waker).ok()?;
        }
        Some(watch)
    }

    fn raised(&self) -> Option<i32> {
        let number = self.raised.load(Ordering::SeqCst);
        i32::try_from(number).ok().filter(|&signal| signal != 0)
    }

    /// The bar is gone. A signal that came with its last breath counts too.
    fn leave(&self) {
        self.at_once.store(true, Ordering::SeqCst);
        if let Some(signal) = self.raised() {
            let _ = signals::end_by(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_time_left() {
        let two_seconds = Duration::from_secs(2);
        assert_eq!(
            words(7, 4 << 20, Some(100 << 20), two_seconds, 60),
            "7 records, 4 of 100 MiB, 2048 KiB/s, 0:48 left"
        );
        assert_eq!(
            words(0, 0, Some(10), Duration::ZERO, 60),
            "0 records, 0 of 0 KiB, 0 KiB/s, 0:00 left"
        );
        assert_eq!(
            words(1, 2048, None, two_seconds, 60),
            "1 record, 2 KiB, 1 KiB/s"
        );
    }

    #[test]
    fn a_line_fits_and_ends_with_the_time_left() {
        let hour = Duration::from_secs(3600);
        for room in 10..90 {
            let line = words(u64::MAX, 9_999 << 30, Some(9_999 << 31), hour, room);
            assert!(line.len() <= room, "{line}");
            assert!(line.ends_with(" left"), "{room}: {line}");
        }
    }
}
