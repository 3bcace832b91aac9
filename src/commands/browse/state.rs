//! What is on the screen, and how news change it. No terminal and no file is used here: a
//! change returns what is to be done. The keys are in `keys`.

use std::time::{Duration, Instant};

use proglog::inspect::finding::Finding;
use proglog::log::record::Codec;
use proglog::log::units::Offset;

use super::layout::{Areas, areas};
use super::lines::{self, Form, Line, Lower};
use super::loading::{Change, Message, Request};
use super::rows::{Row, Target, View, Window};
use super::scan::{self, Scan};
use super::search::{self, Search};

/// The time between two scans of a log that changes: in times of the last scan, and the least.
const SCAN_REST: f64 = 10.0;
const SCAN_REST_LEAST: Duration = Duration::from_secs(2);

/// A part of the screen that takes keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    Segments,
    Rows,
    Lower,
}

/// A line that is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    pub kind: PromptKind,
    pub text: String,
}

/// What it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptKind {
    Jump,
    Forward,
    Backward,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Effect {
    Read(Request),
    Search(Search),
    StopSearch,
    Scan,
    /// Draw everything again.
    Redraw,
    Quit,
}

/// The names of the log.
#[derive(Debug, Clone)]
pub struct Names {
    /// For the screen.
    pub shown: String,
    /// For a shell.
    pub quoted: String,
    /// The codec that was named.
    pub codec: Option<Codec>,
}

/// Everything that the screen shows.
#[expect(clippy::struct_excessive_bools, reason = "each is a mode of its own")]
pub struct State {
    pub names: Names,
    pub size: (u16, u16),
    pub focus: Pane,
    pub view: View,
    pub codec: Option<Codec>,
    pub bases: Vec<Offset>,
    /// Which of them is chosen.
    pub chosen: usize,
    pub window: Option<Window>,
    pub cursor: usize,
    /// The first row on the screen.
    pub top: usize,
    /// The first column of the rows on the screen.
    pub column: usize,
    pub lower: Lower,
    pub lower_lines: Vec<Line>,
    pub lower_top: usize,
    pub form: Form,
    pub prompt: Option<Prompt>,
    pub is_help: bool,
    pub search: Option<Search>,
    /// Where the search that runs is.
    pub searched: Option<Offset>,
    pub scan: Option<Scan>,
    /// The bytes of the scan that runs, and those that were read before it.
    pub scanning: Option<(u64, u64)>,
    /// The part of them that is read. Percent.
    pub percent: u64,
    /// The finding that is explained.
    pub finding: Option<usize>,
    pub is_explaining: bool,
    pub follow: bool,
    pub message: Option<String>,
    /// Why the log cannot be opened, while that is so.
    pub absent: Option<String>,
    /// The commands that are printed in the end.
    pub commands: Vec<String>,
    pub number: u64,
    pub is_loading: bool,
    /// Whether what comes is another place: then rows before it are shown too.
    is_jump: bool,
    /// Rows that the cursor is to move on when they are loaded.
    rest: i64,
    is_scan_running: bool,
    is_scan_wanted: bool,
    scan_ended: Option<Duration>,
    next_scan: Option<Instant>,
}

impl State {
    pub fn new(names: Names, size: (u16, u16)) -> Self {
        Self {
            codec: names.codec,
            names,
            size,
            focus: Pane::Rows,
            view: View::Records,
            bases: Vec::new(),
            chosen: 0,
            window: None,
            cursor: 0,
            top: 0,
            column: 0,
            lower: Lower::Nothing,
            lower_lines: Vec::new(),
            lower_top: 0,
            form: Form::Text,
            prompt: None,
            is_help: false,
            search: None,
            searched: None,
            scan: None,
            scanning: None,
            percent: 0,
            finding: None,
            is_explaining: false,
            follow: false,
            message: None,
            absent: None,
            commands: Vec::new(),
            number: 0,
            is_loading: false,
            is_jump: false,
            rest: 0,
            is_scan_running: true,
            is_scan_wanted: false,
            scan_ended: None,
            next_scan: None,
        }
    }

    /// What is to be done first.
    pub fn begin(&mut self) -> Vec<Effect> {
        vec![self.load(Target::Start), Effect::Scan]
    }

    /// The parts of the screen.
    pub fn areas(&self) -> Areas {
        areas(self.size)
    }

    /// Rows of the middle pane that are on the screen.
    pub fn height(&self) -> usize {
        usize::from(self.areas().rows.height).max(1)
    }

    pub fn rows(&self) -> &[Row] {
        self.window.as_ref().map_or(&[], |window| &window.rows)
    }

    /// The row of the cursor.
    pub fn row(&self) -> Option<&Row> {
        self.rows().get(self.cursor)
    }

    /// The rows on the screen.
    pub fn visible(&self) -> &[Row] {
        let rows = self.rows();
        let end = rows.len().min(self.top + self.height());
        rows.get(self.top..end).unwrap_or_default()
    }

