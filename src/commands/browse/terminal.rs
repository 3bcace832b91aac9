//! The terminal while a screen is on it. However the screen ends, the terminal is as it was.

use std::io::{self, Stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Whether a screen is on the terminal.
static IS_SHOWN: AtomicBool = AtomicBool::new(false);

/// Sets what a panic does, once.
static HOOK: Once = Once::new();

/// A screen on the terminal, until it is dropped.
pub struct Screen {
    pub terminal: Terminal<CrosstermBackend<Stdout>>,
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
        enable_raw_mode()?;
        IS_SHOWN.store(true, Ordering::SeqCst);
        let begun = execute!(io::stdout(), EnterAlternateScreen)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match begun {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Waits for a key or for another event. crossterm never stops reading from a terminal
/// that is gone.
pub fn wait(timeout: Duration) -> io::Result<bool> {
    let stdin = io::stdin();
    let mut keys = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut keys, Timespec::try_from(timeout).ok().as_ref()) {
        // The size may have changed.
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let [keys] = &keys;
    if keys.revents().intersects(PollFlags::HUP | PollFlags::ERR) {
        return Err(io::Error::other("it is gone"));
    }
    event::poll(Duration::ZERO)
}

/// Whether a panic of another thread took the screen off the terminal.
pub fn is_lost() -> bool {
    !IS_SHOWN.load(Ordering::SeqCst)
}

/// Gives the terminal back as it was. Errors mean that it is gone.
fn restore() {
    if IS_SHOWN.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}
