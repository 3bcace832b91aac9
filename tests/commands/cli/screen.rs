//! `browse` in a real terminal: tmux types the keys, and returns what is on the screen.

use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use proglog_testkit::{LogBuilder, Sandbox, proglog, report, run};

/// How long a screen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal with a shell in it, which has the directory of a sandbox.
struct Tmux<'a> {
    sandbox: &'a Sandbox,
}

impl<'a> Tmux<'a> {
    /// `None` if tmux is missing.
    fn start(sandbox: &'a Sandbox) -> Option<Self> {
        let tmux = Self { sandbox };
        let shell = "PS1='ready> ' exec sh -i";
        let started = tmux.command(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x80",
            "-y24",
            shell,
        ]);
        let Some(started) = started else {
            report("browse in a terminal: SKIPPED, no tmux here");
            return None;
        };
        assert!(started.status.success(), "{started:?}");
        tmux.wait_for("the shell", |screen| screen.contains("ready>"));
        Some(tmux)
    }

    fn command(&self, words: &[&str]) -> Option<Output> {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.sandbox.path().join("tmux"));
        command.args(words).current_dir(self.sandbox.path());
        command.env("P", proglog().get_program());
        command
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "xterm")
            .env_remove("TMUX");
        command.output().ok()
    }

    /// Types keys by their names in tmux, or as text.
    fn keys(&self, keys: &[&str]) {
        for key in keys {
            self.command(&["send-keys", key]).unwrap();
        }
    }

    fn screen(&self) -> String {
        let output = self.command(&["capture-pane", "-p"]).unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn wait_for(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if is_there(&screen) {
                return screen;
            }
            assert!(begun.elapsed() < PATIENCE, "{what} did not come:\n{screen}");
            sleep(Duration::from_millis(20));
        }
    }

    fn browse(&self) {
        self.keys(&["echo before; $P browse log; echo status $?", "Enter"]);
        self.wait_for("the screen", |screen| {
            screen.contains("SEGMENT") && !screen.contains("scan") && screen.contains("?=help")
        });
    }

    /// The terminal is as it was: what was there before, and typed letters are shown.
    fn wait_for_shell(&self, status: &str) -> String {
        let screen = self.wait_for("the shell", |screen| screen.contains(status));
        assert!(
            screen.contains("before") && !screen.contains("SEGMENT"),
            "{screen}"
        );
        self.keys(&[
            "stty -a | tr ';' '\\n' | grep -c -E -- '-icanon|-echo |-isig'",
            "Enter",
        ]);
        self.wait_for("a cooked terminal", |screen| {
            screen.contains("grep -c -E") && screen.lines().any(|line| line == "0")
        })
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        let _ = self.command(&["kill-server"]);
    }
}

#[test]
fn keys_go_in_and_the_screen_comes_out() {
    let sandbox = Sandbox::of("killed-index-ahead");
    let Some(tmux) = Tmux::start(&sandbox) else {
        return;
    };
    let before = sandbox.log();
    let before = proglog_testkit::Snapshot::of(&before);
    tmux.browse();
    let screen = tmux.screen();
    assert!(
        screen.contains("1 segment, 243 records, protobuf"),
        "{screen}"
    );
    assert!(
        screen.contains("1 error, 1 warning (e)  not in use"),
        "{screen}"
    );
    tmux.keys(&["Down", "Down", "PageDown"]);
    tmux.wait_for("the row", |screen| screen.contains("records  offset 14 "));
    tmux.keys(&["e"]);
    let text = "error index-dangling: offsets 243..299: 57 acknowledged records are lost";
    tmux.wait_for("the finding", |screen| screen.contains(text));
    tmux.keys(&["y", "1", "0", "0", "Enter"]);
    tmux.wait_for("the record", |screen| screen.contains("- offset 100 -"));
    tmux.keys(&["x", "Tab", "y"]);
    tmux.wait_for("the command", |screen| {
        screen.contains("proglog read log 100 --hex")
    });
    // Smaller and larger.
    let resize = |size: [&str; 2]| tmux.command(&["resize-window", "-x", size[0], "-y", size[1]]);
    resize(["60", "16"]).unwrap();
    tmux.wait_for("a narrow screen", |screen| {
        let is_narrow = screen.lines().all(|line| line.chars().count() <= 60);
        is_narrow && screen.contains("?=help") && !screen.contains("RECORDS")
    });
    resize(["100", "30"]).unwrap();
    tmux.wait_for("a wide screen", |screen| screen.contains("RECORDS"));
    tmux.keys(&["q"]);
    let screen = tmux.wait_for_shell("status 0");
    let commands = "proglog explain index-dangling\nproglog read log 100 --hex\nstatus 0";
    assert!(screen.contains(commands), "{screen}");
    assert!(before == proglog_testkit::Snapshot::of(&sandbox.log()));
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let sandbox = Sandbox::of("clean-one-segment");
    let Some(tmux) = Tmux::start(&sandbox) else {
        return;
    };
    for (signal, status) in [
        ("TERM", "status 143"),
        ("INT", "status 130"),
        ("HUP", "status 129"),
        ("QUIT", "status 131"),
    ] {
        tmux.keys(&["clear", "Enter"]);
        tmux.wait_for("an empty screen", |screen| screen.trim() == "ready>");
        let line = "echo before; sh -c 'echo $$ > pid; exec $P browse log'";
        tmux.keys(&[line, "Enter"]);
        tmux.wait_for("the screen", |screen| screen.contains("?=help"));
        let pid = std::fs::read_to_string(sandbox.path().join("pid")).unwrap();
        let kill = Command::new("kill")
            .args([&format!("-{signal}"), pid.trim()])
            .status();
        assert!(kill.unwrap().success());
        // A shell ends its line too if a command ends by SIGINT.
        tmux.wait_for("the shell", |screen| !screen.contains("?=help"));
        tmux.keys(&["echo status $?", "Enter"]);
        tmux.wait_for_shell(status);
    }
}

