//! Browsing without a terminal: keys in, screen out. What threads do in the program is done
//! here at once.

#![expect(clippy::disallowed_methods, reason = "a test changes its own sandbox")]

mod keys;
mod live;
mod picture;
mod screens;
mod windows;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{self, Receiver, Sender};

use proglog_testkit::Sandbox;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;

use super::draw::{Theme, draw};
use super::loading::{Loader, Message};
use super::scan;
use super::search::{self, Place};
use super::state::{Effect, Names, State};

/// A screen on a log.
struct Browser {
    sandbox: Sandbox,
    state: State,
    loader: Loader,
    news: Receiver<Message>,
    out: Sender<Message>,
    has_quit: bool,
}

impl Browser {
    fn on(sandbox: Sandbox, size: (u16, u16)) -> Self {
        let (out, news) = mpsc::channel();
        let newest = Arc::new(AtomicU64::new(0));
        let names = Names {
            shown: "log".to_owned(),
            quoted: "log".to_owned(),
            codec: None,
        };
        let mut browser = Self {
            loader: Loader::new(sandbox.log(), None, newest, out.clone()),
            sandbox,
            state: State::new(names, size),
            news,
            out,
            has_quit: false,
        };
        let effects = browser.state.begin();
        browser.perform(effects);
        browser
    }

    /// Does what is to be done, and what follows from it.
    fn perform(&mut self, mut effects: Vec<Effect>) {
        while !effects.is_empty() {
            for effect in std::mem::take(&mut effects) {
                match effect {
                    Effect::Read(request) => self.loader.serve(&request),
                    Effect::Scan => self.scan(),
                    Effect::Search(search) => {
                        let place = Place {
                            path: self.sandbox.log(),
                            codec: None,
                            is_cancelled: Arc::new(AtomicBool::new(false)),
                        };
                        search::run(&search, &place, |news| {
                            self.out.send(Message::Search(news)).unwrap();
                        });
                    }
                    Effect::Quit => self.has_quit = true,
                    Effect::StopSearch | Effect::Redraw => {}
                }
            }
            for message in self.news.try_iter() {
                effects.extend(self.state.on_message(message));
            }
        }
    }

    fn scan(&self) {
        let tell = |news| self.out.send(Message::Scan(news)).unwrap();
        for quick in [true, false] {
            tell(match scan::scan(&self.sandbox.log(), None, quick, &tell) {
                Ok(scan) => scan::Message::Scanned(scan),
                Err(error) => scan::Message::Failed(error.to_string()),
            });
        }
    }

    /// Checks the log for changes.
    fn check(&mut self) {
        self.loader.check();
        self.perform(Vec::new());
        let mut effects = Vec::new();
        for message in self.news.try_iter() {
            effects.extend(self.state.on_message(message));
        }
        self.perform(effects);
    }

    fn key(&mut self, code: KeyCode) {
        let effects = self.state.on_key(KeyEvent::new(code, KeyModifiers::NONE));
        self.perform(effects);
    }

    /// Types keys; a newline is Enter, a tab Tab, `\x1b` Esc.
    fn keys(&mut self, keys: &str) {
        for key in keys.chars() {
            self.key(match key {
                '\n' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                '\x1b' => KeyCode::Esc,
                key => KeyCode::Char(key),
            });
        }
    }

    fn draw(&self, color: bool) -> Buffer {
        self.draw_in(self.state.size, color)
    }

    /// Draws on a terminal of another size: it has changed, and the state does not know yet.
    fn draw_in(&self, (width, height): (u16, u16), color: bool) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        draw(&mut buffer, &self.state, Theme { color });
        buffer
    }

    /// The lines of the screen.
    fn screen(&self) -> String {
        lines(&self.draw(false))
    }
}

/// The text of a screen, without the spaces at the ends of lines.
fn lines(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let mut text = String::new();
    for row in buffer.content.chunks(width) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Compares a text with the file that it is kept in; `UPDATE_EXPECTED=1` rewrites the file.
#[cfg(test)]
fn compare_with(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let name = path.display();
    assert!(
        kept == text,
        "{name} (UPDATE_EXPECTED=1 rewrites it)\n{text}"
    );
}
