//! What the keys do, as in less, vim and lnav.

use std::ffi::OsStr;
use std::path::Path;

use proglog::inspect::finding::OffsetRange;
use proglog::log::units::Offset;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::lines::{Form, Lower};
use super::loading::Request;
use super::rows::{Key, Target, Tone, View};
use super::search::Search;
use super::state::{Effect, Pane, Prompt, PromptKind, State};
use crate::commands::read::pattern::Pattern;
use crate::render::prose::escaped;

/// Columns that a step to the side moves the rows.
const SIDE: usize = 8;

/// Commands that are kept for the end.
const COMMANDS_MAX: usize = 100;

/// The keys, for the help.
pub const HELP: &str = "\
arrows h j k l, PgUp PgDn, Space b, Ctrl-U Ctrl-D   move
g G Home End    start, end       Tab   next pane
42  :42  -1     to an offset; -1 is the last
/PATTERN        search           n N   again, back
?PATTERN        search backward  Esc   stop, close
e E             next and previous finding, explained
v               records, entries, frames
x               text or hex: length, fields, value
f               follow           r     scan again
y               print the command for this at the end
q               quit             Ctrl-L  draw again

Patterns are regular expressions; (?i) ignores case.
# valid  ! damaged  . padding  ? not scanned yet";

impl State {
    /// A key was pressed.
    pub fn on_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            // A terminal may have another key for its signal.
            KeyCode::Char('c') if is_control => return vec![Effect::Quit],
            KeyCode::Char('l') if is_control => return vec![Effect::Redraw],
            _ => {}
        }
        if self.prompt.is_some() {
            return self.type_key(key.code, is_control);
        }
        if self.is_help {
            self.is_help = false;
            if matches!(key.code, KeyCode::Esc | KeyCode::F(1) | KeyCode::Char('q')) {
                return Vec::new();
            }
        }
        self.message = None;
        let half = i64::try_from(self.height() / 2).unwrap_or(1).max(1);
        match key.code {
            KeyCode::Char('u') if is_control => self.vertical(-half),
            KeyCode::Char('d') if is_control => self.vertical(half),
            KeyCode::Char('b') if is_control => self.vertical(-2 * half),
            KeyCode::Char('f') if is_control => self.vertical(2 * half),
            _ if is_control => Vec::new(),
            KeyCode::PageUp | KeyCode::Char('b') => self.vertical(-2 * half),
            KeyCode::PageDown | KeyCode::Char(' ') => self.vertical(2 * half),
            code => self.plain_key(code),
        }
    }

    fn plain_key(&mut self, code: KeyCode) -> Vec<Effect> {
        match code {
            KeyCode::Up | KeyCode::Char('k') => return self.vertical(-1),
            KeyCode::Enter if self.focus == Pane::Segments => self.focus = Pane::Rows,
            KeyCode::Down | KeyCode::Enter | KeyCode::Char('j') => return self.vertical(1),
            KeyCode::Left | KeyCode::Char('h') => self.column = self.column.saturating_sub(SIDE),
            KeyCode::Right | KeyCode::Char('l') => self.right(),
            KeyCode::Home | KeyCode::Char('g') => return self.edge(Target::Start),
            KeyCode::End | KeyCode::Char('G') => return self.edge(Target::End),
            KeyCode::Tab => self.focus = next(self.focus),
            KeyCode::BackTab => self.focus = next(next(self.focus)),
            KeyCode::Char('e') => return self.next_finding(true),
            KeyCode::Char('E') => return self.next_finding(false),
            KeyCode::Char('n') => return self.search_again(false),
            KeyCode::Char('N') => return self.search_again(true),
            KeyCode::Char('v') => {
                let view = match self.view {
                    View::Records => View::Entries,
                    View::Entries => View::Frames,
                    View::Frames => View::Records,
                };
                return vec![self.set_view(view)];
            }
            KeyCode::Char('x') => {
                self.form = match self.form {
                    Form::Text => Form::Hex,
                    Form::Hex => Form::Text,
                };
                self.lower_top = 0;
                self.make_lines();
            }
            KeyCode::Char('f') => {
                self.follow = !self.follow;
                if self.follow {
                    return vec![self.load(Target::End)];
                }
            }
            KeyCode::Char('r') => return vec![Effect::Scan],
            KeyCode::Char('y') => self.keep_command(),
            KeyCode::Char('/') => self.begin_prompt(PromptKind::Forward, ""),
            KeyCode::Char('?') => self.begin_prompt(PromptKind::Backward, ""),
            KeyCode::F(1) => self.is_help = true,
            KeyCode::Char(':') => self.begin_prompt(PromptKind::Jump, ""),
            KeyCode::Char(digit @ ('0'..='9' | '-')) => {
                self.begin_prompt(PromptKind::Jump, &digit.to_string());
            }
            KeyCode::Esc => return self.escape(),
            KeyCode::Char('q') if self.is_explaining => return self.escape(),
            KeyCode::Char('q') => return vec![Effect::Quit],
            _ => {}
        }
        Vec::new()
    }

    fn right(&mut self) {
        let longest = self.visible().iter().map(|row| row.text.len()).max();
        self.column = (self.column + SIDE).min(longest.unwrap_or(0));
    }

    /// Moves in the pane that has the focus.
    fn vertical(&mut self, rows: i64) -> Vec<Effect> {
        let moved = |at: usize, most: usize| {
            let at = i64::try_from(at).unwrap_or(0).saturating_add(rows).max(0);
            usize::try_from(at).unwrap_or(0).min(most)
        };
        match self.focus {
            Pane::Rows => {
                self.follow &= rows > 0;
                self.step(rows)
            }
            Pane::Lower => {
                let most = self.lower_lines.len().saturating_sub(1);
                self.lower_top = moved(self.lower_top, most);
                Vec::new()
            }
            Pane::Segments => {
                let chosen = moved(self.chosen, self.bases.len().saturating_sub(1));
                self.choose(chosen)
            }
        }
    }

    fn choose(&mut self, chosen: usize) -> Vec<Effect> {
        if chosen == self.chosen {
            return Vec::new();
        }
        self.chosen = chosen;
        self.follow = false;
        self.is_explaining = false;
        let target = match self.view {
            View::Records => Target::Offset(self.base()),
            View::Entries | View::Frames => Target::Start,
        };
        vec![self.load(target)]
    }

    fn edge(&mut self, target: Target) -> Vec<Effect> {
        let is_end = target == Target::End;
        match self.focus {
            Pane::Rows => {
                self.follow &= is_end;
                self.is_explaining = false;
                vec![self.load(target)]
            }
            Pane::Lower => {
                let height = usize::from(self.areas().lower.height);
                let end = self.lower_lines.len().saturating_sub(height);
                self.lower_top = if is_end { end } else { 0 };
                Vec::new()
            }
            Pane::Segments => {
                let last = self.bases.len().saturating_sub(1);
                self.choose(if is_end { last } else { 0 })
            }
        }
    }

    /// Stops and closes, one thing after the other.
    fn escape(&mut self) -> Vec<Effect> {
        if self.searched.take().is_some() {
            self.message = Some("search stopped".to_owned());
            return vec![Effect::StopSearch];
        }
        if self.is_explaining {
            self.is_explaining = false;
            return self.step(0);
        }
        self.follow = false;
        Vec::new()
    }

    fn begin_prompt(&mut self, kind: PromptKind, text: &str) {
        self.prompt = Some(Prompt {
            kind,
            text: text.to_owned(),
        });
        // The help is beside the line of the key that is for both.
        self.is_help = kind == PromptKind::Backward;
    }

    fn type_key(&mut self, code: KeyCode, is_control: bool) -> Vec<Effect> {
        let Some(prompt) = &mut self.prompt else {
            return Vec::new();
        };
        match code {
            KeyCode::Esc => {
                self.prompt = None;
                self.is_help = false;
            }
            KeyCode::Char('u') if is_control => prompt.text.clear(),
            KeyCode::Backspace if prompt.text.pop().is_none() => {
                self.prompt = None;
                self.is_help = false;
            }
            KeyCode::Char(c) if !is_control => prompt.text.push(c),
            KeyCode::Enter => {
                let prompt = self.prompt.take();
                self.is_help &= prompt.as_ref().is_some_and(|it| it.text.is_empty());
                return prompt.map_or_else(Vec::new, |prompt| self.enter(&prompt));
            }
            _ => {}
        }
        Vec::new()
    }

    fn enter(&mut self, prompt: &Prompt) -> Vec<Effect> {
        self.message = None;
        match prompt.kind {
            PromptKind::Jump => self.jump(prompt.text.trim()),
            PromptKind::Backward if self.is_help => Vec::new(),
            PromptKind::Forward | PromptKind::Backward => {
                let is_backward = prompt.kind == PromptKind::Backward;
                if prompt.text.is_empty() {
                    return self.search_again(false);
                }
                match Pattern::new(&prompt.text, false) {
                    Ok(pattern) => self.begin_search(pattern, is_backward),
                    Err(error) => {
                        let error = error.message.trim_start_matches("--grep ");
                        self.message = Some(escaped(error));
                        Vec::new()
                    }
                }
            }
        }
    }

    fn jump(&mut self, text: &str) -> Vec<Effect> {
        let (is_from_end, number) = match text.strip_prefix('-') {
            Some(number) => (true, number),
            None => (false, text),
        };
        let Ok(number) = number.parse::<u64>() else {
            if matches!(text, "q" | "quit") {
                return vec![Effect::Quit];
            }
            self.is_help = matches!(text, "h" | "help");
            if !self.is_help {
                self.message = Some(format!("{text:?} is not an offset"));
            }
            return Vec::new();
        };
        self.follow = false;
        self.is_explaining = false;
        let Some((lowest, next)) = self.scan.as_ref().map(|scan| (scan.lowest, scan.next)) else {
            if is_from_end && number != 1 {
                self.message = Some("no end yet: the scan has begun".to_owned());
                return Vec::new();
            }
            let offset = if is_from_end { u64::MAX } else { number };
            return vec![self.load(Target::Offset(Offset(offset)))];
        };
        let offset = if is_from_end {
            next.0.checked_sub(number)
        } else {
            Some(number)
        };
        let offset = offset.map(Offset);
        if offset.is_none_or(|offset| offset < lowest) {
            self.message = Some(format!(
                "{text} is before the log, which begins at {lowest}"
            ));
        } else if offset.is_some_and(|offset| offset >= next) {
            self.message = Some(format!("{text} is not in the log: the next is {next}"));
        }
        let offset = offset.unwrap_or_default();
        vec![self.load(Target::Offset(offset))]
    }

    fn begin_search(&mut self, pattern: Pattern, is_backward: bool) -> Vec<Effect> {
        self.number += 1;
        let at = self.offset();
        let from = if is_backward {
            at
        } else {
            at.saturating_add(1)
        };
        let search = Search {
            number: self.number,
            pattern,
            is_backward,
            from,
        };
        self.search = Some(search.clone());
        self.searched = Some(from);
        self.follow = false;
        vec![Effect::Search(search)]
    }

    /// Repeats the last search, or the other way.
    fn search_again(&mut self, is_other_way: bool) -> Vec<Effect> {
        let Some(search) = self.search.clone() else {
            self.message = Some("no pattern yet: /".to_owned());
            return Vec::new();
        };
        let effects = self.begin_search(search.pattern, search.is_backward != is_other_way);
        if let Some(now) = &mut self.search {
            now.is_backward = search.is_backward;
        }
        effects
    }

    fn next_finding(&mut self, is_next: bool) -> Vec<Effect> {
        let Some(scan) = &self.scan else {
            self.message = Some("no finding yet: the scan has begun".to_owned());
            return Vec::new();
        };
        let count = scan.findings.len();
        if count == 0 {
            self.message = Some(if scan.is_complete {
                "no findings".to_owned()
            } else {
                format!("no finding yet: {}% are scanned", self.percent)
            });
            return Vec::new();
        }
        let at = match (self.finding, is_next) {
            (Some(at), true) => (at + 1) % count,
            (Some(at), false) => (at + count - 1) % count,
            (None, true) => {
                let here = self.offset();
                let mut findings = scan.findings.iter();
                let is_ahead = |range: OffsetRange| range.last >= here;
                let first = findings.position(|it| it.offsets.is_none_or(is_ahead));
                first.unwrap_or(0)
            }
            (None, false) => count - 1,
        };
        self.show_finding(at)
    }

    /// Shows a finding: its place in the middle, its explanation below.
    fn show_finding(&mut self, at: usize) -> Vec<Effect> {
        let findings = self.scan.as_ref().map(|scan| &scan.findings);
        let Some(finding) = findings.and_then(|it| it.get(at)).cloned() else {
            return Vec::new();
        };
        self.finding = Some(at);
        self.is_explaining = true;
        self.follow = false;
        self.lower_top = 0;
        if let Some(base) = finding.segment {
            let at = self.bases.partition_point(|it| *it <= base);
            self.chosen = at.saturating_sub(1);
        }
        let place = finding.place.as_ref().filter(|place| place.bytes > 0);
        let row = |at, is_obstacle| Target::Row(Key { at, is_obstacle });
        let target = match (finding.offsets, place) {
            (Some(offsets), _) if self.view == View::Records => row(offsets.first.0, true),
            (Some(offsets), None) => Target::Offset(offsets.first),
            (_, Some(place)) => {
                let is_index = Path::new(&place.file).extension() == Some(OsStr::new("index"));
                self.view = if is_index {
                    View::Entries
                } else {
                    View::Frames
                };
                row(place.position, false)
            }
            (None, None) => match finding.segment {
                Some(base) => Target::Offset(base),
                None => return vec![Effect::Read(Request::Explain(Box::new(finding)))],
            },
        };
        vec![
            self.load(target),
            Effect::Read(Request::Explain(Box::new(finding))),
        ]
    }

    /// Keeps the command that prints what is shown.
    fn keep_command(&mut self) {
        let Some(command) = self.command() else {
            self.message = Some("nothing is shown".to_owned());
            return;
        };
        self.message = Some(format!("printed at the end: {command}"));
        self.commands.retain(|it| *it != command);
        self.commands.push(command);
        if self.commands.len() > COMMANDS_MAX {
            self.commands.remove(0);
        }
    }

    /// The command that prints what is shown.
    fn command(&self) -> Option<String> {
        if self.is_explaining
            && let (Some(finding), Lower::Text(_)) = (self.shown_finding(), &self.lower)
        {
            return Some(format!("proglog explain {}", finding.id));
        }
        let log = &self.names.quoted;
        if self.focus == Pane::Segments {
            return Some(format!("proglog verify {log} --segment {}", self.base()));
        }
        let rows = match self.focus {
            Pane::Lower => self.rows().get(self.cursor..=self.cursor)?,
            _ => self.visible(),
        };
        let verb = match self.view {
            View::Records => "read",
            View::Entries => "dump-index",
            View::Frames => "dump-store",
        };
        let mut command = format!("proglog {verb} {log}");
        let first = rows.iter().find_map(|row| row.offset);
        let last = rows.iter().filter_map(|row| row.last.or(row.offset)).max();
        let place = rows.first()?.key.at;
        if self.view != View::Records && self.bases.len() > 1 {
            command = format!("{command} --segment {}", self.base());
        }
        command = match first.zip(last) {
            Some((first, last)) => format!("{command} {}", OffsetRange { first, last }),
            None if self.view == View::Records => command,
            None => format!("{command} --position {place}"),
        };
        let is_damaged = rows.iter().any(|row| row.tone == Tone::Damage);
        if is_damaged && self.view == View::Records {
            command.push_str(" --on-error skip");
        }
        if let Some(codec) = self.names.codec {
            command = format!("{command} --codec {codec}");
        }
        if self.form == Form::Hex {
            command.push_str(" --hex");
        }
        Some(command)
    }
}

fn next(pane: Pane) -> Pane {
    match pane {
        Pane::Segments => Pane::Rows,
        Pane::Rows => Pane::Lower,
        Pane::Lower => Pane::Segments,
    }
}
