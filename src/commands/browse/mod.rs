//! `proglog browse`: a log on the screen. Nothing is changed, and between two reads no file is
//! open.
//!
//! `state` is what is shown; keys (`keys`, which `input` finds in what a terminal sends) and news
//! (`loading`, `scan`, `search`) change it without a terminal or a file, and return what is to
//! be done; `draw` shows it. The rows are made of what the other commands print: `rows`
//! (`read`), `entries` (`dump-index`), `frames` (`dump-store`).

mod anchors;
mod detail;
mod draw;
mod entries;
mod frames;
mod input;
mod keys;
mod layout;
mod lines;
mod loading;
mod places;
mod rows;
mod scan;
mod search;
mod state;
mod terminal;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use anyhow::Context;
use proglog::log::error::Error;
use proglog::log::progress::WALKED;
use proglog::log::reader::LogReader;
use proglog::log::record::Codec;
use proglog::log::threads;
use signal_hook::consts::signal::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};

use self::draw::{Theme, draw};
use self::loading::{Loader, Message, Request};
use self::search::{Place, Search};
use self::state::{Effect, Names, State};
use self::terminal::Screen;
use super::signals::{self, Noted, Signals};
use super::{Failure, Globals, Status, has_color, options, quote, stdout, stdout_is_terminal};
use crate::render::prose::escaped;

/// How long a key is waited for while news may come at any moment, and else.
const BUSY: Duration = Duration::from_millis(5);
const IDLE: Duration = Duration::from_millis(50);

/// The signals that end it.
const ENDING: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT];

/// How long after a key that is so.
const SOON: Duration = Duration::from_millis(250);

const EXAMPLES: &str = "\
proglog browse log                      ? shows the keys, q quits
proglog browse log --color never        without color, as with NO_COLOR";

const NOTES: &str = "\
Left: the segments, with a strip of their state (# valid, ! damaged, . padding).
Middle: records, entries or frames. Below: the chosen one as text, JSON or hex,
or the explanation of a finding. The log is scanned meanwhile, and read again
if it changes. In a script: proglog read, dump-index, dump-store, verify.";

/// The options of `browse`.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = NOTES)]
pub struct Arguments {
    /// The log's directory
    pub dir: PathBuf,
    #[arg(long, value_name = "CODEC", help = options::CODEC)]
    codec: Option<Codec>,
}

/// Shows a log until the user quits.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let dir = &arguments.dir;
    let quoted = quote(dir);
    if let Some(message) = lacking() {
        return Err(Failure::new(Status::Failed, message)
            .hint(format!("proglog read {quoted}"))
            .hint(format!("proglog dump-store {quoted}"))
            .into());
    }
    // An error is printed before the screen appears.
    match LogReader::open(dir) {
        Err(Error::NotADirectory { path }) => {
            return Err(super::dump::is_a_file(&path, "browse", false).into());
        }
        opened => drop(opened?),
    }
    let signals = Signals::of(&ENDING).context("cannot watch for signals")?;
    let job = Job::install().context("cannot watch for signals")?;
    let names = Names {
        shown: escaped(&dir.display().to_string()),
        quoted,
        codec: arguments.codec,
    };
    let theme = Theme {
        color: has_color(globals.color, true),
    };
    let workers = Workers::start(dir.clone(), arguments.codec).context("cannot start a thread")?;
    let screen = Screen::begin().context("cannot use the terminal")?;
    let shown = show(screen, names, theme, &workers, (&signals, &job));
    if terminal::is_gone() {
        // As if it had ended the process itself, which it does not if a shell ignores that.
        let signal = signals.raised().unwrap_or(SIGHUP);
        signals::end_by(signal).context("cannot end by the signal")?;
    }
    let mut out = stdout()?;
    for command in shown? {
        writeln!(out, "{command}")?;
    }
    out.flush()?;
    if let Some(signal) = signals.raised() {
        signals::end_by(signal).context("cannot end by the signal")?;
    }
    Ok(Status::Done)
}

/// Why there can be no screen.
fn lacking() -> Option<&'static str> {
    if !io::stdin().is_terminal() || !stdout_is_terminal() {
        return Some("browse needs a terminal, for its input and its output");
    }
    match std::env::var_os("TERM") {
        None => Some("browse needs to know the terminal, but TERM is not set"),
        Some(term) if term.is_empty() => {
            Some("browse needs to know the terminal, but TERM is empty")
        }
        Some(term) if term == "dumb" => {
            Some("browse needs a terminal whose cursor it can move, but TERM is dumb")
        }
        Some(_) => None,
    }
}

/// The signals of a shell that stops and continues its jobs.
struct Job {
    stopped: Noted,
    continued: Noted,
}

impl Job {
    fn install() -> io::Result<Self> {
        Ok(Self {
            stopped: Noted::install(SIGTSTP)?,
            continued: Noted::install(SIGCONT)?,
        })
    }