    /// The offset of the cursor, or of the segment.
    pub fn offset(&self) -> Offset {
        let of_row = self.row().and_then(|row| row.offset);
        of_row.unwrap_or_else(|| self.base())
    }

    /// The base of the chosen segment.
    pub fn base(&self) -> Offset {
        self.bases.get(self.chosen).copied().unwrap_or_default()
    }

    /// Wants rows around a target.
    pub fn load(&mut self, target: Target) -> Effect {
        self.number += 1;
        self.is_loading = true;
        self.rest = 0;
        self.is_jump = matches!(target, Target::Offset(_)) || self.is_explaining;
        Effect::Read(Request::Load {
            number: self.number,
            view: self.view,
            segment: self.base(),
            target,
        })
    }

    /// Moves the cursor by some rows, also beyond those that are loaded.
    pub fn step(&mut self, rows: i64) -> Vec<Effect> {
        let Some(window) = &self.window else {
            return Vec::new();
        };
        let last = i64::try_from(window.rows.len()).unwrap_or(i64::MAX) - 1;
        let wanted = i64::try_from(self.cursor).unwrap_or(0).saturating_add(rows);
        let reached = wanted.clamp(0, last.max(0));
        let (is_start, is_end) = (window.is_start, window.is_end);
        self.cursor = usize::try_from(reached).unwrap_or(0);
        let page = i64::try_from(self.height()).unwrap_or(0);
        let near = (reached < page && !is_start && rows < 0)
            || (last - reached < page && !is_end && rows > 0);
        let mut effects = self.moved();
        let key = self.row().map(|row| row.key);
        if let (true, Some(key)) = (near && !self.is_loading, key) {
            effects.push(self.load(Target::Row(key)));
        }
        if self.is_loading {
            self.rest = self.rest.saturating_add(wanted - reached);
        }
        effects
    }

    /// What follows from another place of the cursor.
    fn moved(&mut self) -> Vec<Effect> {
        self.is_explaining = false;
        self.show_cursor();
        self.read_row()
    }

    fn show_cursor(&mut self) {
        let height = self.height();
        self.top = self.top.min(self.cursor);
        if self.cursor >= self.top + height {
            self.top = self.cursor + 1 - height;
        }
        if let Some(segment) = self.row().map(|row| row.segment)
            && let Ok(at) = self.bases.binary_search(&segment)
        {
            self.chosen = at;
        }
    }

    fn read_row(&self) -> Vec<Effect> {
        let row = self.row().filter(|_| !self.is_explaining);
        let wanted = row.map(|row| Request::Detail(self.view, Box::new(row.clone())));
        wanted.map(Effect::Read).into_iter().collect()
    }

    /// The size of the terminal changed.
    pub fn on_size(&mut self, size: (u16, u16)) {
        self.size = size;
        self.show_cursor();
        self.make_lines();
    }

    /// Makes the lines of the lower pane again.
    pub fn make_lines(&mut self) {
        let area = self.areas().lower;
        let room = (usize::from(area.width), usize::from(area.height));
        self.lower_lines = lines::of(&self.lower, self.form, room, &self.names.quoted);
        let most = self.lower_lines.len().saturating_sub(1);
        self.lower_top = self.lower_top.min(most);
    }

    fn set_lower(&mut self, lower: Lower) {
        let is_same = match (&self.lower, &lower) {
            (Lower::Detail(a), Lower::Detail(b)) => (a.offset, a.segment) == (b.offset, b.segment),
            _ => false,
        };
        if !is_same {
            self.lower_top = 0;
        }
        self.lower = lower;
        self.make_lines();
    }

    /// Takes what was read.
    pub fn on_message(&mut self, message: Message) -> Vec<Effect> {
        match message {
            Message::Listed(bases, codec) => {
                let base = self.base();
                self.chosen = bases.partition_point(|it| *it <= base).saturating_sub(1);
                self.bases = bases;
                self.codec = codec;
            }
            Message::Window(number, window) if number == self.number => {
                return self.on_window(window);
            }
            Message::Failed(number, error) if number == self.number => {
                self.is_loading = false;
                self.window = None;
                self.set_lower(Lower::Text(vec![error]));
            }
            Message::Window(..) | Message::Failed(..) => {}
            Message::Detail(detail) => {
                if !self.is_explaining {
                    let is_stale = detail.is_stale;
                    self.set_lower(Lower::Detail(detail));
                    let key = self.row().map(|row| row.key).filter(|_| is_stale);
                    if let (false, Some(key)) = (self.is_loading, key) {
                        return vec![self.load(Target::Row(key))];
                    }
                }
            }
            Message::Explained(text) => self.set_lower(Lower::Text(text)),
            Message::Changed(change) => return self.on_change(change),
            Message::Vanished(error) => {
                self.absent = Some(error);
                self.forget_scan();
            }
            Message::Scan(news) => self.on_scan(news),
            Message::Search(news) => return self.on_search(news),
        }
        Vec::new()
    }

