//! Writers whom neither the kernel nor /proc shows: nobody can tell whether one is there,
//! and so every command that writes says, and does nothing.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use proglog_testkit::{LogBuilder, Sandbox, WRITING, nobody_can_tell, run_in};

use crate::security::shell::in_mounts;

/// The log's owner and its group, and another user of that group.
const OWNER: u32 = 54321;
const GROUP: u32 = 54322;
const OTHER: u32 = 54323;

fn is_root(what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("{what}: SKIPPED: not root");
    }
    root
}

fn binary() -> Command {
    let mut command = Command::new(crate::security::world::binary());
    command.env("LC_ALL", "C");
    command
}

/// A shell that has an index open for writing until it is dropped.
struct Writer(Child);

impl Writer {
    fn of(log: &Path) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec 3<>0.index; echo ready; read end"]);
        shell.current_dir(log).stdin(Stdio::piped());
        let mut child = shell.stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        Self(child)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A log of a service that was killed: its index is padded.
fn padded() -> Sandbox {
    Sandbox::of("killed-padding-only")
}

/// Whoever may search directories on the way may search this one too, and write there.
fn open_to_others(sandbox: &Sandbox) {
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    mode(sandbox.path(), 0o777);
    mode(&sandbox.log(), 0o775);
    chown(sandbox.log(), Some(OWNER), Some(GROUP)).unwrap();
    for name in sandbox.names() {
        let file = sandbox.file(&name);
        mode(&file, 0o664);
        chown(file, Some(OWNER), Some(GROUP)).unwrap();
    }
}

#[test]
fn another_user_of_the_group_is_not_told() {
    if !is_root("unseen by another user") {
        return;
    }
    let sandbox = padded();
    open_to_others(&sandbox);
    let other = || {
        let mut command = binary();
        command.uid(OTHER).gid(GROUP);
        command
    };
    if other().arg("--version").output().is_err() {
        eprintln!("unseen by another user: SKIPPED: no other user can run the binary");
        return;
    }
    let _writer = Writer::of(&sandbox.log());
    nobody_can_tell(sandbox.path(), &other, "owner");
}

/// A mount by FUSE, until it is dropped.
struct Mount<'a>(&'a Path);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn below_a_fuse_mount_nobody_is_seen() {
    if !is_root("unseen below FUSE") {
        return;
    }
    let (below, above) = (padded(), Sandbox::bare());
    let mut bindfs = Command::new("bindfs");
    let mounted = bindfs.args([below.path(), above.path()]).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("unseen below FUSE: SKIPPED: no bindfs, or it cannot mount here");
        return;
    }
    let _mount = Mount(above.path());
    let _writer = Writer::of(&below.log());
    nobody_can_tell(above.path(), &binary, "FUSE");
    // Nobody could tell afterwards, so no log is made.
    for target in ["new", "new/below"] {
        let mut append = binary();
        append.args(["append", target]);
        let (status, said) = run_in(append, above.path());
        assert_eq!(status, Some(4), "{said}");
        assert!(
            said.contains("cannot tell") && said.contains("FUSE"),
            "{said}"
        );
        assert!(!below.path().join("new").exists());
    }
}

/// Root in a container: without `CAP_LEASE`, and here without /proc, so that nothing else
/// can tell.
fn container(without: &str) -> Command {
    let script =
        format!("mount -t tmpfs none /proc && exec setpriv --bounding-set={without} \"$@\"");
    in_mounts(&script, crate::security::world::binary())
}

#[test]
fn root_in_a_container_asks_as_the_owner() {
    if !is_root("root without CAP_LEASE") {
        return;
    }
    let sandbox = padded();
    open_to_others(&sandbox);
    let append = |without| {
        let mut command = container(without);
        command.args(["append", "log"]);
        run_in(command, sandbox.path())
    };
    let before = sandbox.snapshot();
    let writer = Writer::of(&sandbox.log());
    let (status, said) = append("-lease");
    assert_eq!(status, Some(4), "{said}");
    assert!(said.contains("in use"), "{said}");
    drop(writer);
    let (status, said) = append("-lease,-setuid");
    assert_eq!(status, Some(4), "{said}");
    assert!(said.contains("cannot tell"), "{said}");
    assert_eq!(sandbox.snapshot(), before);
    let (status, said) = append("-lease");
    assert_eq!(status, Some(0), "{said}");
    let mut info = container("-lease");
    info.args(["info", "log"]);
    let (_, said) = run_in(info, sandbox.path());
    assert!(said.contains("in use   no"), "{said}");
}

/// To open the second name of a file means to wait for our own lease on the first, 45
/// seconds.
#[test]
fn one_file_under_two_names_is_told_and_refused_at_once() {
    let log = || {
        LogBuilder::raw()
            .segment(0, ["a"; 20])
            .segment(20, ["b"; 3])
    };
    for (name, other) in [
        ("20.store", "20.index"),
        ("0.index", "20.index"),
        ("0.store", "0.index"),
    ] {
        let sandbox = Sandbox::built(&log());
        sandbox.remove(other);
        std::fs::hard_link(sandbox.file(name), sandbox.file(other)).unwrap();
        let before = sandbox.snapshot();
        let begun = Instant::now();
        for arguments in [&["verify", "log"], WRITING[1], WRITING[2], WRITING[3]] {
            let mut command = binary();
            command.args(arguments);
            let (status, said) = run_in(command, sandbox.path());
            let nothing = said.starts_with("nothing to change");
            assert!(
                matches!(status, Some(2 | 3)) || nothing,
                "{arguments:?}: {said}"
            );
            assert_eq!(sandbox.snapshot(), before, "{arguments:?}");
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    // Both halves empty, so that nothing else is wrong with them.
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, [""; 0]));
    sandbox.remove("0.index");
    std::fs::hard_link(sandbox.file("0.store"), sandbox.file("0.index")).unwrap();
    let mut append = binary();
    append.args(["append", "log", "--codec=raw"]);
    let (status, said) = run_in(append, sandbox.path());
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("is the same file as"), "{said}");
    let mut verify = binary();
    verify.args(["verify", "log"]);
    let (status, said) = run_in(verify, sandbox.path());
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("the store under a second name"), "{said}");
    assert_eq!(sandbox.bytes("0.store"), 0);
}
