//! Who the other processes are that have a log's files open: the kernel is asked by
//! `lease`, and where it cannot say, or for the names, `/proc` is looked through.
//!
//! Seen there: descriptors (`/proc/PID/fd`) and mappings (`/proc/PID/maps`). Not seen:
//! descriptors on their way through a socket, and what other machines have open.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::lease::{self, Probe};

/// A process that has one of the files open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number, as this process's `/proc` has it.
    pub pid: u32,
    /// The command's name, at most 15 bytes: the process chose it, so it may hold
    /// anything.
    pub name: String,
    /// Whether it has a file open for writing, if only behind a mapping; else it reads.
    pub writes: bool,
    /// When it started, to about 20 ms, by today's idea of the time.
    pub started: Option<SystemTime>,
}

/// The other processes that have any of some files open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Users {
    /// Those that were seen, by ascending number.
    pub processes: Vec<Process>,
    /// Whether every process of this machine could be looked at. Without root it
    /// hardly ever is so, in a container never; and some hide from root too.
    pub complete: bool,
}

impl Users {
    /// Only those that write.
    #[must_use]
    pub fn into_writers(mut self) -> Vec<Process> {
        self.processes.retain(|process| process.writes);
        self.processes
    }
}

/// Whether other processes write to a log's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// None does. Readers were not looked for: a refused write lease tells of them,
    /// and [`users_of`] names them.
    NoWriter,
    /// Some do: those that `/proc` shows, so the list may be empty.
    Writers(Vec<Process>),
    /// It cannot be known: none was seen, but not everything could be looked at.
    Unknown {
        /// The readers that were seen.
        readers: Vec<Process>,
    },
}

/// Whether other processes write to any of `files`: the first and the active
/// segment's pair are enough to know it of a log.
///
/// This process must not have them open for writing or hold a lease on them, which
/// would count. What is not there, or is no regular file, is passed over, and never
/// opened. A holder of a write lease counts as a writer, and learns that we came.
#[must_use]
pub fn in_use(files: &[PathBuf]) -> Use {
    let mut kernel_knows = true;
    let mut mapped = false;
    for file in files {
        match probe(file) {
            Probe::Free => {}
            Probe::FreeButForMappings => mapped = true,
            Probe::Writer => return Use::Writers(users_of(files).into_writers()),
            Probe::Unknown(_) => kernel_knows = false,
        }
    }
    if kernel_knows && !mapped {
        return Use::NoWriter;
    }
    let mut users = users_of(files);
    // All that the kernel left open is a mapping without a descriptor, which a service
    // has not: where some process is hidden, the kernel's word is taken for it.
    users.complete |= kernel_knows;
    judge(users)
}

/// What `/proc` alone says.
fn judge(users: Users) -> Use {
    if users.processes.iter().any(|process| process.writes) {
        Use::Writers(users.into_writers())
    } else if users.complete {
        Use::NoWriter
    } else {
        Use::Unknown {
            readers: users.processes,
        }
    }
}

/// Asks the kernel about the file of this name.
fn probe(path: &Path) -> Probe {
    match open_to_probe(path) {
        Ok(Some(file)) => lease::probe_writer(&file),
        Ok(None) => Probe::Free,
        // Somebody holds a write lease, as whoever changes a log of ours does.
        Err(error) if error.kind() == ErrorKind::WouldBlock => Probe::Writer,
        Err(error) => Probe::Unknown(error),
    }
}

/// Opens a regular file for reading, and nothing else: to open a FIFO or a device
/// does something to whoever is at its other end. It never waits.
fn open_to_probe(path: &Path) -> io::Result<Option<File>> {
    let flags =
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = || {
        let path = fs::canonicalize(path)?;
        if !fs::symlink_metadata(&path)?.is_file() {
            return Ok(None);
        }
        let file = File::from(rustix::fs::open(&path, flags, Mode::empty())?);
        Ok(file.metadata()?.is_file().then_some(file))
    };
    open().or_else(|error: io::Error| match error.kind() {
        ErrorKind::NotFound => Ok(None),
        _ => Err(error),
    })
}

/// Looks through `/proc` for the other processes that have any of `paths` open.
///
/// Files are told by device and inode, so other names of them count. A process that
/// ends meanwhile is left out. It takes a few milliseconds for a hundred processes.
#[must_use]
pub fn users_of(paths: &[PathBuf]) -> Users {
    let mut complete = sees_every_process();
    let mut targets = Vec::new();
    for path in paths {
        match Target::of(path) {
            Ok(target) => targets.push(target),
            Err(error) => complete &= has_vanished(&error),
        }
    }
    let mut users = Users::default();
    for pid in process_ids() {
        let entry = Path::new("/proc").join(pid.to_string());
        let mut look = Look::default();
        look.at_descriptors(&entry, &targets);
        look.at_mappings(&entry, &targets);
        if look.access.is_none() && !look.hidden {
            continue;
        }
        let Some(stat) = fs::read(entry.join("stat")).ok().and_then(parse_stat) else {
            continue; // gone
        };
        complete &= !look.hidden || stat.has_no_files;
        if let Some(access) = look.access {
            users.processes.push(Process {
                pid,
                name: stat.name,
                writes: access == Access::Writes,
                started: started(stat.start_ticks),
            });
        }
    }
    users.complete = complete;
    users
}