    fn on_window(&mut self, window: Window) -> Vec<Effect> {
        let above = if self.is_jump {
            self.height() / 3
        } else {
            self.cursor.saturating_sub(self.top)
        };
        self.is_loading = false;
        self.cursor = window.cursor;
        self.top = window.cursor.saturating_sub(above);
        // A last page is full.
        let fits = window.rows.len().saturating_sub(self.height());
        if window.is_end {
            self.top = self.top.min(fits);
        }
        self.window = Some(window);
        self.show_cursor();
        let rest = std::mem::take(&mut self.rest);
        if rest != 0 && !self.rows().is_empty() {
            return self.step(rest);
        }
        self.read_row()
    }

    fn on_change(&mut self, change: Change) -> Vec<Effect> {
        self.is_scan_wanted = true;
        if self.absent.take().is_some() {
            self.message = None;
            self.forget_scan();
        }
        match change {
            Change::Grew => {}
            Change::Trimmed => self.message = Some("the log was trimmed; read again".to_owned()),
            Change::Rewritten => {
                self.message = Some("records were cut or replaced; read again".to_owned());
            }
        }
        let target = match self.row().map(|row| row.key) {
            _ if self.follow => Target::End,
            Some(key) => Target::Row(key),
            None => Target::Start,
        };
        vec![self.load(target)]
    }

    /// Forgets the findings: what is there now may be another log.
    fn forget_scan(&mut self) {
        (self.scan, self.finding) = (None, None);
    }

    fn on_scan(&mut self, news: scan::Message) {
        match news {
            scan::Message::Began { bytes, before } => {
                self.scanning = Some((bytes, before));
                self.percent = 0;
            }
            scan::Message::Scanned(scan) => {
                if scan.is_complete {
                    self.end_scan(Duration::from_secs_f64(scan.seconds));
                } else if self.scan.as_ref().is_some_and(|scan| scan.is_complete) {
                    // The findings of a complete scan stay until the next one.
                    return;
                }
                let shown = self.shown_finding().cloned();
                let at = |one: &Finding| scan.findings.iter().position(|it| it == one);
                self.finding = shown.as_ref().and_then(at);
                self.scan = Some(scan);
            }
            scan::Message::Failed(error) => {
                self.end_scan(Duration::ZERO);
                self.message = Some(error);
            }
        }
    }

    fn end_scan(&mut self, took: Duration) {
        self.scanning = None;
        self.is_scan_running = false;
        self.scan_ended = Some(took);
    }

    /// The finding that was chosen last.
    pub fn shown_finding(&self) -> Option<&Finding> {
        self.scan.as_ref()?.findings.get(self.finding?)
    }

    fn on_search(&mut self, news: search::Message) -> Vec<Effect> {
        let running = self.search.as_ref().map(|search| search.number);
        match news {
            search::Message::At(number, offset) if running == Some(number) => {
                self.searched = Some(offset);
            }
            search::Message::Found(number, found) if running == Some(number) => {
                self.searched = None;
                let Some(offset) = found else {
                    let way = if self.search.as_ref().is_some_and(|it| it.is_backward) {
                        "before"
                    } else {
                        "after"
                    };
                    self.message = Some(format!("no match {way} offset {}", self.offset()));
                    return Vec::new();
                };
                self.message = None;
                self.is_explaining = false;
                return vec![self.load(Target::Offset(offset))];
            }
            search::Message::Failed(number, error) if running == Some(number) => {
                self.searched = None;
                self.message = Some(error);
            }
            _ => {}
        }
        Vec::new()
    }

    /// Time passes: `walked` are the bytes that this process has read.
    pub fn on_tick(&mut self, now: Instant, walked: u64) -> Vec<Effect> {
        if let Some((bytes, before)) = self.scanning {
            let read = u128::from(walked.saturating_sub(before)) * 100;
            let percent = read.checked_div(u128::from(bytes)).unwrap_or(0).min(99);
            self.percent = u64::try_from(percent).unwrap_or(0);
        }
        if let Some(took) = self.scan_ended.take() {
            let rest = took.mul_f64(SCAN_REST).max(SCAN_REST_LEAST);
            self.next_scan = now.checked_add(rest);
        }
        let is_due = self.next_scan.is_none_or(|next| now >= next);
        if self.is_scan_wanted && !self.is_scan_running && is_due {
            self.is_scan_wanted = false;
            self.is_scan_running = true;
            return vec![Effect::Scan];
        }
        Vec::new()
    }

    /// Shows another view at the same place.
    pub fn set_view(&mut self, view: View) -> Effect {
        let target = match self.row() {
            Some(row) => row.offset.map_or(Target::Start, Target::Offset),
            None => Target::Offset(self.base()),
        };
        self.view = view;
        self.is_explaining = false;
        self.load(target)
    }
}