/// Also if the signal for that is ignored, as below nohup, or is not sent to it.
#[test]
fn it_ends_with_its_terminal() {
    for trap in ["", "trap '' HUP; ", "trap : HUP; "] {
        let sandbox = Sandbox::of("clean-one-segment");
        let Some(tmux) = Tmux::start(&sandbox) else {
            return;
        };
        let line = format!(
            "sh -c \"{trap}sh -c 'echo \\$\\$ > pid; exec $P browse log'; echo \\$? > status\""
        );
        tmux.keys(&["exec ", &line, "Enter"]);
        tmux.wait_for("the screen", |screen| screen.contains("?=help"));
        let pid = std::fs::read_to_string(sandbox.path().join("pid")).unwrap();
        tmux.command(&["kill-server"]);
        let begun = Instant::now();
        while is_running(pid.trim()) {
            assert!(
                begun.elapsed() < PATIENCE,
                "{trap}it runs without a terminal"
            );
            sleep(Duration::from_millis(20));
        }
        // Its shell is there to see how it ended.
        while !trap.is_empty() {
            let status = std::fs::read_to_string(sandbox.path().join("status"));
            if let Some(status) = status.ok().filter(|status| !status.is_empty()) {
                assert_eq!(status, "129\n", "{trap}");
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{trap}no status");
            sleep(Duration::from_millis(20));
        }
    }
}

/// Whether a process is there that has not ended.
fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn a_log_is_followed_in_a_terminal() {
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["one"]));
    let Some(tmux) = Tmux::start(&sandbox) else {
        return;
    };
    tmux.browse();
    tmux.keys(&["f"]);
    tmux.wait_for("the mode", |screen| screen.contains("follow"));
    let (status, _, stderr) = super::run_with(&sandbox, &["append", "log"], "two\nthree\n");
    assert_eq!(status, 0, "{stderr}");
    tmux.wait_for("the new record", |screen| screen.contains("- offset 2 -"));
    tmux.keys(&["C-c"]);
    tmux.wait_for("the shell", |screen| !screen.contains("?=help"));
    tmux.keys(&["echo status $?", "Enter"]);
    tmux.wait_for_shell("status 130");
}

/// What a terminal sends unasked, or another program left over, swallows no key.
#[test]
fn stray_sequences_do_not_make_it_deaf() {
    let sandbox = Sandbox::of("clean-one-segment");
    let Some(tmux) = Tmux::start(&sandbox) else {
        return;
    };
    for stray in [
        "1b 5b 32 30 30 7e",
        "1b 5b 3f",
        "1b 5b 3c",
        "1b 5b 31 3b 35",
    ] {
        for (key, status) in [("q", "status 0"), ("C-c", "status 130")] {
            tmux.keys(&["clear", "Enter"]);
            tmux.wait_for("an empty screen", |screen| screen.trim() == "ready>");
            tmux.keys(&["echo before; $P browse log", "Enter"]);
            tmux.wait_for("the screen", |screen| screen.contains("?=help"));
            let mut words = vec!["send-keys", "-H"];
            words.extend(stray.split(' '));
            tmux.command(&words).unwrap();
            // A sequence continues as long as there is no pause.
            sleep(Duration::from_millis(300));
            tmux.keys(&[key]);
            tmux.wait_for("the shell", |screen| !screen.contains("?=help"));
            tmux.keys(&["echo status $?", "Enter"]);
            tmux.wait_for_shell(status);
        }
    }
}