/// A file that is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    identity: Identity,
    /// Its real path, as `maps` would show it.
    path: PathBuf,
}

impl Target {
    fn of(path: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(path)?;
        let identity = Identity::of(&path)?;
        Ok(Self { identity, path })
    }
}

/// What makes two names the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: (u32, u32),
    inode: u64,
}

impl Identity {
    /// That of the file behind `path`, links followed, nothing opened.
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self {
            device: (
                rustix::fs::major(found.dev()),
                rustix::fs::minor(found.dev()),
            ),
            inode: found.ino(),
        })
    }
}

/// How a file is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Access {
    Reads,
    Writes,
}

/// What a look at one process showed.
#[derive(Debug, Default)]
struct Look {
    access: Option<Access>,
    /// Whether something could not be looked at.
    hidden: bool,
}

impl Look {
    /// Notes a failure, unless it says that what was looked at has just gone.
    fn fail(&mut self, error: &io::Error) {
        self.hidden |= !has_vanished(error);
    }

    fn at_descriptors(&mut self, entry: &Path, targets: &[Target]) {
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

    fn at_mappings(&mut self, entry: &Path, targets: &[Target]) {
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
    targets: &[Target],
) -> io::Result<Option<Access>> {
    let descriptor = entry.join("fd").join(number);
    // Sockets and pipes are called `socket:[1]`: most descriptors need no second look.
    if !fs::read_link(&descriptor)?.is_absolute() {
        return Ok(None);
    }
    let identity = Identity::of(&descriptor)?;
    if !targets.iter().any(|target| target.identity == identity) {
        return Ok(None);
    }
    let text = fs::read_to_string(entry.join("fdinfo").join(number))?;
    Ok(parse_descriptor(&text))
}

/// What `/proc/PID/fdinfo/N` says: `flags:`, octal, as `open` took them. A descriptor
/// made with `O_PATH` opens nothing.
fn parse_descriptor(text: &str) -> Option<Access> {
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
    let flags = OFlags::from_bits_retain(u32::from_str_radix(flags.trim(), 8).ok()?);
    #[cfg(target_os = "linux")]
    if flags.contains(OFlags::PATH) {
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
    /// As it stands there: a line end is `\012`.
    path: Vec<u8>,
}

impl Mapping {
    /// Whether it maps one of `targets`; `None` where that cannot be told.
    ///
    /// On btrfs, and on overlayfs before Linux 6.8, a mapping shows another device
    /// than the file's. Its link leads to the file itself, but needs privileges; else
    /// the path is a sign, though it may be from another namespace.
    fn is_one_of(&self, entry: &Path, targets: &[Target]) -> Option<bool> {
        if targets
            .iter()
            .any(|target| target.identity == self.identity)
        {
            return Some(true);
        }
        let same_inode = |target: &Target| target.identity.inode == self.identity.inode;
        let same_path = |target: &Target| escaped(&target.path) == self.path;
        if !targets
            .iter()
            .any(|target| same_inode(target) || same_path(target))
        {
            return Some(false);
        }
        match Identity::of(&entry.join("map_files").join(&self.link)) {
            Ok(identity) => Some(targets.iter().any(|target| target.identity == identity)),
            Err(error) if has_vanished(&error) => Some(false),
            Err(_) if targets.iter().any(same_path) => Some(true),
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
            device: (hexadecimal(major)?, hexadecimal(minor)?),
            inode: fields.next()?.parse().ok()?,
        },
        path: path.to_vec(),
    })
}

/// What `/proc/PID/stat` says.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    name: String,
    /// Whether it can have no files of its own: the kernel's threads, and what has
    /// ended but was not waited for. Only root may look at those.
    has_no_files: bool,
    /// Units: clock ticks since the machine started.
    start_ticks: u64,
}

/// Shape: `pid (name) state ...`, where the name may hold anything, parentheses too.
/// Source: `proc_pid_stat(5)`; the fields there count from 1, the state is 3.
#[expect(clippy::needless_pass_by_value, reason = "it is read for this alone")]
fn parse_stat(text: Vec<u8>) -> Option<Stat> {
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
fn started(ticks: u64) -> Option<SystemTime> {
    let per_second = rustix::param::clock_ticks_per_second();
    let part = ticks.checked_rem(per_second)?.checked_mul(1_000_000_000)? / per_second;
    let since_boot =
        Duration::from_secs(ticks.checked_div(per_second)?) + Duration::from_nanos(part);
    // More exact than `btime` in /proc/stat, which is cut to whole seconds.
    let boot = SystemTime::now().checked_sub(uptime()?)?;
    boot.checked_add(since_boot)
}

/// How long the machine has been up, in the same count as `/proc/PID/stat`'s.
#[cfg(target_os = "linux")]
fn uptime() -> Option<Duration> {
    let clock = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(clock).ok()
}

#[cfg(not(target_os = "linux"))]
fn uptime() -> Option<Duration> {
    None
}

/// The numbers of all processes to be seen but this one, ascending.
fn process_ids() -> Vec<u32> {
    let own = own_id();
    let mut ids: Vec<u32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|id| *id != own)
        .collect();
    ids.sort_unstable();
    ids
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
fn sees_every_process() -> bool {
    // The number that Linux gives to its first namespace, see PID_NS_INIT_INO.
    let first = Path::new("pid:[4026531836]");
    fs::read_link("/proc/self/ns/pid").is_ok_and(|namespace| namespace == first)
        && Path::new("/proc/1").exists()
}

/// Whether the error says that a process, a descriptor or a file is no longer there.
fn has_vanished(error: &io::Error) -> bool {
    let gone = [Errno::NOENT, Errno::SRCH].map(|errno| Some(errno.raw_os_error()));
    gone.contains(&error.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, writes: bool) -> Process {
        Process {
            pid,
            name: "proglogd".to_owned(),
            writes,
            started: None,
        }
    }

    #[test]
    fn proc_alone_says_no_only_when_all_was_seen() {
        let users = |writers: &[bool], complete| Users {
            processes: (1..)
                .zip(writers)
                .map(|(pid, writes)| process(pid, *writes))
                .collect(),
            complete,
        };
        assert_eq!(judge(users(&[], true)), Use::NoWriter);
        assert_eq!(judge(users(&[false], true)), Use::NoWriter);
        assert_eq!(judge(users(&[], false)), Use::Unknown { readers: vec![] });
        assert_eq!(
            judge(users(&[false], false)),
            Use::Unknown {
                readers: vec![process(1, false)]
            }
        );
        for complete in [true, false] {
            assert_eq!(
                judge(users(&[false, true], complete)),
                Use::Writers(vec![process(2, true)])
            );
        }
    }

    #[test]
    fn descriptor_flags() {
        let access =
            |flags: &str| parse_descriptor(&format!("pos:\t0\nflags:\t{flags}\nmnt_id:\t29\n"));
        assert_eq!(access("0100000"), Some(Access::Reads));
        assert_eq!(access("02100001"), Some(Access::Writes));
        assert_eq!(access("0102002"), Some(Access::Writes));
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
                    device: (0xfe, 0),
                    inode: 12345
                },
                path: b"/a b/0.index".to_vec(),
            })
        );
        for (permissions, writes) in [("r--s", false), ("rw-p", false), ("-w-s", true)] {
            let line = format!("7f00-7f01 {permissions} 00000000 00:1f 9    /x");
            let mapping = parse_mapping(line.as_bytes()).unwrap();
            assert_eq!((mapping.writes, permissions), (writes, permissions));
            assert_eq!(mapping.identity.device, (0, 0x1f));
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
        let target = Target::of(&own).unwrap();
        let entry = Path::new("/proc/self");
        let maps = fs::read(entry.join("maps")).unwrap();
        let mut mapping = maps
            .split(|byte| *byte == b'\n')
            .filter_map(parse_mapping)
            .find(|mapping| mapping.path == escaped(&target.path))
            .unwrap();
        let targets = [target];
        mapping.identity.device = (0, 99);
        assert_eq!(mapping.is_one_of(entry, &targets), Some(true));
        // By its path alone, where the link does not tell.
        let mut other = targets.clone();
        other[0].identity.inode ^= 1;
        let resolved = Identity::of(&entry.join("map_files").join(&mapping.link)).is_ok();
        assert_eq!(mapping.is_one_of(entry, &other), Some(!resolved));
        // Neither inode nor path.
        other[0].path = PathBuf::from("/elsewhere");
        assert_eq!(mapping.is_one_of(entry, &other), Some(false));
    }

    #[test]
    fn stat_lines() {
        let tail = "1 1 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 7 0 4711 1000 1";
        let parse = |text: &str| parse_stat(text.as_bytes().to_vec());
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

    #[test]
    fn what_is_not_there_or_no_file_is_not_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("0.store");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
        let files = [
            fifo,
            directory.path().to_path_buf(),
            directory.path().join("0.index"),
        ];
        assert_eq!(in_use(&files), Use::NoWriter);
        assert!(users_of(&files[2..]).processes.is_empty());
    }
}