    /// Stops if that is wanted; returns whether another process may have had the terminal.
    fn wait(&self) -> io::Result<bool> {
        let is_stopped = self.stopped.take();
        if is_stopped {
            terminal::restore();
            signals::stop()?;
        }
        Ok(self.continued.take() || is_stopped)
    }
}

/// Shows the screen until its end; returns the commands that were copied.
fn show(
    mut screen: Screen,
    names: Names,
    theme: Theme,
    workers: &Workers,
    (signals, job): (&Signals, &Job),
) -> anyhow::Result<Vec<String>> {
    let mut state = State::new(names, terminal::size());
    let mut effects = state.begin();
    let mut is_changed = true;
    let mut pressed = Instant::now();
    loop {
        for effect in effects.drain(..) {
            match effect {
                Effect::Quit => return Ok(state.commands),
                Effect::Redraw => screen.forget(),
                effect => workers.begin(effect),
            }
        }
        if terminal::is_lost() {
            // The panic has been printed.
            return Err(Failure::new(Status::Failed, "a part of browse failed").into());
        }
        if job.wait().context("cannot stop")? {
            screen.take().context("cannot use the terminal")?;
            is_changed = true;
        }
        let size = terminal::size();
        if size != state.size {
            state.on_size(size);
            is_changed = true;
        }
        if is_changed {
            // A terminal may be held: then a signal does not wait for it.
            signals::interruptible(|| screen.draw(size, |buffer| draw(buffer, &state, theme)))
                .context("cannot write to the terminal")?;
        }
        let is_busy = state.is_loading || pressed.elapsed() < SOON;
        let keys = screen.wait(if is_busy { BUSY } else { IDLE });
        if signals.raised().is_some() {
            return Ok(state.commands);
        }
        // All keys that came are taken before the screen is drawn again.
        let keys = keys.context("cannot read from the terminal")?;
        is_changed = !keys.is_empty();
        if is_changed {
            pressed = Instant::now();
        }
        for key in keys {
            effects.extend(state.on_key(key));
        }
        for message in workers.news.try_iter() {
            effects.extend(state.on_message(message));
            is_changed = true;
        }
        let percent = state.percent;
        effects.extend(state.on_tick(Instant::now(), WALKED.now().1));
        is_changed |= percent != state.percent;
    }
}

/// The threads that read.
struct Workers {
    requests: Sender<Request>,
    scans: Sender<()>,
    news: Receiver<Message>,
    newest: Arc<AtomicU64>,
    place: Place,
    out: Sender<Message>,
    /// Ends the search that runs.
    stop: std::cell::RefCell<Arc<AtomicBool>>,
}

impl Workers {
    fn start(path: PathBuf, codec: Option<Codec>) -> io::Result<Self> {
        let (out, news) = mpsc::channel();
        let (requests, wanted) = mpsc::channel();
        let (scans, scans_wanted) = mpsc::channel();
        let newest = Arc::new(AtomicU64::new(0));
        let loader = Loader::new(path.clone(), codec, Arc::clone(&newest), out.clone());
        threads::start(move || loader.run(&wanted))?;
        let (to, scanned) = (out.clone(), path.clone());
        let tell = move |news| {
            let _ = to.send(Message::Scan(news));
        };
        threads::start(move || scan::run(&scanned, codec, &scans_wanted, tell))?;
        let stop = Arc::new(AtomicBool::new(false));
        let place = Place {
            path,
            codec,
            is_cancelled: Arc::clone(&stop),
        };
        Ok(Self {
            requests,
            scans,
            news,
            newest,
            place,
            out,
            stop: stop.into(),
        })
    }

    /// Begins what a change of the state asks for. A thread that is gone has panicked.
    fn begin(&self, effect: Effect) {
        match effect {
            Effect::Read(request) => {
                if let Request::Load { number, .. } = &request {
                    self.newest.store(*number, Ordering::Relaxed);
                }
                let _ = self.requests.send(request);
            }
            Effect::Scan => {
                let _ = self.scans.send(());
            }
            Effect::StopSearch => self.stop.borrow().store(true, Ordering::Relaxed),
            Effect::Search(search) => self.search(search),
            Effect::Redraw | Effect::Quit => {}
        }
    }

    fn search(&self, search: Search) {
        let stop = Arc::new(AtomicBool::new(false));
        let before = self.stop.replace(Arc::clone(&stop));
        before.store(true, Ordering::Relaxed);
        let place = Place {
            is_cancelled: stop,
            ..self.place.clone()
        };
        let (number, out) = (search.number, self.out.clone());
        let tell = move |news| {
            let _ = out.send(Message::Search(news));
        };
        let refused = tell.clone();
        if let Err(error) = threads::start(move || search::run(&search, &place, tell)) {
            let error = format!("cannot start a thread: {error}");
            refused(search::Message::Failed(number, error));
        }
    }
}
