//! Other processes according to `/proc`: their descriptors (`/proc/PID/fd`) and mappings
//! (`/proc/PID/maps`) of some files, their names and start times (`/proc/PID/stat`). It
//! parses these files, opens none of the log's, and leaves the judgement to `processes`.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::dir::Identity;
use super::platform;

/// The files that are searched for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Targets {
    identities: HashSet<Identity>,
    inodes: HashSet<u64>,
    /// Their real paths, as `maps` shows them.
    paths: HashSet<Vec<u8>>,
}

impl Targets {
    /// Adds the file behind `path`, links followed, nothing opened.
    pub(super) fn add(&mut self, path: &Path) -> io::Result<()> {
        let path = fs::canonicalize(path)?;
        let identity = identity_of(&path)?;
        self.identities.insert(identity);
        self.inodes.insert(identity.inode);
        self.paths.insert(escaped(&path));
        Ok(())
    }
}

/// That of the file behind `path`, links followed, nothing opened.
fn identity_of(path: &Path) -> io::Result<Identity> {
    let found = fs::metadata(path)?;
    Ok(Identity {
        device: found.dev(),
        inode: found.ino(),
    })
}

/// How a file is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    Reads,
    Writes,
}

/// The result for one process.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// How it has one of the files open; the most it may do counts.
    pub(super) access: Option<Access>,
    /// Whether something could not be inspected.
    pub(super) hidden: bool,
}

impl Look {
    /// Inspects which of `targets` the process of this number has open.
    pub(super) fn at(pid: u32, targets: &Targets) -> Self {
        let entry = entry(pid);
        let mut look = Self::default();
        look.at_descriptors(&entry, targets);
        look.at_mappings(&entry, targets);
        look
    }

    /// Notes a failure, unless the inspected object has just gone.
    fn fail(&mut self, error: &io::Error) {
        self.hidden |= !has_vanished(error);
    }

    fn at_descriptors(&mut self, entry: &Path, targets: &Targets) {
        let list = match fs::read_dir(entry.join("fd")) {
            Ok(list) => list,
            Err(error) => return self.fail(&error),
        };
        for descriptor in list {
            match descriptor.and_then(|fd| descriptor_access(entry, &fd.file_name(), targets)) {
                Ok(access) => self.access = self.access.max(access),
                Err(error) => self.fail(&error),
            }
        }
    }

    fn at_mappings(&mut self, entry: &Path, targets: &Targets) {
        let text = match fs::read(entry.join("maps")) {
            Ok(text) => text,
            Err(error) => return self.fail(&error),
        };
        for mapping in text.split(|byte| *byte == b'\n').filter_map(parse_mapping) {
            match mapping.is_one_of(entry, targets) {
                Some(true) => self.access = self.access.max(Some(mapping.access(entry))),
                Some(false) => {}
                None => self.hidden = true,
            }
        }
    }
}

/// How the process has one of `targets` open under this descriptor, if it has.
fn descriptor_access(
    entry: &Path,
    number: &OsString,
    targets: &Targets,
) -> io::Result<Option<Access>> {
    let descriptor = entry.join("fd").join(number);
    // Sockets and pipes are called `socket:[1]`: most descriptors need no second scan.
    if !fs::read_link(&descriptor)?.is_absolute() {
        return Ok(None);
    }
    let identity = identity_of(&descriptor)?;
    if !targets.identities.contains(&identity) {
        return Ok(None);
    }
    let text = fs::read_to_string(entry.join("fdinfo").join(number))?;
    Ok(parse_descriptor(&text))
}

/// The content of `/proc/PID/fdinfo/N`: `flags:`, octal, as passed to `open`. A
/// descriptor made with `O_PATH` opens nothing.
fn parse_descriptor(text: &str) -> Option<Access> {
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
    let flags = OFlags::from_bits_retain(u32::from_str_radix(flags.trim(), 8).ok()?);
    if platform::opens_nothing(flags) {
        return None;
    }
    if flags.intersects(OFlags::WRONLY | OFlags::RDWR) {
        Some(Access::Writes)
    } else {
        Some(Access::Reads)
    }
}

/// One line of `/proc/PID/maps`.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    /// The name of its link in `/proc/PID/map_files`.
    link: String,
    writes: bool,
    identity: Identity,
    /// As it is there: a line end is `\012`.
    path: Vec<u8>,
}

impl Mapping {
    /// Whether it maps one of `targets`; `None` if unknown.
    ///
    /// On btrfs, and on overlayfs before Linux 6.8, a mapping shows another device
    /// than the file's. Its link leads to the file itself, but needs privileges; else
    /// the path is a sign, though it may be from another namespace.
    fn is_one_of(&self, entry: &Path, targets: &Targets) -> Option<bool> {
        if targets.identities.contains(&self.identity) {
            return Some(true);
        }
        let same_path = targets.paths.contains(&self.path);
        if !same_path && !targets.inodes.contains(&self.identity.inode) {
            return Some(false);
        }
        match identity_of(&entry.join("map_files").join(&self.link)) {
            Ok(identity) => Some(targets.identities.contains(&identity)),
            Err(error) if has_vanished(&error) => Some(false),
            Err(_) if same_path => Some(true),
            Err(_) => None,
        }
    }

