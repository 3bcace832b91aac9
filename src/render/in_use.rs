//! The processes that have a log open, in the same form in all commands: `in use by tail
//! (PID 812)`.

use proglog::inspect::usage::Usage;
use proglog::log::processes::Process;

use super::prose::escaped;
use super::words::unseen;

/// The writers that are named; a log rarely has more than one.
const NAMED_MAX: usize = 4;

/// The processes that have the log open for writing or hold its lock.
fn holders(usage: &Usage) -> String {
    let writers = usage.writers.iter();
    let mut named: Vec<String> = writers
        .map(|writer| Process::describe(writer.pid, Some(&writer.name)))
        .collect();
    if let Some(pid) = usage.lock_holder
        && usage.writers.iter().all(|writer| writer.pid != pid)
    {
        named.push(Process::describe(pid, None));
    }
    named.truncate(NAMED_MAX);
    // A process chooses its name itself.
    escaped(&named.join(", "))
}

/// `not in use`, `in use by tail (PID 812)`.
pub fn facts(usage: &Usage) -> String {
    match (usage.in_use, holders(usage).as_str()) {
        (Some(false), "") => "not in use".to_owned(),
        (Some(true), "") => "in use".to_owned(),
        (None, "") => format!("cannot tell if in use ({})", unseen(usage)),
        (_, holders) => format!("in use by {holders}"),
    }
}

/// `no`, `yes, by tail (PID 812)`: beside the label `in use`.
pub fn answer(usage: &Usage) -> String {
    match (usage.in_use, holders(usage).as_str()) {
        (Some(false), _) => "no".to_owned(),
        (Some(true), "") => "yes".to_owned(),
        (Some(true), holders) => format!("yes, by {holders}"),
        (None, "") => format!("cannot tell ({})", unseen(usage)),
        (None, holders) => format!("perhaps, by {holders}"),
    }
}