#[test]
fn a_shell_stops_and_continues_it() {
    let sandbox = Sandbox::of("clean-one-segment");
    let Some(tmux) = Tmux::start(&sandbox) else {
        return;
    };
    let line = "set -m; echo before; sh -c 'echo $$ > pid; exec $P browse log'";
    tmux.keys(&[line, "Enter"]);
    tmux.wait_for("the screen", |screen| screen.contains("?=help"));
    let pid = std::fs::read_to_string(sandbox.path().join("pid")).unwrap();
    let typed: &dyn Fn() = &|| tmux.keys(&["C-z"]);
    let sent: &dyn Fn() = &|| {
        let kill = Command::new("kill").args(["-TSTP", pid.trim()]).status();
        assert!(kill.unwrap().success());
    };
    for stop in [typed, sent] {
        stop();
        tmux.wait_for("the shell", |screen| !screen.contains("?=help"));
        tmux.keys(&["echo status $(($? > 128))", "Enter"]);
        tmux.wait_for_shell("status 1");
        tmux.keys(&["fg", "Enter"]);
        tmux.wait_for("the screen", |screen| screen.contains("?=help"));
        tmux.keys(&["j"]);
        tmux.wait_for("a key", |screen| screen.contains("- offset 1 -"));
        tmux.keys(&["g", "clear"]);
    }
    tmux.keys(&["q"]);
    tmux.wait_for("the shell", |screen| !screen.contains("?=help"));
    tmux.keys(&["clear", "Enter"]);
    tmux.wait_for("an empty screen", |screen| screen.trim() == "ready>");
    tmux.keys(&["echo before", "Enter", "echo status $?", "Enter"]);
    tmux.wait_for_shell("status 0");
}

/// Without a shell that could continue it, it does not stop.
#[test]
fn it_is_not_stopped_for_ever() {
    let sandbox = Sandbox::of("clean-one-segment");
    let Some(tmux) = Tmux::start(&sandbox) else {
        return;
    };
    tmux.keys(&["exec $P browse log", "Enter"]);
    tmux.wait_for("the screen", |screen| screen.contains("- offset 0 -"));
    tmux.keys(&["C-z", "j"]);
    tmux.wait_for("a key", |screen| screen.contains("- offset 1 -"));
}

/// A terminal may not answer.
#[test]
fn the_terminal_is_asked_nothing() {
    use std::io::Write as _;
    let sandbox = Sandbox::of("clean-one-segment");
    let mut command = Command::new("script");
    command
        .args(["-qec", "$P browse log", "/dev/null"])
        .current_dir(sandbox.path())
        .env("P", proglog().get_program())
        .env("TERM", "xterm")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        report("browse asks nothing: SKIPPED, no script here");
        return;
    };
    let mut keys = child.stdin.take().unwrap();
    keys.write_all(b"\x0cj\x0cq").unwrap();
    let output = child.wait_with_output().unwrap();
    let seen = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{seen}");
    assert!(seen.contains("SEGMENT"), "{seen}");
    // Its state, its cursor, its attributes, its modes, its colors.
    for question in [
        "[5n", "[6n", "[c", "[0c", "[>c", "[?u", "$p", "]10;?", "]11;?",
    ] {
        assert!(!seen.contains(question), "{question}: {seen:?}");
    }
}

#[test]
fn a_terminal_without_a_screen_is_refused() {
    let sandbox = Sandbox::of("clean-one-segment");
    for (term, words) in [
        (
            "TERM=dumb",
            "a terminal whose cursor it can move, but TERM is dumb",
        ),
        ("TERM=", "to know the terminal, but TERM is empty"),
        ("-u TERM", "to know the terminal, but TERM is not set"),
    ] {
        let line = format!("env {term} $P browse log");
        let Some(seen) = super::terminal::on_terminal(&sandbox, &line, &[]) else {
            return;
        };
        assert!(seen.contains(&format!("browse needs {words}\n")), "{seen}");
    }
}

#[test]
fn without_a_terminal_the_other_commands_are_named() {
    let sandbox = Sandbox::of("clean-one-segment");
    let (status, stdout, stderr) = run(&sandbox, &["browse", "log"]);
    assert_eq!((status, stdout.as_str()), (2, ""));
    assert_eq!(
        stderr,
        "error: browse needs a terminal, for its input and its output\n\
         hint: proglog read log\nhint: proglog dump-store log\n"
    );
}
