//! `proglog man [COMMAND] [--out DIR]`: the man pages, from the same table of options
//! and the same examples as the help.
//!
//! ```text
//! $ proglog man verify | man -l -
//! $ proglog man --out /usr/local/share/man/man1
//! ```

use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::builder::StyledStr;
use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use proglog::log::create::create_directories;
use proglog::log::dir::FilePath;
use proglog::log::disk::{Disk, RealDisk, write_all_at};

use super::options::STATUSES;
use super::{Failure, Status, stdout};

const EXAMPLES: &str = "\
proglog man | man -l -                 proglog(1)
proglog man verify | man -l -          proglog-verify(1)
proglog man --out man1                 all of them, a file each";

/// Print a man page, or write all of them
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct Arguments {
    /// The page of this command [default: that of proglog]
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    page: Option<String>,
    /// Write all pages into this directory; it is made where it is missing
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints a page or writes all. `command` is the whole command line, with the
/// examples as `before_help` and the notes as `after_help`.
pub fn run(arguments: &Arguments, command: Command) -> anyhow::Result<Status> {
    let mut whole = command.disable_help_subcommand(true);
    whole.build();
    if let Some(out) = &arguments.out {
        let out = create_directories(&RealDisk, out, 0o777)?;
        for page in std::iter::once(&whole).chain(whole.get_subcommands()) {
            let name = Man::new(page.clone()).get_filename();
            let path = out.at(name);
            replace(&path, &render(page)?)
                .with_context(|| format!("{}: cannot write", path.display()))?;
        }
        return Ok(Status::Done);
    }
    let page = match &arguments.page {
        None => &whole,
        Some(name) => whole.find_subcommand(name).ok_or_else(|| {
            let failure = Failure::new(Status::Failed, format!("{name} is no command"));
            failure.hint("proglog --help lists them")
        })?,
    };
    let mut out = stdout()?;
    out.write_all(&render(page)?)?;
    out.flush()?;
    Ok(Status::Done)
}

/// One page.
fn render(command: &Command) -> anyhow::Result<Vec<u8>> {
    let text = |part: Option<&StyledStr>| part.map(ToString::to_string).unwrap_or_default();
    let is_whole = command.has_subcommands();
    let man = Man::new(command.clone())
        .source(format!("proglog {}", env!("CARGO_PKG_VERSION")))
        .manual("proglog");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    verbatim("EXAMPLES", &text(command.get_before_help())).to_writer(&mut page)?;
    man.render_options_section(&mut page)?;
    verbatim("NOTES", &text(command.get_after_help())).to_writer(&mut page)?;
    if is_whole {
        man.render_subcommands_section(&mut page)?;
    }
    verbatim("EXIT STATUS", STATUSES).to_writer(&mut page)?;
    if !is_whole {
        verbatim("SEE ALSO", "proglog(1)").to_writer(&mut page)?;
    }
    Ok(page)
}

/// Lines as they stand, below a heading; nothing where there are none.
fn verbatim(heading: &str, text: &str) -> Roff {
    let mut roff = Roff::new();
    if text.is_empty() {
        return roff;
    }
    roff.control("SH", [heading]);
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}

/// Writes a file, in place of one that may be there.
fn replace(path: &FilePath, bytes: &[u8]) -> std::io::Result<()> {
    let disk = RealDisk;
    match disk.remove(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(path, None)?;
    write_all_at(&disk, &file, bytes, 0)
}