    /// Whether it writes now, or its descriptor was open for writing: then it may yet.
    fn access(&self, entry: &Path) -> Access {
        let link = entry.join("map_files").join(&self.link);
        let behind = fs::symlink_metadata(link).is_ok_and(|link| link.mode() & 0o200 != 0);
        if self.writes || behind {
            Access::Writes
        } else {
            Access::Reads
        }
    }
}

/// A path as `maps` shows it.
fn escaped(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes();
    let parts: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    parts.join(b"\\012".as_slice())
}

/// Shape: `start-end rw-s offset major:minor inode   path`, all numbers hexadecimal
/// but the inode. `None` for what maps no file.
fn parse_mapping(line: &[u8]) -> Option<Mapping> {
    let path_at = line.iter().position(|byte| *byte == b'/')?;
    let (head, path) = line.split_at_checked(path_at)?;
    let mut fields = str::from_utf8(head).ok()?.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?.as_bytes();
    let (major, minor) = fields.nth(1)?.split_once(':')?;
    let hexadecimal = |text| u32::from_str_radix(text, 16).ok();
    Some(Mapping {
        // The link's name has no leading zeros, other than the line.
        link: format!(
            "{}-{}",
            start.trim_start_matches('0'),
            end.trim_start_matches('0')
        ),
        writes: permissions.get(1) == Some(&b'w') && permissions.get(3) == Some(&b's'),
        identity: Identity {
            device: platform::device(hexadecimal(major)?, hexadecimal(minor)?),
            inode: fields.next()?.parse().ok()?,
        },
        path: path.to_vec(),
    })
}

/// The content of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// The command's name.
    pub(super) name: String,
    /// Whether it can have no files of its own: the kernel's threads, and what has ended
    /// but was not waited for. Only root may inspect those.
    pub(super) has_no_files: bool,
    /// Units: clock ticks since the machine started.
    pub(super) start_ticks: u64,
}

/// The entry of this process; `None` if it is gone.
pub(super) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read(entry(pid).join("stat")).ok()?)
}

/// Shape: `pid (name) state ...`, where the name may hold anything, parentheses too.
/// Source: `proc_pid_stat(5)`; the fields there count from 1, the state is 3.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    const KERNEL_THREAD: u32 = 0x0020_0000;
    let open = text.iter().position(|byte| *byte == b'(')?;
    let close = text.iter().rposition(|byte| *byte == b')')?;
    let name = text.get(open.checked_add(1)?..close)?;
    let rest = str::from_utf8(text.get(close.checked_add(1)?..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let flags: u32 = fields.nth(5)?.parse().ok()?; // 9
    let threads: u64 = fields.nth(10)?.parse().ok()?; // 20
    let start_ticks = fields.nth(1)?.parse().ok()?; // 22
    let ended = matches!(state, "Z" | "X") && threads <= 1;
    Some(Stat {
        name: String::from_utf8_lossy(name).into_owned(),
        has_no_files: ended || flags & KERNEL_THREAD != 0,
        start_ticks,
    })
}

/// The time at which this many clock ticks had passed since the machine started.
pub(super) fn started(ticks: u64) -> Option<SystemTime> {
    let per_second = rustix::param::clock_ticks_per_second();
    let part = ticks.checked_rem(per_second)?.checked_mul(1_000_000_000)? / per_second;
    let since_boot =
        Duration::from_secs(ticks.checked_div(per_second)?) + Duration::from_nanos(part);
    // More exact than `btime` in /proc/stat, which is cut to whole seconds.
    let boot = SystemTime::now().checked_sub(platform::uptime()?)?;
    boot.checked_add(since_boot)
}

/// The numbers of all processes to be seen but this one, ascending.
pub(super) fn process_ids() -> Vec<u32> {
    let own = own_id();
    let mut ids: Vec<u32> = platform::PROCESSES
        .and_then(|list| fs::read_dir(list).ok())
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|id| *id != own)
        .collect();
    ids.sort_unstable();
    ids
}

