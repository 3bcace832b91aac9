//! No room: files that may not grow beyond a limit (`prlimit --fsize`, which sends
//! SIGXFSZ), and a small tmpfs with a few pages left, where root may mount one.

use std::path::Path;
use std::process::Command;

use proglog_testkit::{memory_directory, report};

use crate::kills::cases;

/// Limits of a file's size. Units: bytes.
const FILE_BYTES: &[u64] = &[0, 1, 10, 30, 60, 100, 130, 200, 300, 600, 1000];

/// Pages that are left in the tmpfs.
const PAGES_LEFT: &[u64] = &[0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 17];

/// A page of tmpfs. Units: bytes.
const PAGE_BYTES: u64 = 4096;

/// Says that this process is the one in its own mount namespace.
const INSIDE: &str = "PROGLOG_FULL_INSIDE";

#[test]
fn files_that_may_not_grow_cost_nothing_acknowledged() {
    if !Command::new("prlimit")
        .arg("--version")
        .output()
        .is_ok_and(|it| it.status.success())
    {
        return report("faults: SKIPPED, 0 runs with a limit on files: no prlimit");
    }
    let (mut runs, mut failed) = (0, 0);
    for case in cases::all() {
        let room = memory_directory();
        case.prepare(room.path());
        let reference = case.reference(room.path());
        for bytes in FILE_BYTES {
            let room = memory_directory();
            case.prepare(room.path());
            let limit = ["prlimit".to_owned(), format!("--fsize={bytes}")];
            let output = case.run(room.path(), &limit);
            let about = format!("files of at most {bytes} bytes");
            let it_failed = case.check(room.path(), &output, &reference, &[], &about);
            runs += 1;
            failed += usize::from(it_failed);
        }
    }
    report(&format!(
        "faults: {runs} runs of the binary with a limit on the size of files, {failed} ended with 2"
    ));
    assert!(failed > 20, "{failed} of {runs} met the limit");
}

#[test]
fn a_full_disk_costs_nothing_acknowledged() {
    if std::env::var_os(INSIDE).is_some() {
        return fill();
    }
    if !rustix::process::geteuid().is_root() {
        return report("faults: SKIPPED, 0 runs on a full tmpfs: not root");
    }
    let status = Command::new("unshare")
        .args(["--mount", "--propagation=private", "--fork", "--kill-child"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "kills::full::a_full_disk_costs_nothing_acknowledged",
            "--exact",
        ])
        .arg("--nocapture")
        .env(INSIDE, "1")
        .stdout(std::process::Stdio::null())
        .status();
    match status {
        Ok(status) => assert!(status.success(), "{status}: see above"),
        Err(error) => report(&format!(
            "faults: SKIPPED, 0 runs on a full tmpfs: unshare: {error}"
        )),
    }
}

fn fill() {
    let (mut runs, mut failed) = (0, 0);
    for case in cases::all() {
        let room = memory_directory();
        case.prepare(room.path());
        let reference = case.reference(room.path());
        for pages in PAGES_LEFT {
            let room = memory_directory();
            let Some(disk) = Small::mount(room.path()) else {
                return report("faults: SKIPPED, 0 runs on a full tmpfs: it cannot be mounted");
            };
            case.prepare(room.path());
            disk.leave(*pages);
            let output = case.run(room.path(), &[]);
            disk.enlarge();
            let about = format!("{pages} pages left");
            let it_failed = case.check(room.path(), &output, &reference, &[], &about);
            runs += 1;
            failed += usize::from(it_failed);
        }
    }
    report(&format!(
        "faults: {runs} runs of the binary on a tmpfs with few pages left, {failed} ended with 2"
    ));
    assert!(failed > 20, "{failed} of {runs} met the end of the disk");
}

/// A tmpfs whose size is set; gone with the value, and with the mount namespace.
struct Small<'a> {
    place: &'a Path,
}

impl<'a> Small<'a> {
    fn mount(place: &'a Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]);
        let mounted = mount.arg(place).status().is_ok_and(|it| it.success());
        mounted.then_some(Self { place })
    }

    /// Leaves room for so many more pages.
    fn leave(&self, pages: u64) {
        let status = rustix::fs::statvfs(self.place).unwrap();
        let used = (status.f_blocks - status.f_bfree) * status.f_frsize;
        self.resize(used + pages * PAGE_BYTES);
    }

    fn enlarge(&self) {
        self.resize(8 << 20);
    }

    fn resize(&self, bytes: u64) {
        let options = format!("remount,size={bytes}");
        let mut mount = Command::new("mount");
        let status = mount.args(["-o", &options]).arg(self.place).status();
        assert!(status.unwrap().success(), "{options}");
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.place).status();
    }
}
