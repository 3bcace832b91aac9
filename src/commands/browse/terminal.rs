//! The terminal while a screen is on it. However the screen ends, the terminal is as it was. It
//! is asked nothing: one that does not answer would be waited for.

use std::io::{self, Stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};
use std::time::Duration;

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::crossterm::cursor::{Hide, MoveTo, Show};
use ratatui::crossterm::event::KeyEvent;
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::crossterm::{execute, queue};
use ratatui::layout::{Position, Rect};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::input::Input;

/// The size of a terminal that has none, and the largest that is drawn on: a size is what any
/// process sets.
const USUAL: (u16, u16) = (80, 24);
const LARGEST: (u16, u16) = (1000, 500);

/// Bytes that are read at once. More keys wait until the screen is drawn again.
const READ_BYTES: usize = 4096;

/// Whether a screen is on the terminal.
static IS_SHOWN: AtomicBool = AtomicBool::new(false);

/// Sets what a panic does, once.
static HOOK: Once = Once::new();

/// The modes of the terminal before the first screen.
static BEFORE: OnceLock<Termios> = OnceLock::new();

/// A screen on the terminal, until it is dropped.
pub struct Screen {
    backend: CrosstermBackend<Stdout>,
    /// What is on it, if that is known.
    shown: Option<Buffer>,
    input: Input,
}

impl Screen {
    /// Takes the terminal.
    pub fn begin() -> io::Result<Self> {
        HOOK.call_once(|| {
            let print = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                print(panic);
            }));
        });
        let mut screen = Self {
            backend: CrosstermBackend::new(io::stdout()),
            shown: None,
            input: Input::default(),
        };
        screen.take()?;
        Ok(screen)
    }

    /// Takes the terminal, also again after another process had it. Its signals stay: Ctrl-C
    /// and Ctrl-Z work whatever was typed before.
    pub fn take(&mut self) -> io::Result<()> {
        let stdin = io::stdin();
        let now = tcgetattr(&stdin)?;
        let mut modes = BEFORE.get_or_init(|| now).clone();
        self.shown = None;
        modes.make_raw();
        modes.local_modes |= LocalModes::ISIG;
        tcsetattr(&stdin, OptionalActions::Now, &modes)?;
        IS_SHOWN.store(true, Ordering::SeqCst);
        execute!(io::stdout(), EnterAlternateScreen)
    }

    /// Draws what `draw` makes, in an area of this size.
    pub fn draw(
        &mut self,
        (width, height): (u16, u16),
        draw: impl FnOnce(&mut Buffer) -> Option<Position>,
    ) -> io::Result<()> {
        let area = Rect::new(0, 0, width, height);
        let mut next = Buffer::empty(area);
        let cursor = draw(&mut next);
        let shown = self.shown.take().filter(|shown| shown.area == area);
        if shown.is_none() {
            queue!(self.backend, Clear(ClearType::All))?;
        }
        let shown = shown.unwrap_or_else(|| Buffer::empty(area));
        self.backend.draw(shown.diff(&next).into_iter())?;
        match cursor {
            Some(Position { x, y }) => queue!(self.backend, Show, MoveTo(x, y))?,
            None => queue!(self.backend, Hide)?,
        }
        self.backend.flush()?;
        self.shown = Some(next);
        Ok(())
    }

    /// Forgets what is on the screen: all of it is drawn again.
    pub fn forget(&mut self) {
        self.shown = None;
    }

    /// Waits for keys, or for a signal; returns those that came.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<Vec<KeyEvent>> {
        let stdin = io::stdin();
        let mut keys = [PollFd::new(&stdin, PollFlags::IN)];
        let is_ready = match poll(&mut keys, Timespec::try_from(timeout).ok().as_ref()) {
            Ok(ready) => ready > 0,
            Err(Errno::INTR) => false,
            Err(error) => return Err(error.into()),
        };
        let mut bytes = [0; READ_BYTES];
        let count = if is_ready {
            match rustix::io::read(&stdin, &mut bytes) {
                Ok(0) => return Err(io::Error::other("it is gone")),
                Err(Errno::INTR | Errno::AGAIN) => 0,
                count => count?,
            }
        } else {
            0
        };
        Ok(self.input.keys(bytes.get(..count).unwrap_or_default()))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// The size of the terminal.
pub fn size() -> (u16, u16) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (size.ws_col.min(LARGEST.0), size.ws_row.min(LARGEST.1))
        }
        _ => USUAL,
    }
}

/// Whether the terminal is gone: what is printed then is not seen.
pub fn is_gone() -> bool {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let mut both = [
        PollFd::new(&stdin, PollFlags::empty()),
        PollFd::new(&stdout, PollFlags::empty()),
    ];
    // What is reported here is reported always: a hangup, an error.
    poll(&mut both, Some(&Timespec::default())).is_ok_and(|count| count > 0)
}

/// Whether a panic of another thread took the screen off the terminal.
pub fn is_lost() -> bool {
    !IS_SHOWN.load(Ordering::SeqCst)
}

/// Gives the terminal back as it was. Errors mean that it is gone.
pub fn restore() {
    if IS_SHOWN.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        if let Some(before) = BEFORE.get() {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
