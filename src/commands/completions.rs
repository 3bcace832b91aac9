//! `proglog completions SHELL`: prints the completions for commands, options and their
//! values.
//!
//! ```text
//! $ proglog completions bash > ~/.local/share/bash-completion/completions/proglog
//! ```
//!
//! The scripts are clap's, made from the table of options, with two additions: the values
//! that clap does not know, and the arguments of a command, which the scripts for bash and
//! fish leave to the shell.

use std::fmt::Write as _;
use std::io::Write;

use clap::builder::PossibleValuesParser;
use clap::{Arg, Args, Command, ValueHint};
use clap_complete::Shell;
use proglog::inspect::finding::FindingId;
use proglog::log::record::Codec;

use super::{Status, stdout};

const EXAMPLES: &str = "\
proglog completions bash > ~/.local/share/bash-completion/completions/proglog
proglog completions zsh > ~/.zfunc/_proglog
proglog completions fish > ~/.config/fish/completions/proglog.fish";

/// The hidden option for a range with a minus sign.
const HIDDEN: &str = "range";

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct Arguments {
    /// The name of the shell
    shell: Shell,
}

/// Prints the script. `command` is the complete command line.
pub fn run(arguments: &Arguments, command: Command) -> anyhow::Result<Status> {
    let name = command.get_name().to_owned();
    // clap keeps static names only, and the process ends with the script.
    let names: Vec<&'static str> = command
        .get_subcommands()
        .map(|it| &*it.get_name().to_owned().leak())
        .collect();
    let mut command = command
        .disable_help_subcommand(true)
        .mut_subcommands(|command| command.mut_args(|argument| with_values(argument, &names)));
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    let script = String::from_utf8(script)?;
    let script = match arguments.shell {
        Shell::Bash => bash(&script, &command),
        Shell::Fish => fish(&script, &command),
        // After `*::` zsh completes no options, and `_files -/` lists files too where there
        // are no directories.
        Shell::Zsh => without(&script, &format!("--{HIDDEN}=[]"))
            .replace(":_files -/'", ":_path_files -/'")
            .replace("\n'*::dirs ", "\n'*:dirs ")
            .replace("\n'*::files ", "\n'*:files "),
        _ => script,
    };
    let mut out = stdout()?;
    out.write_all(script.as_bytes())?;
    out.flush()?;
    Ok(Status::Done)
}

/// An argument with the values that its parser knows and clap does not.
fn with_values(argument: Arg, commands: &[&'static str]) -> Arg {
    let values: Vec<&'static str> = match argument.get_id().as_str() {
        "codec" => [Codec::Raw, Codec::Protobuf].map(Codec::as_str).into(),
        "on_error" => ["stop", "skip"].into(),
        "allow" | "id" => FindingId::ALL.iter().map(|id| id.as_str()).collect(),
        "page" => commands.to_vec(),
        _ => return argument,
    };
    argument.value_parser(PossibleValuesParser::new(values))
}

/// The completion of the positional arguments of a command.
enum Words {
    /// One of some words.
    These(String),
    Directories,
    Files,
}

/// The completion of everything that is not an option.
fn words(command: &Command) -> Words {
    let mut values = String::new();
    let mut files = false;
    for argument in command.get_positionals() {
        for value in argument.get_possible_values() {
            let _ = write!(values, "{} ", value.get_name());
        }
        files |= argument.get_value_hint() == ValueHint::FilePath;
    }
    match values.trim_end() {
        "" if files => Words::Files,
        "" => Words::Directories,
        values => Words::These(values.to_owned()),
    }
}

/// The script for bash: options are completed after a `-` only, else arguments.
fn bash(script: &str, command: &Command) -> String {
    let mut completed = String::with_capacity(script.len());
    let mut section = None;
    for line in script.lines() {
        let label = line.trim();
        if let Some(label) = label.strip_suffix(')') {
            let of = |it: &&Command| {
                let name = it.get_name().replace('-', "__subcmd__");
                label == format!("proglog__subcmd__{name}")
            };
            section = command.get_subcommands().find(of).or(section);
        }
        let mut line = line.replace(&format!(" --{HIDDEN} "), " ");
        if label == "prev=\"$3\"" {
            // bash takes the `=` of an option for a word.
            line += "\n    [[ \"${prev}\" == \"=\" ]] && prev=\"${COMP_WORDS[COMP_CWORD-2]}\"";
        }
        let Some(of) = section else {
            let _ = writeln!(completed, "{line}");
            continue;
        };
        if label.starts_with("COMPREPLY=( $(compgen -W \"${opts}\"") {
            // After the condition it is about options, else the last resort.
            let is_for_options = line.starts_with("                C");
            if !is_for_options {
                let reply = match words(of) {
                    Words::These(words) => format!("compgen -W \"{words}\" -- \"${{cur}}\""),
                    Words::Directories => "compgen -d -- \"${cur}\"".to_owned(),
                    Words::Files => "compgen -f -- \"${cur}\"".to_owned(),
                };
                let _ = writeln!(completed, "            COMPREPLY=( $({reply}) )");
                if !matches!(words(of), Words::These(_)) {
                    completed += "            compopt -o filenames 2>/dev/null\n";
                }
                continue;
            }
        }
        completed += &line.replace(" || ${COMP_CWORD} -eq 2 ]]", " ]]");
        completed.push('\n');
    }
    completed
}

/// The script for fish, which has rules for options only, with one for the arguments of
/// each command.
fn fish(script: &str, command: &Command) -> String {
    let mut completed = without(script, &format!(" -l {HIDDEN} "));
    // Before a command, the rules of clap do not see an option that lacks its value.
    completed += "complete -c proglog -l color -x -a \"auto always never\"\n";
    for of in command.get_subcommands() {
        let words = match words(of) {
            Words::These(words) => words,
            Words::Directories => "(__fish_complete_directories)".to_owned(),
            Words::Files => continue,
        };
        let name = of.get_name();
        let _ = writeln!(
            completed,
            "complete -c proglog -n \"__fish_proglog_using_subcommand {name}\" -f -a \"{words}\""
        );
    }
    completed
}

/// A script without the lines that hold a text.
fn without(script: &str, text: &str) -> String {
    let lines = script.lines().filter(|line| !line.contains(text));
    lines.flat_map(|line| [line, "\n"]).collect()
}
