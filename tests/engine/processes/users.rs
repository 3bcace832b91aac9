//! Who has a file open, how, and what it is called.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use proglog::log::lease::{Grant, Pending, Probe, WriteLease};
use proglog::log::processes::{Process, Use, in_use, users_of};
use rustix::fs::OFlags;

use super::other::Other;
use super::{Place, open};

/// What the kernel keeps of a program's name. Units: bytes.
const NAME_BYTES: usize = 15;

fn only(processes: &[Process]) -> &Process {
    assert_eq!(processes.len(), 1, "{processes:?}");
    &processes[0]
}

#[test]
fn nobody() {
    let _alone = crate::FORKS.write();
    for place in Place::all() {
        assert!(place.is_free());
        assert_eq!(in_use(&place.files()), Use::NoWriter);
        assert_eq!(place.users().processes, []);
        assert_eq!(place.lease().pending(), Pending::None);
        // This process itself is not one of the others.
        let _own = open(&place.path, OFlags::RDWR).unwrap();
        assert_eq!(place.users().processes, []);
    }
}

#[test]
fn readers_are_named_and_hinder_only_a_lease() {
    let _alone = crate::FORKS.write();
    for place in Place::all() {
        for role in ["reader", "mapped reader"] {
            let other = Other::start(role, &place.path);
            assert!(place.is_free(), "{role}");
            assert_eq!(in_use(&place.files()), Use::NoWriter, "{role}");
            let users = place.users();
            let seen = only(&users.processes);
            assert_eq!((seen.pid, seen.writes), (other.child.id(), false), "{role}");
            let file = File::open(&place.path).unwrap();
            let is_seen = matches!(WriteLease::take(&file), Grant::Refused);
            assert_eq!(is_seen, place.shows(role), "{role}");
            assert!(other.end());
        }
    }
}

#[test]
fn writers_are_found_and_named() {
    let _alone = crate::FORKS.write();
    let roles = [
        "writer",
        "only writer",
        "mapped writer",
        "writer mapped for reading",
    ];
    for place in Place::all() {
        for role in roles {
            let before = SystemTime::now();
            let other = Other::start(role, &place.path);
            let after = SystemTime::now();
            let is_seen = matches!(place.probe(), Probe::Writer);
            assert_eq!(is_seen, place.shows(role), "{role}");
            let Use::Writers(writers) = in_use(&place.files()) else {
                panic!("{role}");
            };
            let writer = only(&writers);
            assert_eq!(writer.pid, other.child.id(), "{role}");
            assert!(writer.writes, "{role}");
            let program = std::env::current_exe().unwrap();
            let program = program.file_name().unwrap().to_str().unwrap();
            assert_eq!(writer.name, program[..NAME_BYTES], "{writer:?}");
            let started = writer.started.unwrap();
            let margin = Duration::from_millis(50);
            assert!(started > before - margin && started < after + margin);
            let file = File::open(&place.path).unwrap();
            let is_seen = matches!(WriteLease::take(&file), Grant::Refused);
            assert_eq!(is_seen, place.shows(role), "{role}");
            assert!(other.end());
        }
    }
}

#[test]
fn a_path_descriptor_opens_nothing() {
    let _alone = crate::FORKS.write();
    for place in Place::all() {
        let other = Other::start("path", &place.path);
        assert_eq!(place.users().processes, []);
        assert_eq!(place.lease().pending(), Pending::None);
        assert!(other.end());
    }
}

#[test]
fn the_names_of_a_file_do_not_matter() {
    let _alone = crate::FORKS.write();
    for place in Place::all() {
        let directory = place.path.parent().unwrap();
        let link = directory.join("link");
        std::os::unix::fs::symlink(&place.path, &link).unwrap();
        let hard = directory.join("hard");
        rustix::fs::link(&place.path, &hard).unwrap();
        for role in ["writer", "mapped writer"] {
            let other = Other::start(role, &hard);
            for name in [&place.path, &link] {
                let Use::Writers(writers) = in_use(std::slice::from_ref(name)) else {
                    panic!("{role}");
                };
                assert_eq!(only(&writers).pid, other.child.id(), "{role}");
            }
        }
    }
}

#[test]
fn several_files_and_several_processes() {
    let _alone = crate::FORKS.write();
    let parent = std::env::temp_dir();
    let [first, second] = [Place::under(&parent), Place::under(&parent)];
    let files = [first.path.clone(), second.path.clone()];
    let reader = Other::start("reader", &first.path);
    let writer = Other::start("writer", &second.path);
    let mut expected = vec![(reader.child.id(), false), (writer.child.id(), true)];
    expected.sort_unstable();
    let seen: Vec<_> = users_of(&files)
        .processes
        .iter()
        .map(|process| (process.pid, process.writes))
        .collect();
    assert_eq!(seen, expected);
    if second.has_leases() {
        assert!(matches!(in_use(&files), Use::Writers(writers)
            if only(&writers).pid == writer.child.id()));
    }
}

/// A stranger (neither owner nor root) is told nothing by the kernel.
#[test]
fn to_a_stranger_the_kernel_says_nothing() {
    let _alone = crate::FORKS.write();
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT TESTED: only root can become another user");
        return;
    }
    let parent = std::env::temp_dir();
    let place = Place::under(&parent);
    let directory = place.path.parent().unwrap();
    let everybody = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory, everybody).unwrap();
    let _writer = Other::start("writer", &place.path);
    let nobody = 65534;
    let mut stranger = Other::command("stranger", &place.path);
    stranger.uid(nobody).gid(nobody);
    let stranger = match Other::spawn(&mut stranger) {
        Ok(stranger) => stranger,
        Err(error) => {
            eprintln!("NOT TESTED: no other user can run this test: {error}");
            return;
        }
    };
    for kind in [
        "Unknown",
        "Unknown",
        "Unknown { readers: [], why: NotTheOwner }",
    ] {
        let answer = stranger.answer();
        assert!(answer.starts_with(kind), "{answer}");
    }
    assert!(stranger.end());
}

/// Processes that come and go while we look.
#[test]
fn processes_that_vanish_do_no_harm() {
    let _alone = crate::FORKS.write();
    let place = Place::under(&std::env::temp_dir());
    let other = Other::start("reader", &place.path);
    let start = Instant::now();
    let end = start + Duration::from_millis(300);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while Instant::now() < end {
                    let status = Command::new("true").status().unwrap();
                    assert!(status.success());
                }
            });
        }
        while Instant::now() < end {
            let users = place.users();
            assert!(
                users
                    .processes
                    .iter()
                    .any(|process| process.pid == other.child.id())
            );
        }
    });
}