/// The directory of the process of this number.
fn entry(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// This process's number there, which differs from its own idea of it where `/proc`
/// is another namespace's.
fn own_id() -> u32 {
    fs::read_link("/proc/self")
        .ok()
        .and_then(|link| link.to_str()?.parse().ok())
        .unwrap_or_else(std::process::id)
}

/// Whether `/proc` lists all processes of this machine: it is there, it is of the
/// namespace that holds all others, and it hides none (`hidepid`).
pub(super) fn sees_every_process() -> bool {
    // The number of the initial namespace in Linux, see PID_NS_INIT_INO.
    let first = Path::new("pid:[4026531836]");
    platform::PROCESSES.map(Path::new).is_some_and(|list| {
        fs::read_link(list.join("self/ns/pid")).is_ok_and(|namespace| namespace == first)
            && list.join("1").exists()
    })
}

/// Whether the error says that a process, a descriptor or a file is no longer there.
pub(super) fn has_vanished(error: &io::Error) -> bool {
    let gone = [Errno::NOENT, Errno::SRCH].map(|errno| Some(errno.raw_os_error()));
    gone.contains(&error.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptor_flags() {
        let access =
            |flags: &str| parse_descriptor(&format!("pos:\t0\nflags:\t{flags}\nmnt_id:\t29\n"));
        assert_eq!(access("0100000"), Some(Access::Reads));
        assert_eq!(access("02100001"), Some(Access::Writes));
        assert_eq!(access("0102002"), Some(Access::Writes));
        // O_PATH, which only Linux has.
        #[cfg(not(proglog_portable))]
        assert_eq!(access("012000000"), None);
        assert_eq!(access("8"), None);
        assert_eq!(parse_descriptor("pos:\t0\n"), None);
    }

    #[test]
    fn mappings() {
        let line = b"00400000-00401000 rw-s 00000000 fe:00 12345                   /a b/0.index";
        assert_eq!(
            parse_mapping(line),
            Some(Mapping {
                link: "400000-401000".to_owned(),
                writes: true,
                identity: Identity {
                    device: platform::device(0xfe, 0),
                    inode: 12345
                },
                path: b"/a b/0.index".to_vec(),
            })
        );
        for (permissions, writes) in [("r--s", false), ("rw-p", false), ("-w-s", true)] {
            let line = format!("7f00-7f01 {permissions} 00000000 00:1f 9    /x");
            let mapping = parse_mapping(line.as_bytes()).unwrap();
            assert_eq!((mapping.writes, permissions), (writes, permissions));
            assert_eq!(mapping.identity.device, platform::device(0, 0x1f));
        }
        for (end, _) in line.iter().enumerate().take(58) {
            assert_eq!(parse_mapping(&line[..end]), None);
        }
        assert_eq!(parse_mapping(b"7ffe-7fff rw-p 0 00:00 0   [stack]"), None);
        assert_eq!(escaped(Path::new("/a\nb/c")), b"/a\\012b/c");
    }

    /// A mapping of the test binary under another device, as btrfs would show it.
    #[test]
    fn a_mapping_with_another_device_is_followed_to_its_file() {
        let own = std::env::current_exe().unwrap();
        let mut targets = Targets::default();
        targets.add(&own).unwrap();
        let entry = Path::new("/proc/self");
        let maps = fs::read(entry.join("maps")).unwrap();
        let mut mapping = maps
            .split(|byte| *byte == b'\n')
            .filter_map(parse_mapping)
            .find(|mapping| targets.paths.contains(&mapping.path))
            .unwrap();
        mapping.identity.device = platform::device(0, 99);
        assert_eq!(mapping.is_one_of(entry, &targets), Some(true));
        // By its path alone, if the link is not enough.
        let other = |path: &[u8]| {
            let mut identity = identity_of(&own).unwrap();
            identity.inode ^= 1;
            Targets {
                identities: HashSet::from([identity]),
                inodes: HashSet::from([identity.inode]),
                paths: HashSet::from([path.to_vec()]),
            }
        };
        let resolved = identity_of(&entry.join("map_files").join(&mapping.link)).is_ok();
        let by_path = other(&mapping.path);
        assert_eq!(mapping.is_one_of(entry, &by_path), Some(!resolved));
        // Neither inode nor path.
        let elsewhere = other(b"/elsewhere");
        assert_eq!(mapping.is_one_of(entry, &elsewhere), Some(false));
    }

    #[test]
    fn stat_lines() {
        let tail = "1 1 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 7 0 4711 1000 1";
        let parse = |text: &str| parse_stat(text.as_bytes());
        let stat = parse(&format!("42 (a) b) S {tail}")).unwrap();
        assert_eq!(stat.name, "a) b");
        assert_eq!(stat.start_ticks, 4711);
        assert!(!stat.has_no_files);
        // A first thread that ended leaves the others, and their files.
        assert!(!parse(&format!("42 (a) Z {tail}")).unwrap().has_no_files);
        let alone = tail.replace(" 7 ", " 1 ");
        assert!(parse(&format!("42 (a) Z {alone}")).unwrap().has_no_files);
        let kernel = tail.replace("4194304", "2129984");
        assert!(
            parse(&format!("2 (kthreadd) S {kernel}"))
                .unwrap()
                .has_no_files
        );
        for text in ["", "42", "42 )a(", "42 (a) S 1 2 3"] {
            assert_eq!(parse(text), None);
        }
    }
}
