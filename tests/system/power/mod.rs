//! Real power cuts: a small ext4 image on a loop device, appends of the real binary to
//! logs on it, `FS_IOC_SHUTDOWN` without a flush of the journal at a random moment, a
//! mount of what is left. Killed appends and rolls come before the cut. Whatever was
//! acknowledged is there after the mount, what is there is a prefix of what was sent,
//! and the next append simply goes on, which is cut again at times.
//!
//! The control appends with `--no-sync` beside the others: it must lose records that it
//! acknowledged, or else the cuts are none.
//!
//! It wants root and loop devices; without them it says so and does nothing. It runs
//! in a mount namespace of its own, so that nothing stays behind however it ends.
//!
//! `PROGLOG_CUTS=2000 cargo test --test system power::` cuts so often. A failure prints the seed
//! of its run: `PROGLOG_TEST_SEED=17` brings the same inputs back, not the moments.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "all of it is test: it changes its own sandbox and fails by panicking"
)]

mod image;
mod logs;
mod shutdown;

use std::process::Command;
use std::time::{Duration, Instant};

use fastrand::Rng;
use proglog_testkit::{memory_directory, report, variable};

use image::{Image, OPTIONS};
use logs::Logs;

/// Cuts in a run without `PROGLOG_CUTS`.
const CUTS: usize = 40;

/// Cuts of one image.
const IMAGE_CUTS: usize = 25;

/// Says that this process is the one in its own mount namespace.
const INSIDE: &str = "PROGLOG_POWER_INSIDE";

#[test]
fn no_power_cut_takes_what_was_acknowledged() {
    if std::env::var_os(INSIDE).is_some() {
        return cuts();
    }
    if !rustix::process::geteuid().is_root() {
        return report("power: SKIPPED, 0 cuts: not root, and so no loop device");
    }
    let status = Command::new("unshare")
        .args(["--mount", "--propagation=private", "--fork", "--kill-child"])
        .arg(std::env::current_exe().unwrap())
        .args(["power::no_power_cut_takes_what_was_acknowledged", "--exact"])
        .arg("--nocapture")
        .env(INSIDE, "1")
        .stdout(std::process::Stdio::null())
        .status();
    match status {
        Ok(status) => assert!(status.success(), "{status}: see above"),
        Err(error) => report(&format!("power: SKIPPED, 0 cuts: unshare: {error}")),
    }
}

fn cuts() {
    let seed = variable("PROGLOG_TEST_SEED").unwrap_or_else(|| fastrand::u64(..1 << 40));
    let wanted = variable("PROGLOG_CUTS").unwrap_or(CUTS);
    let began = Instant::now();
    let mut rng = Rng::with_seed(seed);
    let mut logs = Logs::default();
    let mut cuts = 0;
    for options in OPTIONS.iter().cycle() {
        if cuts >= wanted {
            break;
        }
        let room = memory_directory();
        let mut image = match Image::mount(room.path(), options) {
            Ok(image) => image,
            Err(what) => return report(&format!("power: SKIPPED after {cuts} cuts: {what}")),
        };
        logs.move_to(image.path(), room.path(), &mut rng);
        for _ in 0..IMAGE_CUTS.min(wanted - cuts) {
            let moment = Duration::from_micros(rng.u64(..60_000));
            cuts += 1;
            let done = logs.before_the_cut(&mut rng).and_then(|()| {
                logs.during(&mut rng, moment, || image.cut());
                image.mount_again();
                logs.after(&mut rng)
            });
            if let Err(what) = done {
                panic!("seed {seed}, cut {cuts}, {options}: {what}");
            }
        }
        if let Err(what) = logs.end() {
            panic!("seed {seed}, after {cuts} cuts, {options}: {what}");
        }
    }
    report(&format!(
        "power: {cuts} power cuts (ext4, FS_IOC_SHUTDOWN), seed {seed}: {}, {} s",
        logs.tell(),
        began.elapsed().as_secs()
    ));
    assert!(
        logs.control_losses > 0 || cuts < 10,
        "the control without fsync lost nothing in {cuts} cuts: they cut nothing"
    );
}
